"""What rounding does to the values at each point: the paper's figure 3, and causes in words."""

from collections.abc import Collection, Sequence

from bitcliff.questions.activations.causes import DECIDES, UNHARMED
from bitcliff.questions.activations.plot import histograms
from bitcliff.questions.activations.record import (
    Activations,
    ActivationsObserved,
    PointActivations,
    PointObserved,
    PolicyActivations,
)
from bitcliff.record import Record
from bitcliff.report.formatting import NOTHING, clean, mean_text, noun, percent
from bitcliff.report.plot import Plot
from bitcliff.report.section import Section

SHOWN = 20
"""Points in the figure at most: as many as the paper's has."""

_NOT_ITS_OWN = (UNHARMED, "signal already lost upstream", DECIDES)


def activations_section(
    record: Record, found: Activations, anyway: Collection[int] = ()
) -> Section:
    """The section; `anyway`: indices of points that are to be drawn, however little harmed."""
    examples = noun(record)
    first, observed = found.policies[0], record.observed_by("activations", ActivationsObserved)
    plot = None
    if observed is not None and any(point.n for point in first.points):
        plot = _plot(first, observed.policies[0].points, anyway, examples)
    findings = [policy_finding(policy, examples) for policy in found.policies]
    return Section(
        "activations",
        "What does rounding do to the values?",
        findings[0],
        {
            "plot": plot,
            "tables": list(zip(found.policies, findings, strict=True)),
            "noun": examples,
        },
    )


def policy_finding(found: PolicyActivations, examples: str) -> str:
    """The worst damage that begins at a point, under one policy; or that there is none."""
    policy = clean(found.policy)
    measured = [point for point in found.points if point.n]
    if not measured:
        return f"Under {policy} nothing could be measured: no {examples} have finite values."
    worst = min(measured, key=_damage)
    if _sources(worst):
        return f"Under {policy}, {_sentence(worst)} ({_sources(worst)} of {worst.n} {examples})."
    if decides := [clean(point.name) for point in measured if point.cause == DECIDES]:
        return (
            f"Under {policy} little is lost at any point, but decisions hang on what is lost at "
            f"{' and '.join(decides[:3])}, where the network breaks."
        )
    most = max(measured, key=lambda point: point.harmed.k)
    if most.cause == UNHARMED:
        return f"Under {policy} the values at every point stay close to those in float."
    return (
        f"Under {policy} no single point is to blame: small errors add up, and at "
        f"{clean(most.name)} they are a third of the signal or more in {most.harmed.k} of "
        f"{most.n} {examples}."
    )


def _sources(point: PointActivations) -> int:
    """Examples with the point's cause, where that is damage that begins here."""
    return 0 if point.cause in (None, *_NOT_ITS_OWN) else point.causes[point.cause]


def _damage(point: PointActivations) -> tuple[int, float]:
    """The lower, the more damage begins here, then the less is left here."""
    left = point.median.total_db
    return -_sources(point), 0.0 if left is None else left


def _sentence(point: PointActivations) -> str:
    """The cause with the numbers behind it."""
    typical, where = point.typical, f"at {clean(point.name)}"
    match point.cause:
        case "long tail collapses to zero":
            return (
                f"{where} {percent(typical.collapsed)} of the values become zero: "
                "a long tail collapses"
            )
        case "outlier":
            return (
                f"{where} the largest value is {_times(typical.peak)} the 99.9th percentile: "
                "an outlier takes the range"
            )
        case "rows far larger than the rest, for example padding":
            return (
                f"{where} the largest row is {_times(typical.token_ratio)} one in ten, and "
                f"{percent(typical.tokens_lost)} of the rows lose a third of their signal or more: "
                "rows far larger than the rest, for example padding, take the range"
            )
        case "channels of unequal scale":
            return (
                f"{where} the largest channel is {_times(typical.channel_ratio)} one in ten, and "
                f"{percent(typical.channels_lost)} of the channels lose a third of their signal or "
                "more: channels of unequal scale share one range"
            )
        case "offset range":
            return (
                f"{where} {percent(typical.offset)} of the range lies between zero and the "
                "values: an offset wastes it"
            )
        case "error amplified on the way here":
            return (
                f"the error that arrives {where} is {_error(typical.arriving_db)} of the signal, "
                f"and was {_error(typical.earlier_db)} at most before: "
                "the layers just before amplify it"
            )
        case _:
            return (
                f"{where} {mean_text(typical.bits)} bits are too few for how the values spread: "
                f"rounding errs by {_error(typical.local_db)} of the signal"
            )


def _error(decibels: float | None) -> str:
    """The error's size as a share of the signal's."""
    return NOTHING if decibels is None else f"{100 * 10 ** (-decibels / 20):.0f}\u00a0%"


def _times(value: float | None) -> str:
    return "without bound above" if value is None else f"{value:.1f} times"


def shown_points(points: Sequence[PointActivations], anyway: Collection[int]) -> list[int]:
    """Indices of those to draw, in order: all, or those `anyway` and the most damaged."""
    measured = [index for index, point in enumerate(points) if point.n]
    ranked = sorted(measured, key=lambda index: (index not in anyway, *_damage(points[index])))
    return sorted(ranked[:SHOWN])


def _plot(
    found: PolicyActivations,
    observed: Sequence[PointObserved],
    anyway: Collection[int],
    examples: str,
) -> Plot:
    shown = shown_points(found.points, anyway)
    n = max(point.n for point in found.points)
    bins = max(len(point.before.counts) for point in observed)
    which = (
        f"all {len(shown)} points"
        if len(shown) == len(found.points)
        else f"the {len(shown)} most damaged of {len(found.points)} points"
    )
    return histograms(
        [(index + 1, found.points[index], observed[index]) for index in shown],
        title=policy_finding(found, examples),
        caption=(
            f"Values at {which} under {clean(found.policy)}, {n} {examples}: in float (FP) and as "
            "the quantized network gets them (Q). Across: the point’s range in float over all "
            f"{examples}, in {bins} bins at most. Up: share of the values, 0.01 to 100 %, on a "
            "logarithmic scale, without the bin about zero. Numbers below: share of the values in "
            "that bin, in % (sparsity), float → quantized. Bold, coloured numbers: points that are "
            "harmed. Points are numbered as in the table."
        ),
        words="Histograms of values. " + "; ".join(_words(found.points[index]) for index in shown),
    )


def _words(point: PointActivations) -> str:
    return (
        f"{clean(point.name)}: sparsity {percent(point.sparsity_before)} in float, "
        f"{percent(point.sparsity_after)} quantized, {point.cause}"
    )
