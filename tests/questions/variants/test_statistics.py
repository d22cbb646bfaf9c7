import numpy as np
import pytest
from scipy.stats import binomtest

from bitcliff.questions.variants.record import VariantsObserved
from bitcliff.questions.variants.statistics import figures, problems
from tests.questions.variants.planted import observed


def test_what_evens_channels_out_is_recommended_and_what_does_not_is_not() -> None:
    record, found = observed()
    [one] = figures(record, found).formats
    assert one.chosen is not None
    assert one.helps
    assert one.chosen.family == "smoothed"
    assert one.chosen.bits == one.bits
    by_family = {row.family: row for row in one.tried}
    assert by_family["smoothed"].right.k == 120
    # One row is one block here, so that smaller groups are the same ones.
    assert by_family["groups"].right == one.right
    assert by_family["groups"].regained.p_holm == 1.0


def test_the_other_half_judges_by_the_exact_test() -> None:
    record, found = observed()
    [one] = figures(record, found).formats
    assert one.chosen is not None
    rest = np.setdiff1d(np.arange(120), found.half)
    [tried] = [t for t in found.formats[0].tried if t.variant.words == one.chosen.words]
    labels = record.table.labels
    assert labels is not None
    before = found.formats[0].prediction[rest] == labels[rest]
    after = tried.prediction[rest] == labels[rest]
    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    assert (one.chosen.regained.gained, one.chosen.regained.lost) == (gained, lost)
    assert one.chosen.regained.p_value == pytest.approx(binomtest(lost, gained + lost).pvalue)
    assert (one.chosen.right.n, one.chosen_on) == (60, 60)


def test_nothing_is_recommended_where_nothing_is_surely_lost() -> None:
    record, found = observed(30.0)
    [one] = figures(record, found).formats
    assert one.loss.p_value > 0.05
    assert one.chosen is None


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda one: one.model_copy(update={"policy": "nvfp4"}), "not of the explained formats"),
        (lambda one: one.model_copy(update={"tried": one.tried[1:]}), "not those of the format"),
        (lambda one: one.model_copy(update={"tried": one.tried[::-1]}), "not those of the format"),
        (
            lambda one: one.model_copy(update={"prediction": one.prediction[1:]}),
            "119 predictions for 120",
        ),
        (
            lambda one: one.model_copy(
                update={"tried": [t.model_copy(update={"left_out": ["x"]}) for t in one.tried]}
            ),
            "none of the network's",
        ),
    ],
)
def test_damage_is_told(damage, problem: str) -> None:  # type: ignore[no-untyped-def]
    record, found = observed()
    assert not [*problems(record, found)]
    broken = VariantsObserved(half=found.half, formats=[damage(found.formats[0])])
    assert any(problem in told for told in problems(record, broken))
