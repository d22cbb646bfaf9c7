"""From marks on corrupted images to every figure, and what of a file is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitcliff.errors import InputError
from bitcliff.questions.corruptions.observe import observe_corruptions
from bitcliff.questions.corruptions.record import (
    CorruptionCell,
    Corruptions,
    CorruptionsObserved,
)
from bitcliff.questions.corruptions.statistics import KIND, figures, older, problems
from bitcliff.questions.explained import about_explained
from bitcliff.record import Record, read_record, record_json, with_answer
from bitcliff.stats import clustered_rate, holm, mcnemar, paired_difference
from bitcliff.types.settings import CorruptionSettings
from tests.a_record import figures_in, observed_in
from tests.questions.corruptions.dazzling import GLARE, SPOT, Dazzled, context_of, some_images
from tests.questions.damage import (
    check_figures_are_guarded,
    check_observations_are_guarded,
    check_round_trip,
)

KINDS = {"corruptions": KIND}
FEW = CorruptionSettings(degrees=(1, 4), seeds=2, examples=7)


def answered(**changes: Any) -> Record:
    context = context_of(Dazzled(changes.pop("overflow", False)), *some_images(), **changes)
    observed = observe_corruptions(context, lambda: (GLARE, SPOT))
    return with_answer(context.record, "corruptions", observed, KIND)


def figures_of(record: Record) -> Corruptions:
    return figures_in(record, "corruptions", Corruptions)


def observed_of(record: Record) -> CorruptionsObserved:
    return observed_in(record, "corruptions", CorruptionsObserved)


def cell(found: Corruptions, name: str, degree: int) -> CorruptionCell:
    return next(c for c in found.cells if (c.corruption, c.degree) == (name, degree))


@pytest.fixture(scope="module")
def planted() -> Record:
    return answered()


@pytest.fixture(scope="module")
def small() -> Record:
    return answered(policies=("uniform-4", "worst-6"), corrupting=FEW)


def test_quantization_is_hurt_by_the_planted_corruption_alone(planted: Record) -> None:
    for one in figures_of(planted).cells:
        hurt = one.corruption == "glare" and one.degree > 1
        against = one.losses["uniform-4"].against_clean
        assert against is not None
        assert one.runs["float"].accuracy.value == 1.0
        assert (against.lost, against.gained) == ((30, 0) if hurt else (0, 0))
        assert against.p_holm is not None
        assert (against.p_holm < 1e-6) == hurt
        # The change is of right predictions: they become fewer.
        assert against.high_pp is not None
        assert (against.high_pp < 0) == hurt
        assert one.losses["uniform-4"].lost.value == (0.5 if hurt else 0.0)
        assert one.losses["uniform-8"].lost.k == 0


def test_every_number_follows_from_the_marks(planted: Record) -> None:
    observed, found = observed_of(planted), figures_of(planted)
    tested = []
    for marked, one in zip(observed.cells, found.cells, strict=True):
        for name, loss in one.losses.items():
            floats, marks = marked.marks["float"], marked.marks[name]
            pairs = [
                list(zip(f, q, strict=True))
                for f, q in zip(zip(*floats, strict=True), zip(*marks, strict=True), strict=True)
            ]
            assert loss.lost == clustered_rate(
                [mine.count(("1", "0")) for mine in pairs],
                [sum(f == "1" and q != "-" for f, q in mine) for mine in pairs],
            )
            assert loss.against_clean is not None
            tested.append(loss.against_clean)
    assert [one.p_value for one in tested] == [mcnemar(one.gained, one.lost) for one in tested]
    assert [one.p_holm for one in tested] == holm([one.p_value for one in tested])
    # At the level of all comparisons together.
    for change in tested:
        share = paired_difference(change.n, change.lost, change.gained, 1 - 0.05 / len(tested))
        ends = (change.difference_pp, change.low_pp, change.high_pp)
        assert ends == pytest.approx([100 * end for end in share])


def test_clean_images_are_those_of_the_record(planted: Record) -> None:
    clean = figures_of(planted).clean
    assert clean is not None
    for name in ("uniform-4", "uniform-8"):
        accuracy, found = planted.by_name[name].accuracy, clean.runs[name].accuracy
        assert accuracy is not None
        assert (found.k, found.n) == (accuracy.k, accuracy.n)
        assert clean.losses[name].against_clean is None


def test_what_was_searched_for_on_clean_images_is_not_compared(small: Record) -> None:
    for one in figures_of(small).cells:
        assert one.losses["worst-6"].against_clean is None
        assert one.losses["uniform-4"].against_clean is not None


def test_numeric_failures_are_counted_apart() -> None:
    record = answered(overflow=True)
    found = figures_of(record)
    glare = cell(found, "glare", 5)
    assert glare.runs["float"].failed == glare.runs["uniform-4"].failed == 180
    assert observed_of(record).cells[4].marks["float"] == ["-" * 60] * 3
    assert glare.runs["float"].accuracy.n == glare.losses["uniform-4"].lost.n == 0
    assert glare.losses["uniform-4"].against_clean is None
    assert cell(found, "spot", 5).runs["float"].failed == 0


def test_without_labels_the_clean_float_prediction_is_right() -> None:
    context = context_of(Dazzled(), some_images()[0], None)
    observed = observe_corruptions(context, lambda: (GLARE, SPOT))
    found = figures(context.record, observed)
    assert found.clean is not None
    assert found.clean.runs["float"].accuracy.value == 1.0
    assert cell(found, "glare", 5).losses["uniform-4"].lost.value == 0.5


def test_a_reason_is_all_there_is(planted: Record) -> None:
    record = with_answer(planted, "corruptions", CorruptionsObserved(reason="why not"), KIND)
    assert figures_of(record) == Corruptions(reason="why not")


def test_written_and_read(planted: Record, small: Record, tmp_path: Path) -> None:
    for record in (planted, small):
        check_round_trip(record, KINDS, tmp_path)


def test_no_damage_goes_unnoticed(small: Record, tmp_path: Path) -> None:
    check_figures_are_guarded(small, "corruptions", KINDS, tmp_path)
    check_observations_are_guarded(small, "corruptions", KIND)


def test_a_mark_that_was_turned_is_refused(small: Record, tmp_path: Path) -> None:
    fields = json.loads(record_json(small))
    for number in range(len(fields["answers"]["corruptions"]["cells"])):
        changed = json.loads(record_json(small))
        marks = changed["answers"]["corruptions"]["cells"][number]["marks"]["uniform-4"]
        marks[0] = {"1": "0", "0": "1"}[marks[0][0]] + marks[0][1:]
        (tmp_path / "record.json").write_text(json.dumps(changed))
        with pytest.raises(InputError, match=r"inconsistent record: figures\.corruptions\.cells"):
            read_record(tmp_path, KINDS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"examples": []}, "examples must be ids of examples"),
        ({"examples": ["p0"] * 7}, "examples must be ids of examples"),
        ({"degrees": [4, 1]}, "must increase"),
        ({"seeds": [0, 0]}, "seeds are"),
        ({"corruptions": []}, "there must be one, and each once"),
        ({"cells": []}, "cells are not every corruption"),
        ({"bits": {"uniform-4": "", "no-such": ""}}, "not about the explained policies"),
        ({"bits": {"uniform-4": ""}}, "not about the explained policies"),
    ],
)
def test_what_contradicts_itself_is_named(
    small: Record, changes: dict[str, Any], message: str
) -> None:
    assert not list(problems(small, observed_of(small)))
    found = list(problems(small, observed_of(small).model_copy(update=changes)))
    assert any(message in one for one in found)


def test_an_answer_needs_to_know_what_is_explained(small: Record) -> None:
    bare = Record(small.observed.model_copy(update={"explained": None}), small.figures)
    assert list(about_explained(bare, ["uniform-4"]))
    assert not list(about_explained(bare, []))


def test_an_answer_of_schema_1(small: Record) -> None:
    """Its figures stood between the marks; they are worked out anew."""
    observed = observed_of(small).model_dump()
    cells = [
        {
            "corruption": one["corruption"],
            "degree": one["degree"],
            "answers": {
                who: {"marks": texts, "accuracy": {"k": 1, "n": 7}, "failed": 0}
                for who, texts in one["marks"].items()
            },
            "losses": {"uniform-4": {"lost": {"k": 0}, "against_clean": None}},
        }
        for one in observed["cells"]
    ]
    answer = {
        **{key: one for key, one in observed.items() if key != "images"},
        "pictures": observed["images"],
        "cells": cells,
        "clean": {"corruption": "clean", "degree": 0, "answers": {}, "losses": {}},
    }
    fields = older(small, answer)
    assert KIND.observed.model_validate(fields) == observed_of(small)


def test_marks_of_a_failure_are_no_loss(small: Record) -> None:
    """Every count of one cell by hand."""
    observed = observed_of(small)
    marks = {"float": ["1110-11", "1101110"], "uniform-4": ["10-0-11", "1100101"]}
    cells = [one.model_copy(update={"marks": {**one.marks, **marks}}) for one in observed.cells]
    one = figures(small, observed.model_copy(update={"cells": cells})).cells[0]
    assert (one.runs["float"].accuracy.k, one.runs["float"].accuracy.n) == (10, 13)
    assert (one.runs["uniform-4"].accuracy.k, one.runs["uniform-4"].accuracy.n) == (7, 12)
    assert (one.runs["float"].failed, one.runs["uniform-4"].failed) == (1, 2)
    assert (one.losses["uniform-4"].lost.k, one.losses["uniform-4"].lost.n) == (3, 9)
    # On the first draw, of those right in float also clean, as all are here.
    against = one.losses["uniform-4"].against_clean
    clean = small.outcomes["uniform-4"].prediction == small.table.labels
    where = [small.table.ids.index(name) for name in observed.examples]
    first = np.array(list(marks["uniform-4"][0]))
    fair = (np.array(list(marks["float"][0])) == "1") & (first != "-")
    assert against is not None
    assert against.n == int(fair.sum())
    assert against.lost == int((fair & clean[where] & (first == "0")).sum())
