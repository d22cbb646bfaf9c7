"""The section on inputs drawn otherwise: sentences, the worst slices, curves and a second set."""

from collections.abc import Iterator

from bitcliff.questions.distributions.plot import curves_plot, twofold
from bitcliff.questions.distributions.record import (
    Condition,
    Distributions,
    Slice,
    UnderPolicy,
)
from bitcliff.questions.features import HEADINGS
from bitcliff.record import Record
from bitcliff.report.filters import of_with_interval, significant
from bitcliff.report.formatting import NOTHING, class_name, clean, decimal, p_text, signed
from bitcliff.report.section import Section
from bitcliff.types.change import ChangeDifference, PairedChange
from bitcliff.types.reweighted import Bounded, Reweighted

LEVEL = 0.05
"""A slice, or what a shift adds, is called shown below it."""


def distributions_section(record: Record, found: Distributions) -> Section:
    """The part as a section of the report."""
    return Section(
        key="distributions",
        question="What if the inputs are drawn otherwise?",
        finding=" ".join(filter(None, _sentences(record, found))),
        data={
            "basis": _basis(record, found),
            "slices": [row for one in found.policies for row in _slice_rows(record, found, one)],
            "shifts": [row for one in found.policies for row in _shift_rows(one)],
            "second": found.second,
            "plots": [(one.policy, curves_plot(record, one)) for one in found.policies],
            "curves": [row for one in found.policies for row in _curve_rows(one)],
        },
    )


def described(record: Record, found: Distributions, conditions: list[Condition]) -> str:
    """A slice in words, such as "class 3, brightness at most 0.0412"."""
    return " and ".join(_condition(record, found, one) for one in conditions)


def _condition(record: Record, found: Distributions, one: Condition) -> str:
    if one.key == "class":
        return f"class {class_name(record.subject, int(one.value)).removeprefix('class ')}"
    if one.key == "cluster":
        of = next(c for c in found.of_clusters if c.cluster == int(one.value))
        name = class_name(record.subject, of.label).removeprefix("class ")
        return f"cluster {of.cluster} (mostly class {name}, {of.of_label.k} of {of.of_label.n})"
    return f"{HEADINGS[one.key].lower()} at {one.at} {significant(one.value)}"


def _sentences(record: Record, found: Distributions) -> Iterator[str]:
    """Of the first policy, and of the first whose slice or shift is beyond chance."""
    first = found.policies[0]
    yield _of_slice(record, found, next((p for p in found.policies if shown(p.slice)), first))
    yield _of_curve(first)
    if found.second is not None:
        yield _of_shift(found, next((p for p in found.policies if _moved(p)), first))


def shown(one: Slice | ChangeDifference | None) -> bool:
    """Whether it is beyond chance, after correction for all tests of its family."""
    return one is not None and one.p_holm is not None and one.p_holm < LEVEL


def _moved(one: UnderPolicy) -> bool:
    return one.shift is not None and shown(one.shift.difference)


def _of_slice(record: Record, found: Distributions, one: UnderPolicy) -> str:
    policy, worst = clean(one.policy, 80), one.slice
    if not found.looked_for:
        return "For a worst slice there are too few examples: 20 are needed."
    if worst is None:
        return f"Under {policy} no group of inputs loses more than the others."
    name = clean(described(record, found, worst.conditions), 200)
    rates = (
        f"{of_with_interval(worst.inside)} lost there, {of_with_interval(worst.outside)} elsewhere"
    )
    tested = f"on the half that it was not chosen on (Holm p {p_text(worst.p_holm)})"
    if shown(worst):
        return f"Under {policy} one slice breaks more than the rest, {name}: {rates}, {tested}."
    return f"Under {policy} no slice is shown to lose more; the likeliest was {name}: {rates}."


def _of_curve(one: UnderPolicy) -> str:
    at = twofold(one.curve)
    if at is None or one.change.difference_pp is None:
        return ""
    drop = decimal(0.0 - one.change.difference_pp)
    return (
        f"The drop under {clean(one.policy, 80)} is {drop} points as the inputs are drawn, and at "
        f"worst {_points(at.by_share)} where none becomes more than twice as frequent."
    )


def _of_shift(found: Distributions, one: UnderPolicy) -> str:
    assert one.shift is not None  # noqa: S101  (asked of those that have one)
    more, data = one.shift.difference, clean(found.second or "", 80)
    if more is None:
        return f"On {data} there was nothing to compare."
    verdict = "" if shown(more) else ", which may be chance"
    return (
        f"On {data} the drop under {clean(one.policy, 80)} changes by {signed(more.difference_pp)} "
        f"points ({signed(more.low_pp)} to {signed(more.high_pp)}; Holm p "
        f"{p_text(more.p_holm)}){verdict}."
    )


def _points(one: Bounded) -> str:
    low, value, high = (decimal(100 * x) for x in (one.low, one.value, one.high))
    return f"{value} ({low} to {high})"


def _basis(record: Record, found: Distributions) -> str:
    lost = (
        "Lost is what float gets right and the policy loses."
        if record.subject.labelled
        else "There are no labels, so lost is each decision that the policy changes."
    )
    if not found.looked_for:
        return lost
    clusters = f" {clean(found.clusters, 200)}." if found.clusters else ""
    return (
        f"{lost} Slices are chosen among one or two conditions on features, on {found.half} "
        f"examples, and tested on the other {found.rest} by Fisher’s exact test, Holm over all "
        f"slices of this section.{clusters}"
    )


def _slice_rows(record: Record, found: Distributions, one: UnderPolicy) -> Iterator[list[str]]:
    for what, worst in (("class", one.group), ("slice", one.slice)):
        if worst is not None:
            yield [
                clean(one.policy, 80),
                what,
                clean(described(record, found, worst.conditions), 200),
                of_with_interval(worst.chosen),
                of_with_interval(worst.inside),
                of_with_interval(worst.outside),
                p_text(worst.p_holm),
                NOTHING if worst.second is None else of_with_interval(worst.second),
            ]


def _shift_rows(one: UnderPolicy) -> Iterator[list[str]]:
    if one.shift is None:
        return
    more = one.shift.difference
    yield [
        clean(one.policy, 80),
        _drop(one.change),
        _drop(one.shift.change),
        NOTHING if more is None else signed(more.difference_pp),
        NOTHING if more is None else f"{signed(more.low_pp)} to {signed(more.high_pp)}",
        NOTHING if more is None else p_text(more.p_value),
        NOTHING if more is None else p_text(more.p_holm),
    ]


def _drop(change: PairedChange) -> str:
    """The other way round than a change: what is lost counts."""
    if change.difference_pp is None or change.low_pp is None or change.high_pp is None:
        return NOTHING
    low, value, high = (0.0 - x for x in (change.high_pp, change.difference_pp, change.low_pp))
    return f"{decimal(value)} ({decimal(low)} to {decimal(high)}; n = {change.n})"


def _curve_rows(one: UnderPolicy) -> Iterator[list[str]]:
    shift = [] if one.shift is None else one.shift.curve
    for place, point in enumerate(one.curve):
        there = shift[place] if place < len(shift) else None
        yield [clean(one.policy, 80), f"{1 / point.part:.3g}", *_both(point), *_both(there)]


def _both(point: Reweighted | None) -> list[str]:
    if point is None:
        return [NOTHING, NOTHING]
    return [_points(point.by_share), _points(point.by_chi2)]
