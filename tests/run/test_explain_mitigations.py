"""`bitcliff explain --only mitigations` and `bitcliff assess --plan`, from files to files."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bitcliff.questions.kinds import KINDS
from bitcliff.questions.layers.record import Layers
from bitcliff.questions.mitigations.page import finding
from bitcliff.questions.mitigations.record import Mitigations
from bitcliff.record import Record, read_record
from bitcliff.run.assess_job import AssessJob, run_assess
from bitcliff.run.explain_job import ExplainJob, run_explain
from bitcliff.run.plan_file import planned, read_plan
from tests.a_record import figures_in
from tests.questions.mitigations.mitigated import SETTINGS, signs
from tests.run.test_assess_job import Notes
from tests.small_networks import Cliff

JOB = AssessJob(
    "py:cliff_network:net",
    "data.npz",
    Path("run"),
    "",
    settings=SETTINGS.changed(budgets=(6.0, 8.0)),
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a network, data, and a run whose mitigations are explained."""
    folder = tmp_path_factory.mktemp("mitigations")
    (folder / "cliff_network.py").write_text("from tests.small_networks import Cliff as net\n")
    x = signs()
    with torch.no_grad():
        y = Cliff()(x).argmax(1)
    np.savez(folder / "data.npz", x=x.numpy(), y=y.numpy())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(folder)
        run_assess(JOB, Notes().listener())
        run_explain(ExplainJob(JOB.out, questions=("mitigations",)), Notes().listener())
    return folder


@pytest.fixture
def job(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AssessJob:
    """The same, to be changed."""
    folder = Path(shutil.copytree(finished, tmp_path / "folder"))
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    return JOB


def mitigations_of(record: Record) -> Mitigations:
    return figures_in(record, "mitigations", Mitigations)


def test_a_plan_keeps_what_the_table_promised(job: AssessJob) -> None:
    found = mitigations_of(read_record(job.out, KINDS))
    plan = read_plan(job.out / "plan.yaml")
    assert plan == found.plan
    assert plan.budget
    settings = planned(job.settings, plan).changed(budgets=tuple(plan.budget))
    again = replace(job, out=Path("again"), settings=settings, plan=plan)
    record, _ = run_assess(again, Notes().listener())
    assert (record.settings.floors, record.settings.in_float) == (
        plan.floors,
        tuple(plan.float_points),
    )
    for mean, promised in zip(plan.budget, found.recommended, strict=True):
        worst = record.by_name[f"worst-{mean:g}"]
        assert worst.accuracy == promised.right
        assert worst.total_bits == promised.cost.total_bits
        assert worst.condition.policy_freedom_log2 == promised.cost.freedom_log2
        assert worst.effort.forward_passes == promised.passes
    assert read_record(again.out, KINDS).settings.floors == plan.floors


def test_a_new_assessment_takes_the_old_plan_away(job: AssessJob) -> None:
    plan = read_plan(job.out / "plan.yaml")
    # A run that honours the plan must not lose it.
    run_assess(replace(job, plan=plan, settings=planned(job.settings, plan)), Notes().listener())
    assert read_plan(job.out / "plan.yaml") == plan
    run_assess(job, Notes().listener())
    assert not (job.out / "plan.yaml").exists()


def test_the_report_shows_the_plan(job: AssessJob) -> None:
    page = (job.out / "report.html").read_text()
    assert "What helps?" in page
    assert "middle: " in page
    assert "--plan RUN/plan.yaml" in page


def test_a_randomised_plan_is_not_attacked(job: AssessJob) -> None:
    settings = job.settings.changed(budgets=(8.0,), randomised=True)
    again = replace(job, out=Path("randomised"), settings=settings)
    record, verdict = run_assess(again, Notes().listener())
    assert [policy.name for policy in record.policies] == ["weights-only", "random-8"]
    assert record.settings.randomised
    assert {one.policy for one in verdict.judgements} == {"weights-only", "random-8"}


def test_the_layers_that_break_are_kept_in_float_and_given_floors(job: AssessJob) -> None:
    one_budget = job.settings.changed(budgets=(8.0,))
    run_assess(replace(job, out=Path("one"), settings=one_budget), Notes().listener())
    asked = ExplainJob(Path("one"), questions=("layers", "mitigations"))
    record = run_explain(asked, Notes().listener())
    layers, found = record.answer("layers", Layers), mitigations_of(record)
    assert layers is not None
    names = [point.name for point in record.subject.points if point.quantized]
    named = [names[place] for place in layers.sweeps[0].inflection]
    assert named == ["middle"]
    # The first two mitigations, and none of them twice.
    assert [*found.tried[0].floors] == named
    assert found.tried[1].float_points == named
    tried = [(r.family, r.scheme, *r.float_points, *r.floors.items()) for r in found.tried]
    assert len(tried) == len(set(tried))
    # All examples named it, also those that confirm it.
    assert {*found.confirmed[0].float_points, *found.confirmed[0].floors} == {*named}
    assert "its points, the inflection points, were found on all)" in finding(record, found)
