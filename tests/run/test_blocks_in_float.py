"""Of many layers in a format blocks are left in float first, and the worst taken apart."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bitcliff.questions.kinds import KINDS
from bitcliff.questions.layers.kept_statistics import kept_problems, units
from bitcliff.questions.layers.page import layers_section
from bitcliff.questions.layers.record import Kept, Layers, LayersObserved
from bitcliff.record import read_record
from bitcliff.run.assess_job import AssessJob, run_assess
from bitcliff.run.explain_job import ExplainJob, run_explain
from bitcliff.types.settings import AssessSettings
from tests.contract.runs import QUIET
from tests.questions.page_text import page_of

BLOCKS, WORST, N = 32, 20, 60


class Block(nn.Module):
    """Adds a little; the worst one's first layer is given a large constant that it does not use."""

    def __init__(self, is_worst: bool) -> None:
        super().__init__()
        self.is_worst = is_worst
        self.first, self.second = nn.Linear(9, 8), nn.Linear(8, 8)
        with torch.no_grad():
            self.first.weight[:, 8] = 0
            if is_worst:
                self.second.weight.mul_(60)

    def forward(self, x: Tensor) -> Tensor:
        constant = torch.full_like(x[:, :1], 30000.0 if self.is_worst else 0.0)
        return x + 0.1 * self.second(self.first(torch.cat([x, constant], 1)).relu())  # type: ignore[no-any-return]


def deep() -> nn.Module:
    torch.manual_seed(0)
    blocks = nn.Sequential(*(Block(number == WORST) for number in range(BLOCKS)))
    return nn.Sequential(nn.Linear(8, 8), blocks, nn.Linear(8, 4)).eval()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("blocks")
    inputs = torch.randn(N, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        labels = deep()(inputs).argmax(1)
    np.savez(folder / "data.npz", x=inputs.numpy(), y=labels.numpy())
    settings = AssessSettings(budgets=(), uniform=(), numerics=("vllm-int8-token",))
    job = AssessJob(
        f"py:{__name__}:deep", str(folder / "data.npz"), folder / "run", "bitcliff ...",
        settings=settings,
    )  # fmt: skip
    run_assess(job, QUIET)
    run_explain(ExplainJob(folder / "run", questions=("layers",)), QUIET)
    return folder / "run"


def figures(run: Path) -> Kept:
    layers = read_record(run, KINDS).answer("layers", Layers)
    assert layers is not None
    [kept] = layers.kept
    return kept


def test_the_layer_at_fault_is_found_in_its_block(run: Path) -> None:
    kept = figures(run)
    assert kept.whole.lost > N / 5
    assert kept.chosen is not None
    assert kept.chosen.points == [f"1.{WORST}.first"]
    assert kept.chosen.right.n == N // 2
    assert kept.chosen.right.k >= N // 2 - 2
    assert kept.plan is not None


def test_far_fewer_passes_are_made_than_two_a_layer(run: Path) -> None:
    observed = read_record(run, KINDS).observed_by("layers", LayersObserved)
    assert observed is not None
    [kept] = observed.kept
    # Head and stem, the blocks, and what is in two of them: alone, and all but each; then sets.
    assert 2 * (BLOCKS + 2) < len(kept.predictions) <= 1 + 2 * (BLOCKS + 2 + 2 * 2) + 3
    assert len(kept.points) == 2 * BLOCKS + 2
    assert figures(run).in_blocks


def test_the_page_says_so(run: Path) -> None:
    record = read_record(run, KINDS)
    layers = record.answer("layers", Layers)
    assert layers is not None
    section = layers_section(record, layers)
    assert "those of a block were left in float together" in page_of(record, section)


def test_a_record_without_what_must_have_been_run_is_refused(run: Path) -> None:
    record = read_record(run, KINDS)
    observed = record.observed_by("layers", LayersObserved)
    assert observed is not None
    [kept] = observed.kept
    place = kept.points.index(f"1.{WORST}.second") + 1
    for missing in (str(place), "1"):
        fewer = {name: one for name, one in kept.predictions.items() if name != missing}
        changed = observed.model_copy(
            update={"kept": [kept.model_copy(update={"predictions": fewer})]}
        )
        problems = list(kept_problems(record, changed.kept))
        assert len(problems) == 1
        assert "predictions" in problems[0]


def test_blocks_are_told_by_names() -> None:
    few = [f"layers.{number}.fc" for number in range(64)]
    assert units(few) == [frozenset({index}) for index in range(64)]
    names = [
        *(f"model.layers.{block}.{part}" for block in range(30) for part in ("q", "k", "mlp.up")),
        "lm_head",
        "/encoder/layer_9/MatMul",
        "/encoder/layer_9/Add.1",
    ]
    found = units(names)
    assert found[:2] == [frozenset({0, 1, 2}), frozenset({3, 4, 5})]
    assert found[30:] == [frozenset({90}), frozenset({91, 92})]
