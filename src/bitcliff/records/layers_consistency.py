"""Is the layers' part of an explanation what its own predictions give?"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bitcliff.records.explanation import Explanation
from bitcliff.records.explanation_layers import (
    SIGNIFICANT,
    Change,
    Curve,
    Layers,
    LayerSweep,
    range_text,
    unpack,
)
from bitcliff.records.schema import Record
from bitcliff.types.rate import Rate

Predictions = Sequence[int | None]


def layers_problems(
    record: Record, explanation: Explanation, policies: list[str], layers: Layers
) -> Iterator[str]:
    """What contradicts the record, or itself; `policies`: those explained that spend bits."""
    asked = [(policy, split) for policy in policies for split in ("test", "train")]
    swept = [(sweep.policy, sweep.split) for sweep in layers.sweeps]
    if swept != [one for one in asked if one[1] == "test" or one in swept]:
        yield "layers: not of the explained policies in their order, each on the test split first"
        return
    named = {sweep.policy: sweep.inflection for sweep in layers.sweeps if sweep.split == "test"}
    for sweep in layers.sweeps:
        n = len(record.examples) if sweep.split == "test" else explanation.n_train
        where = f"layers under {sweep.policy!r}, {sweep.split} split"
        for problem in _sweep_problems(record, n, sweep, named[sweep.policy]):
            yield f"{where}: {problem}"


def _sweep_problems(record: Record, n: int, sweep: LayerSweep, named: list[int]) -> Iterator[str]:
    points = sum(point.quantized for point in record.subject.points)
    if sweep.n != n:
        yield f"of {sweep.n} examples, but there are {n}"
    if max([*named, *sweep.inflection], default=0) >= points:
        yield f"an inflection point beyond the {points} quantized points"
        return
    curves = _curves(points)
    expected = {"", *(cell for curve in curves.values() for cell in curve)}
    expected |= set(_pair(named, points)) if named else set()
    if set(sweep.predictions) != expected:
        yield f"predictions are not those of the curves of {points} points"
        return
    packed = {"wanted": sweep.wanted, "in_float": sweep.in_float, **sweep.predictions}
    told = {key: _unpacked(text) for key, text in packed.items()}
    for key, answers in told.items():
        classes = record.subject.n_classes
        if len(answers) != n or not all(a is None or 0 <= a < classes for a in answers):
            yield f"{key or 'weights only'} is not {n} times x or a class below {classes}"
            return
    if sweep.split == "test":
        yield from _example_problems(record, told["wanted"], told["in_float"])
    yield from _figure_problems(sweep, _Answers(told["wanted"], told), curves, named)


def _unpacked(text: str) -> list[int | None]:
    """Nothing where it is not packed predictions: too few for any run."""
    try:
        return unpack(text)
    except ValueError:
        return []


def _curves(points: int) -> dict[str, list[str]]:
    """By curve, which points are quantized at each place of it."""
    places = range(points)
    return {
        "before": [range_text(places[: k + 1]) for k in places],
        "after": [range_text(places[k:]) for k in places],
        "single": [range_text([k]) for k in places],
        "all_but": [range_text({*places} - {k}) for k in places],
    }


def _pair(some: Sequence[int], points: int) -> tuple[str, str]:
    """Only these points, and all but these."""
    return range_text(some), range_text({*range(points)} - {*some})


def _example_problems(record: Record, wanted: Predictions, in_float: Predictions) -> Iterator[str]:
    # Float's answers are those of the machine that explained, which may differ in a tie.
    for row, right, told in zip(record.examples, wanted, in_float, strict=True):
        if right != (told if told is None or row.label is None else row.label):
            yield f"{row.id!r} has another right answer in the examples"


@dataclass(frozen=True)
class _Answers:
    wanted: Predictions
    told: Mapping[str, Predictions]

    def rate(self, cell: str) -> tuple[int, int]:
        """Right answers, and all that count."""
        given = [
            one == right
            for one, right in zip(self.told[cell], self.wanted, strict=True)
            if None not in (one, right)
        ]
        return sum(given), len(given)

    def change(self, first: str, second: str) -> tuple[int, int, int]:
        """Examples that count, right answers lost and gained."""
        pairs = [
            (one == right, other == right)
            for one, other, right in zip(
                self.told[first], self.told[second], self.wanted, strict=True
            )
            if None not in (one, other, right)
        ]
        return len(pairs), pairs.count((True, False)), pairs.count((False, True))


def _figure_problems(
    sweep: LayerSweep, answers: _Answers, curves: dict[str, list[str]], named: list[int]
) -> Iterator[str]:
    """Every rate and change, worked out anew."""
    points = len(curves["single"])
    everything = range_text(range(points))
    rates: dict[str, tuple[list[Rate], list[str]]] = {
        "float_rate": ([sweep.float_rate], ["in_float"]),
        "none": ([sweep.none], [""]),
        "all": ([sweep.all], [everything]),
        **{name: (getattr(sweep, name), cells) for name, cells in curves.items()},
    }
    for name, (found, cells) in rates.items():
        if [(rate.k, rate.n) for rate in found] != [answers.rate(cell) for cell in cells]:
            yield f"{name} is not what its predictions give"
    changes = {"whole": (sweep.whole, "", everything)}
    for step in sweep.large_steps:
        if step.point >= points:
            yield f"a step at point {step.point}, of {points}"
            return
        changes[f"the step of {step.curve} at {step.point}"] = (
            step.change,
            *_step(step.curve, step.point, points),
        )
    if together := sweep.confirmation:
        only, without = _pair(named, points)
        changes["cost"] = (together.cost, "", only)
        changes["regained"] = (together.regained, everything, without)
        if together.points != named or [
            (one.k, one.n) for one in (together.only, together.without)
        ] != [
            answers.rate(only),
            answers.rate(without),
        ]:
            yield "the confirmation is not of the inflection points of the test split"
    for name, (change, first, second) in changes.items():
        yield from _change_problems(name, change, answers.change(first, second))
    yield from _inflection_problems(sweep, named)


def _step(curve: Curve, k: int, points: int) -> tuple[str, str]:
    """What is quantized before a step, and after it."""
    match curve:
        case "before":
            return range_text(range(k)), range_text(range(k + 1))
        case "after":
            return range_text(range(k + 1, points)), range_text(range(k, points))
        case "single":
            return "", range_text([k])
        case "all-but":
            return range_text({*range(points)} - {k}), range_text(range(points))


def _change_problems(name: str, change: Change, found: tuple[int, int, int]) -> Iterator[str]:
    if (change.n, change.lost, change.gained) != found:
        yield f"{name} is not what its predictions give"
        return
    n, lost, gained = found
    more = 100 * (gained - lost)
    if (change.pp is None) != (n == 0) or abs((change.pp or 0.0) * n - more) > 1e-6:
        yield f"{name} is {change.pp} points, with {lost} lost and {gained} gained of {n}"


def _inflection_problems(sweep: LayerSweep, named: list[int]) -> Iterator[str]:
    if sweep.inflection != sorted({step.point for step in sweep.large_steps if step.inflects}):
        yield "the inflection points are not those of the steps"
    if (sweep.confirmation is None) != (not named):
        yield "a confirmation goes with inflection points, and is null without"
    for step in sweep.large_steps:
        part = (step.change.pp or 0.0) / sweep.whole.pp if sweep.whole.pp else 0.0
        if abs(step.share - part) > 1e-6:
            yield f"a step at point {step.point} is {part} of the whole, not {step.share}"
        if step.inflects != (step.p_holm <= SIGNIFICANT):
            yield f"a step at point {step.point} inflects or not, against its p of {step.p_holm}"
