"""A second set of examples behind a finished run, and runs of formats without bits."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from bitcliff.adapters import load_examples, load_model
from bitcliff.audit import AssessSettings
from bitcliff.errors import InputError
from bitcliff.questions.distributions.record import KEY, Distributions, DistributionsObserved
from bitcliff.questions.kinds import KINDS
from bitcliff.record import Record, read_record
from bitcliff.run.assess_job import AssessJob, run_assess
from bitcliff.run.explain_job import ExplainJob, run_explain
from bitcliff.run.second_data import differences
from tests.a_record import figures_in, observed_in
from tests.run.test_explain_job import QUIET

FORMATS = ("ort-uint8", "ort-uint8-batch")


def noisy(file: Path, n: int = 60, **changed: Any) -> str:
    """Digits that nobody trained on, with noise."""
    bunch, rng = load_digits(), np.random.default_rng(0)
    x = (bunch.images[-n:] / 16 + 0.2 * rng.standard_normal((n, 8, 8))).astype(np.float32)
    arrays = {"x": x[:, None], "y": bunch.target[-n:]} | changed
    np.savez(file, **{name: one for name, one in arrays.items() if one is not None})
    return str(file)


def job(out: Path, data: str = "digits") -> AssessJob:
    settings = AssessSettings(budgets=(), numerics=("ort-uint8",))
    return AssessJob("base-digits", data, out, "bitcliff", limit=40, settings=settings)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("formats") / "run"
    run_assess(job(out), QUIET)
    return out


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def test_a_second_set_has_the_outcomes_of_a_run_of_its_own(run: Path, tmp_path: Path) -> None:
    data = noisy(tmp_path / "noisy.npz")
    record = run_explain(ExplainJob(run, FORMATS, (KEY,), shift=data), QUIET)
    assert read_record(run, KINDS) == record
    second = observed_in(record, KEY, DistributionsObserved).second
    assert second is not None
    assert [*second.outcomes] == [*FORMATS]
    alone = run_assess(job(tmp_path / "alone", data), QUIET)[0]
    assert second.table.ids == alone.table.ids
    assert (second.table.prediction == alone.table.prediction).all()
    for name in FORMATS:
        mine, theirs = second.outcomes[name], alone.outcomes[name]
        assert (mine.prediction == theirs.prediction).all()
        assert mine.margin == pytest.approx(theirs.margin, rel=1e-4)
    # As the run of its own states it.
    shift = figures_in(record, KEY, Distributions).policies[0].shift
    assert shift is not None
    change = alone.by_name["ort-uint8"].change
    assert change is not None
    assert (shift.change.lost, shift.change.gained) == (change.lost, change.gained)
    assert "drawn otherwise" in (run / "report.html").read_text()


def test_formats_beside_bits_keep_their_order(tmp_path: Path) -> None:
    settings = AssessSettings(
        bits=(4, 5), budgets=(4.5,), uniform=(4,), numerics=("ort-uint8",), rounds=0, exchanges=0,
        evaluations=0, draws=1,
    )  # fmt: skip
    out = tmp_path / "run"
    run_assess(replace(job(out), settings=settings), QUIET)
    record: Record
    for policies in ((FORMATS[0], "uniform-4"), ("uniform-4", FORMATS[0])):
        record = run_explain(ExplainJob(out, policies, (KEY,)), QUIET)
        assert record.explained is not None
        assert record.explained.policies == ["uniform-4", FORMATS[0]]
        record = run_explain(ExplainJob(out, policies, ("inputs",)), QUIET)
        assert record.answers.keys() == {"inputs", KEY}


NARROW = np.zeros((30, 1, 6, 6), np.float32)
OTHER = np.arange(30, dtype=np.int64) % 20


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"x": NARROW, "y": OTHER % 10}, r"its inputs are \(1, 6, 6\), and those of digits \(1, 8"),
        ({"x": NARROW[..., :0], "y": OTHER % 10}, "second.npz"),
        (
            {"x": np.ones((30, 1, 8, 8), np.float32), "y": OTHER},
            "label 10 of 10 is out of range",
        ),
        ({"y": None}, "has no labels, and digits has some"),
        ({"n": 12}, "12 examples are too few to compare; give 20 or more"),
    ],
)
def test_what_cannot_be_set_beside_the_run_is_refused_in_a_line(
    run: Path, tmp_path: Path, changed: dict[str, Any], says: str
) -> None:
    data = noisy(tmp_path / "second.npz", **changed)
    before = (run / "record.json").read_bytes()
    with pytest.raises(InputError, match=says) as refused:
        run_explain(ExplainJob(run, FORMATS, (KEY,), shift=data), QUIET)
    assert "\n" not in str(refused.value)
    assert (run / "record.json").read_bytes() == before


def test_data_of_other_classes_are_refused() -> None:
    own = load_examples("digits", subject=load_model("base-digits"), limit=30)
    letters = replace(own, class_names=tuple("abcdefghij"), sha256="1" * 64, name="letters")
    (told,) = differences(own, letters)
    assert told == "its classes are a, b, c, d, e, ..., and those of digits 0, 1, 2, 3, 4, ..."
    assert differences(own, replace(letters, class_names=None)) == []


def test_the_run_s_own_data_are_no_second_set(run: Path) -> None:
    with pytest.raises(InputError, match="--shift digits: is the data of the run itself"):
        run_explain(ExplainJob(run, shift="digits"), QUIET)
    with pytest.raises(InputError, match="nowhere"):
        run_explain(ExplainJob(run, shift="nowhere.npz"), QUIET)
