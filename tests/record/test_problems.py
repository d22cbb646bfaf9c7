"""Outcomes that contradict each other are refused, with the contradiction named."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bitcliff.record import Explained, Folding, Measured, Observed
from bitcliff.record.problems import problems
from bitcliff.types.settings import AssessSettings
from tests.report.example_record import Variant, example_record

Change = Callable[[Observed], Observed]


@pytest.mark.parametrize(
    "variant",
    [Variant(), Variant(labelled=False), Variant(failures=True, complete=False), Variant(n=3)],
)
def test_whole_records_pass(variant: Variant) -> None:
    record = example_record(variant)
    assert list(problems(record.observed)) == []
    assert len(record.examples) == variant.n


def changed(**changes: Any) -> Change:
    return lambda observed: observed.model_copy(update=changes)


def _subject(**changes: Any) -> Change:
    return lambda observed: observed.model_copy(
        update={"subject": observed.subject.model_copy(update=changes)}
    )


def _table(make: Callable[[Observed], dict[str, Any]]) -> Change:
    return lambda observed: observed.model_copy(
        update={"examples": observed.examples.model_copy(update=make(observed))}
    )


def _worst(make: Callable[[Measured], dict[str, Any]], **condition: Any) -> Change:
    """`worst-7` with other outcomes."""

    def change(observed: Observed) -> Observed:
        measured = []
        for one in observed.conditions:
            if one.name == "worst-7":
                outcomes = one.outcomes.model_copy(update=make(one))
                about = one.condition.model_copy(update=condition)
                one = one.model_copy(update={"outcomes": outcomes, "condition": about})
            measured.append(one)
        return observed.model_copy(update={"conditions": measured})

    return change


def _with(values: Any, place: int, value: Any) -> Any:
    """A copy of an array with one entry changed."""
    copied = values.copy()
    copied[place] = value
    return copied


def _twice_a_condition(observed: Observed) -> Observed:
    again = [*observed.conditions, observed.conditions[0]]
    return observed.model_copy(update={"conditions": again})


def _left_out(observed: Observed) -> Observed:
    point = observed.subject.points[3].model_copy(update={"reason": "because"})
    points = [*observed.subject.points[:3], point, *observed.subject.points[4:]]
    return _subject(points=points)(observed)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            _table(lambda one: {"ids": [one.examples.ids[0], *one.examples.ids[:-1]]}),
            "example id 'imagenet_00_243.jpg' stands 2 times",
        ),
        (_twice_a_condition, "condition 'weights-only' stands 2 times"),
        (_subject(n_examples=19), "n_examples is 19, but there are 20"),
        (_subject(labelled=False), "labelled goes with labels"),
        (_subject(class_names=["one"]), "1 class_names for 1000 classes"),
        (_subject(black_box=True), "was not looked inside, yet has 50 points"),
        (_left_out, "is left out for a reason, and quantized without"),
        (
            _table(lambda one: {"labels": _with(one.examples.labels, 4, 1000)}),
            "a label has class 1000; classes are 0 to 999",
        ),
        (_table(lambda one: {"labels": one.examples.labels[:3]}), "3 labels for 20 examples"),  # type: ignore[index]
        (
            _table(lambda one: {"prediction": one.examples.prediction[:3]}),
            "float has 3 predictions for 20 examples",
        ),
        (
            _table(lambda one: {"margin": _with(one.examples.margin, 2, np.nan)}),
            "float: a margin goes with a prediction",
        ),
        (
            _table(lambda one: {"margin": _with(one.examples.margin, 2, -1.0)}),
            "float: a margin whose sign its prediction does not give",
        ),
        (
            _table(lambda one: {"thumbnails": {"nobody": "data:,"}}),
            "an image, a text or a sound of 'nobody', which is no example's id",
        ),
        (
            _worst(lambda one: {"prediction": _with(one.outcomes.prediction, 0, 1000)}),
            "'worst-7' an outcome has class 1000",
        ),
        (
            _worst(lambda one: {"margin": -one.outcomes.margin}),
            "'worst-7' outcomes: a margin whose sign its prediction does not give",
        ),
        (
            _worst(lambda one: {"margin": _with(one.outcomes.margin, 0, np.inf)}),
            "'worst-7' outcomes: a margin goes with a prediction",
        ),
        (
            _worst(lambda one: {"plan": ["nvfp4"]}),
            "has a plan without formats to choose among",
        ),
        (
            _worst(lambda one: {"in_float": one.outcomes.prediction[:3]}),
            "'worst-7' has 3 predictions in float for 20 examples",
        ),
        (
            _worst(lambda one: {"in_float": _with(one.outcomes.prediction, 0, 1000)}),
            "'worst-7' float, run alike, has class 1000; classes are 0 to 999",
        ),
        (
            _worst(lambda one: {"places": np.zeros(20, dtype=np.int32)}),
            "'worst-7' places are not places among 20 examples, each once",
        ),
        (
            _worst(lambda one: {"places": np.arange(19, dtype=np.int32)}),
            "'worst-7' has not as many places, predictions and margins",
        ),
        (
            _worst(lambda one: {"places": None, "prediction": one.outcomes.prediction[:9]}),
            "'worst-7' has 9 outcomes for 20 examples",
        ),
        (
            _worst(lambda one: {"failed_at": {2: "_fc"}}),
            "'worst-7' names a point for other examples than those that failed",
        ),
        (
            _worst(lambda one: {"bits": one.outcomes.bits[:, :48]}),  # type: ignore[index]
            "'worst-7' has bits of shape (20, 48), but 49 points are quantized",
        ),
        (
            _worst(lambda one: {"bits": one.outcomes.bits + np.uint8(1)}),  # type: ignore[operator]
            "'worst-7' has bits that do not add up to 343",
        ),
        (_worst(lambda one: {"bits": None}), "'worst-7' has no bits, but spends 343"),
        (_worst(lambda one: {}, total_bits=344), "'worst-7' has bits that do not add up to 344"),
        (
            _worst(lambda one: {}, widths=[3, 4, 5]),
            "'worst-7' chooses among [3, 4, 5] bits, but [3, 4, 5, 6, 7, 8, 9, 10] are in settings",
        ),
        (
            _worst(lambda one: {}, widths=[3, 4], kind="co-trained"),
            "has other bits than [3, 4], among which it chooses",
        ),
        (
            _worst(lambda one: {"repeats": one.outcomes.repeats[:, :3]}),  # type: ignore[index]
            "'worst-7' has repeats of shape (3, 3) for 20 examples",
        ),
        (
            _worst(lambda one: {"draws": np.full((2, 20), 1000, dtype=np.int32)}),
            "'worst-7' one of its draws has class 1000",
        ),
        (
            changed(folding=Folding(names=[], largest_difference=0.0, changed=[20])),
            "folding.changed are not places among 20 examples",
        ),
        (
            changed(explained=Explained(policies=["worst-static-7"], n_train=0)),
            "explained: 'worst-static-7' is no policy with bits for every example",
        ),
        (
            changed(explained=Explained(policies=["weights-only"], n_train=0)),
            "explained: 'weights-only' is no policy with bits for every example",
        ),
        (
            changed(explained=Explained(policies=["worst-7", "worst-7"], n_train=0)),
            "an explained policy 'worst-7' stands 2 times",
        ),
    ],
)
def test_contradictions(change: Change, says: str) -> None:
    first = next(problems(change(example_record().observed)))
    assert says in first
    assert "\n" not in first


def test_a_plan_costs_what_its_condition_says() -> None:
    options = ["nvfp4", "torchao-fp8-row"]
    record = example_record()
    points = sum(point.quantized for point in record.subject.points)
    dear = 3 * points // 7
    plan = ["torchao-fp8-row"] * dear + ["nvfp4"] * (points - dear)
    about = {"options": options, "cost_32nds": 144 * points + 112 * dear, "total_bits": None}
    settings = AssessSettings(options=tuple(options), budgets=(6.0,))

    def first(plan: list[str], **condition: Any) -> str:
        change = _worst(lambda _: {"plan": plan, "bits": None}, **{**about, **condition})
        observed = change(record.observed).model_copy(update={"settings": settings})
        told = [one for one in problems(observed) if one.startswith("'worst-7'")]
        return next(iter(told), "")

    assert first(plan) == ""
    assert "does not cost" in first([*plan[1:], "nvfp4"])
    assert "does not give" in first(plan[1:])
    assert "does not give" in first(["mxfp4-even", *plan[1:]])
    assert "are in settings" in first(plan, options=["nvfp4"])
    assert "formats without a plan" in first(plan, options=None)
