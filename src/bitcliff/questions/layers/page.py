"""Which layers break: each policy's four curves, and what the inflection points do, in words."""

from collections.abc import Sequence
from typing import Any

from bitcliff.questions.layers.plot import SPLITS, figure
from bitcliff.questions.layers.record import Kept, Layers, LayerSweep, SimulatedSweep
from bitcliff.questions.plan_in_runtime import surely_lost
from bitcliff.questions.plan_lines import plan_lines
from bitcliff.record import Record
from bitcliff.report.formatting import (
    NOTHING,
    clean,
    decimal,
    p_text,
    percent,
    points_text,
    rate_text,
)
from bitcliff.report.section import Section
from bitcliff.types.change import PairedChange

_NAMED = 8
"""Layers of a set that are named in a sentence."""


def layers_section(record: Record, layers: Layers) -> Section:
    """The question's section; the first policy is the one that matters most."""
    names = [clean(point.name, 60) for point in record.subject.points if point.quantized]
    by_policy: dict[str, list[LayerSweep]] = {}
    for sweep in layers.sweeps:
        by_policy.setdefault(sweep.policy, []).append(sweep)
    policies = [_policy(record, sweeps, names) for sweeps in by_policy.values()]
    policies += [
        _policy(record, [one], [clean(name, 60) for name in one.points]) for one in layers.simulated
    ]
    kept = [(one, kept_finding(one)) for one in layers.kept]
    finding = "No policy of this run could be explained."
    if policies:
        finding = policies[0]["plot"].title
    elif kept:
        finding = kept[0][1]
    return Section("layers", "Which layers break?", finding, {"policies": policies, "kept": kept})


def kept_finding(found: Kept) -> str:
    """Which layers the runtime is to leave in float, and what that gives back."""
    policy = clean(found.policy)
    if not found.sets:
        return f"{policy} can leave none of its layers in float."
    if not surely_lost(found.whole):
        return f"In {policy} nothing is lost beyond chance: {rate_text(found.all)} are right."
    best = found.chosen
    if best is None:
        return (
            f"In {policy} {rate_text(found.all)} are right, and no layer, and none of the sets "
            "tried, surely gives anything back when it is left in float."
        )
    names = _together(best.points)
    held_out = " of those held out" if found.chosen_on else ""
    if found.plan is None:
        return (
            f"In {policy} {rate_text(found.all)} are right; {names} left in float looked best on "
            f"the {found.chosen_on} examples it was chosen on, but on the {best.right.n} others it "
            f"gives back nothing beyond chance: {points_text(best.regained)}."
        )
    return (
        f"In {policy} {rate_text(found.all)} are right; with {names} left in float, run there, "
        f"{rate_text(best.right)}{held_out}: {points_text(best.regained)} back"
        + (", within the limit." if best.within else ", still not surely within the limit.")
    )


def _together(points: Sequence[str]) -> str:
    """Layers by their names, or where they are many by how many there are and two of them."""
    names = [clean(name, 60) for name in points]
    if len(names) <= _NAMED:
        return " and ".join(names)
    return f"{len(names)} layers, from {names[0]} to {names[-1]},"


def _policy(record: Record, sweeps: Sequence[LayerSweep], names: Sequence[str]) -> dict[str, Any]:
    test = sweeps[0]
    return {
        "test": test,
        "names": names,
        "heading": _under(test),
        "sentences": [
            *_story(sweeps, names),
            *plan_lines(record, test.in_runtimes, "in simulation, on the same examples"),
            *_not_measured(sweeps),
        ],
        "plot": figure(sweeps, names, title=_title(test, names), labelled=record.subject.labelled),
    }


def _under(test: LayerSweep) -> str:
    policy = clean(test.policy)
    return f"8 bits as {policy} rounds them, simulated" if _with_weights(test) else policy


def _with_weights(test: LayerSweep) -> bool:
    """Whether a layer that is not quantized has its weights in float too."""
    return isinstance(test, SimulatedSweep)


def _title(test: LayerSweep, names: Sequence[str]) -> str:
    """The finding in a sentence."""
    policy, confirmed = _under(test), test.confirmation
    if confirmed is not None:
        one, cost = len(confirmed.points) == 1, points_text(confirmed.cost, -1)
        which = f"{names[confirmed.points[0]]}, 1" if one else f"{len(confirmed.points)}"
        return (
            f"Under {policy}, quantizing only {which} of {len(names)} layers{',' * one} costs "
            f"{cost}; keeping {'it' if one else 'them'} in float gives back "
            f"{points_text(confirmed.regained)} of {_points(test.whole)}, with the same "
            "allocation."
        )
    if surely_lost(test.whole):
        lost = points_text(test.whole, -1)
        return f"Under {policy}, {lost} are lost, but no single layer stands out."
    return f"Under {policy}, there are no inflection points: nothing is lost beyond chance."


def _story(sweeps: Sequence[LayerSweep], names: Sequence[str]) -> list[str]:
    test, whole = sweeps[0], sweeps[0].whole
    nothing = "rounded weights and activations in float"
    if _with_weights(test):
        nothing = "nothing rounded, neither activations nor weights,"
    found = [
        f"With {nothing} {rate_text(test.none)} are right, with all "
        f"{len(names)} layers quantized {rate_text(test.all)}: {whole.lost} lost, {whole.gained} "
        f"gained, a loss of {points_text(whole, -1)}."
    ]
    if test.confirmation is not None:
        found.append(f"Inflection points, by number and name: {_named(test.inflection, names)}.")
        if (test.confirmation.regained.difference_pp or 0.0) < -0.5 * (whole.difference_pp or 0.0):
            found.append("Most of the loss stays without them: other layers do harm together.")
    elif surely_lost(whole):
        found.append(_unproven(test, names))
    return found + [text for train in sweeps[1:] for text in _on_training(test, train, names)]


def _unproven(test: LayerSweep, names: Sequence[str]) -> str:
    """Why no point is named though something is lost."""
    rule = (
        f"No step is both large (at least {percent(test.smallest_share)} of the whole loss) and "
        "beyond chance"
    )
    if not test.large_steps:
        return f"{rule}: no single layer carries that much; the loss grows from layer to layer."
    best = min(test.large_steps, key=lambda step: (_adjusted(step.change), -step.share, step.point))
    return (
        f"{rule}. The nearest is layer {best.point + 1}, {names[best.point]}, which loses "
        f"{best.change.lost} and gains {best.change.gained} of {best.change.n} (adjusted p "
        f"{p_text(_adjusted(best.change))}): more examples would tell."
    )


def _on_training(test: LayerSweep, train: LayerSweep, names: Sequence[str]) -> list[str]:
    found = []
    if train.confirmation is not None:
        cost = points_text(train.confirmation.cost, -1)
        found.append(
            f"On {train.n} training examples, which had no part in the choice, quantizing only "
            f"these costs {cost}, and keeping them in float gives back "
            f"{points_text(train.confirmation.regained)} of {_points(train.whole)}."
        )
    if train.inflection != test.inflection:
        named = _named(train.inflection, names) if train.inflection else "no layer"
        found.append(f"On those alone, the same rule names {named}.")
    elif train.inflection:
        found.append("On those alone, the same rule names the same layers.")
    return found


def _not_measured(sweeps: Sequence[LayerSweep]) -> list[str]:
    found = []
    if all(sweep.split == "test" for sweep in sweeps) and not _with_weights(sweeps[0]):
        found.append(
            "The training split was not measured: the data has none, it was left out, or this "
            "policy has no bits for it."
        )
    for sweep in sweeps:
        rates = (*sweep.before, *sweep.after, *sweep.single, *sweep.all_but)
        fewest = min(rate.n for rate in rates)
        if fewest < sweep.n:
            found.append(
                f"Up to {sweep.n - fewest} of {sweep.n} {SPLITS[sweep.split]} examples gave NaN or "
                "infinity; they are left out of the rates."
            )
    return found


def _named(points: Sequence[int], names: Sequence[str]) -> str:
    return ", ".join(f"{point + 1} ({names[point]})" for point in points)


def _points(whole: PairedChange) -> str:
    return NOTHING if whole.difference_pp is None else decimal(-whole.difference_pp)


def _adjusted(change: PairedChange) -> float:
    return change.p_value if change.p_holm is None else change.p_holm
