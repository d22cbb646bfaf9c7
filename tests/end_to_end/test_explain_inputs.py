"""`bitcliff explain --only inputs` on the shipped pair, checked against the record's examples."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from bitcliff.questions.inputs.record import InputsAtRisk, InputsObserved
from bitcliff.questions.kinds import KINDS
from bitcliff.record import Record, read_record
from tests.a_record import figures_in, observed_in
from tests.end_to_end.commands import bitcliff

QUICK = ["--budget", "5.5", "--uniform", "5", "--rounds", "2", "--exchanges", "4"]
LEAST = ["--evaluations", "0", "--draws", "2"]
NAMES = ("uniform-5", "co-trained-5.5", "worst-5.5")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both networks of the shipped pair, the brittle one explained against the robust one."""
    folder = tmp_path_factory.mktemp("pair")
    for model in ("brittle-digits", "robust-digits"):
        arguments = ["assess", model, "--examples", "90", "--out", model, *QUICK, *LEAST]
        done = bitcliff(folder, *arguments)
        assert done.returncode in (0, 1, 3), done.stderr
    chosen = [word for name in NAMES for word in ("--policy", name)]
    done = bitcliff(
        folder,
        *("explain", "brittle-digits", "--only", "inputs", "--against", "robust-digits"),
        *("--train-examples", "100", *chosen),
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def explained(runs: Path) -> tuple[Record, InputsAtRisk]:
    record = read_record(runs / "brittle-digits", KINDS)
    found = figures_in(record, "inputs", InputsAtRisk)
    return record, found


@pytest.mark.parametrize("place", range(3))
def test_counts_follow_from_the_examples(
    runs: Path, explained: tuple[Record, InputsAtRisk], place: int
) -> None:
    record, found = explained
    reference = read_record(runs / "robust-digits", KINDS)
    name, risk = NAMES[place], found.policies[place]
    assert risk.policy == name
    right = [row for row in record.examples if row.label == row.float_prediction]
    lost = [row for row in right if row.outcomes[name].prediction != row.label]
    gone = {row.id for row in lost}
    assert (risk.at_risk.k, risk.at_risk.n) == (len(lost), len(right))
    theirs = {row.id for row in reference.examples if row.label == row.float_prediction}
    both = [row for row in right if row.id in theirs]
    moved = sum(row.id in gone for row in both)
    assert risk.transitory is not None
    assert risk.transitory_of_all is not None
    assert (risk.transitory.k, risk.transitory.n) == (moved, len(both))
    assert (risk.transitory_of_all.k, risk.transitory_of_all.n) == (moved, 90)
    kept = [row for row in right if row.id not in gone]
    margin = next(one for one in risk.comparisons if one.key == "margin")
    assert (margin.n_risk, margin.n_safe) == (len(lost), len(kept))
    if lost and kept:
        a, b = ([row.float_margin for row in group] for group in (lost, kept))
        assert margin.p_value == pytest.approx(stats.mannwhitneyu(a, b).pvalue)
        assert margin.median_risk == pytest.approx(np.median(np.array(a, dtype=float)))


def test_every_image_is_there(explained: tuple[Record, InputsAtRisk]) -> None:
    record, found = explained
    observed = observed_in(record, "inputs", InputsObserved)
    own = {row.id for row in record.examples if row.thumbnail}
    shown = {name for risk in found.policies for name in risk.worst}
    assert shown <= own | set(observed.images)
    assert not own & set(observed.images)


def test_report_is_redrawn_from_the_record(runs: Path) -> None:
    page = runs / "brittle-digits" / "report.html"
    before = page.read_text()
    assert "Which inputs are at risk" in before
    page.unlink()
    assert bitcliff(runs, "report", "brittle-digits").returncode == 0
    assert page.read_text() == before


def test_what_is_no_run_is_refused(runs: Path) -> None:
    refused = bitcliff(runs, "explain", "brittle-digits", "--against", "nowhere")
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "nowhere" in refused.stderr
