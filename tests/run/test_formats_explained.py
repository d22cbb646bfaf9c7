"""A shipped format that breaks a network: which layer, and what to do, as the commands tell it."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from bitcliff.errors import InputError
from bitcliff.questions.kinds import KINDS
from bitcliff.questions.layers.cells import range_text
from bitcliff.questions.layers.record import KeptObserved, Layers, LayersObserved
from bitcliff.questions.variants.page import variants_section
from bitcliff.questions.variants.record import Variants
from bitcliff.record import Record, read_record
from bitcliff.run.assess_job import AssessJob, run_assess
from bitcliff.run.explain_job import ExplainJob, run_explain
from bitcliff.run.plan_file import read_plan
from bitcliff.types.settings import AssessSettings
from tests.contract.runs import QUIET
from tests.questions.page_text import page_of
from tests.run.test_layers_in_runtimes import trained

SETTINGS = AssessSettings(budgets=(), uniform=(), numerics=("ort-uint8", "vllm-int8-token"))

QUESTIONS = ("layers", "inputs", "variants")


def depthwise() -> nn.Module:
    return trained()[0]


def kept_in(record: Record) -> KeptObserved:
    observed = record.observed_by("layers", LayersObserved)
    assert observed is not None
    [kept] = observed.kept
    return kept


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Assessed in two formats; the one that loses most is explained, without being named."""
    folder = tmp_path_factory.mktemp("formats")
    _, inputs, labels = trained()
    np.savez(folder / "data.npz", x=inputs.numpy(), y=labels.numpy())
    job = AssessJob(
        f"py:{__name__}:depthwise", str(folder / "data.npz"), folder / "run", "bitcliff ...",
        settings=SETTINGS,
    )  # fmt: skip
    run_assess(job, QUIET)
    run_explain(ExplainJob(folder / "run", questions=QUESTIONS), QUIET)
    return folder / "run"


def test_the_layer_that_breaks_is_named_and_float_there_gives_it_back(run: Path) -> None:
    record = read_record(run, KINDS)
    assert record.explained is not None
    assert record.explained.policies == ["ort-uint8"]
    layers = record.answer("layers", Layers)
    assert layers is not None
    [kept] = layers.kept
    assert kept.chosen is not None
    assert {"depthwise", "pointwise"} & {*kept.chosen.points}
    assert kept.plan is not None


def test_the_plan_does_in_assess_what_explain_says_of_it(run: Path, tmp_path: Path) -> None:
    record = read_record(run, KINDS)
    plan = read_plan(run / "plan.yaml")
    settings = SETTINGS.changed(in_float=tuple(plan.float_points), numerics=("ort-uint8",))
    job = AssessJob(
        f"py:{__name__}:depthwise", str(run.parent / "data.npz"), tmp_path / "planned", "",
        settings=settings,
    )  # fmt: skip
    planned, _ = run_assess(job, QUIET)
    kept = kept_in(record)
    found = kept.predictions[range_text({kept.points.index(name) for name in plan.float_points})]
    assert np.array_equal(planned.outcomes["ort-uint8"].prediction, found)


def test_variants_stand_beside_it_on_the_page(run: Path) -> None:
    record = read_record(run, KINDS)
    found = record.answer("variants", Variants)
    assert found is not None
    [one] = found.formats
    assert [row.family for row in one.tried] == ["zero-point", "groups"]
    section = variants_section(record, found)
    assert section is not None
    assert "smaller groups: activations by example" in page_of(record, section)


def test_a_batch_that_shares_a_scale_is_run_as_in_the_run(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    record = run_explain(ExplainJob(copy, ("ort-uint8-batch",), QUESTIONS), QUIET)
    found = kept_in(record).predictions[""]
    assert np.array_equal(found, record.outcomes["ort-uint8-batch"].prediction)


def test_what_needs_bits_or_a_format_is_refused(run: Path) -> None:
    with pytest.raises(InputError, match=r"--only activations: ort-uint8 shows no bits"):
        run_explain(ExplainJob(run, ("ort-uint8",), ("activations",)), QUIET)
    with pytest.raises(InputError, match=r"--policy worst-7: .* it has ort-uint8, ort-uint8-batch"):
        run_explain(ExplainJob(run, ("worst-7",)), QUIET)
