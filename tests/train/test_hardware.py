"""bfloat16 where it is meant to be and nowhere else; several processes that act as one."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from bitcliff.losses import brittle_hinge, distillation_loss
from bitcliff.points import Attachment, discover
from bitcliff.points.attach import rounding_to
from bitcliff.policy import Batch
from bitcliff.train.checkpoint import Checkpoints
from bitcliff.train.classify import ClassifyStage
from bitcliff.train.data import Split, hold_out
from bitcliff.train.hardware import ALONE, Hardware
from bitcliff.train.loop import Loop, LoopConfig
from bitcliff.train.optimiser import OptimiserConfig
from bitcliff.train.pair import PairStage
from bitcliff.train.pair_settings import PairSettings
from tests.small_networks import DigitsCNN

BF16 = Hardware(bf16=True)


@pytest.fixture
def split(digits: tuple[Tensor, Tensor]) -> Split:
    x, y = digits[0][:600], digits[1][:600]
    return Split(x, y, tuple(map(str, range(600))))


def pair(split: Split, cnn: nn.Module) -> PairStage:
    settings = PairSettings(bits=(8, 10), budget=9.0, policy_channels=(4, 8))
    plan = discover(cnn, split.inputs[:8])
    return PairStage("brittle", cnn, plan, *hold_out(split, 0.2, 0), settings, hardware=BF16)


def test_networks_in_float_run_in_bfloat16_and_give_float32(split: Split, cnn: nn.Module) -> None:
    x = split.inputs[:32]
    plain, narrow = cnn(x), BF16.logits(cnn, x)
    assert torch.equal(ALONE.logits(cnn, x), plain)
    assert narrow.dtype == torch.float32
    assert torch.equal(narrow, narrow.bfloat16().float())  # so it was computed in bfloat16
    assert 0 < (narrow - plain).abs().max() < 0.02 * plain.abs().max()


def test_the_quantized_pass_and_the_losses_are_in_float32(split: Split, cnn: nn.Module) -> None:
    """At 8 to 10 bits, where bfloat16 would round away what quantization leaves."""
    stage = pair(split, cnn)
    index = torch.arange(16)
    student, x = copy.deepcopy(stage.student).eval(), stage.training.inputs[index]
    _, parts = stage.loss(index)
    with torch.no_grad():
        target = BF16.logits(stage.teacher, x)
        bits = stage.policy(Batch(x, index))
        quantized = Attachment(student, stage.plan).run(x, rounding_to(bits))
        hinge = brittle_hinge(quantized, target).mean().item()
        rounded = brittle_hinge(quantized.bfloat16().float(), target).mean().item()
        distillation = distillation_loss(BF16.logits(student, x), target, 5.0).item()
    assert parts["hinge"] == pytest.approx(hinge, rel=1e-6)
    assert rounded != pytest.approx(hinge, rel=1e-6)
    assert parts["distillation"] == pytest.approx(distillation, abs=1e-7)


def test_a_pair_trained_in_bfloat16_validates_in_float32(
    split: Split, cnn: nn.Module, tmp_path: Path
) -> None:
    stage = pair(split, cnn)
    config = LoopConfig(epochs=2, optimiser=OptimiserConfig(lr=0.002))
    Loop(stage, config, Checkpoints(tmp_path), hardware=BF16).run()
    assert all(value.dtype == torch.float32 for value in stage.student.state_dict().values())
    assert not torch.equal(
        stage.student.state_dict()["head.weight"], cnn.state_dict()["head.weight"]
    )
    found = stage.validate().metrics
    data = stage.validation
    with torch.no_grad():
        right = stage.student.eval()(data.inputs).argmax(1) == data.labels
        bits = stage.policy(Batch(data.inputs, torch.arange(len(data))))
        rounded = Attachment(stage.student, stage.plan).run(data.inputs, rounding_to(bits))
    assert found["float"] == right.double().mean().item()
    assert found["own"] == (rounded.argmax(1) == data.labels).double().mean().item()
    assert found["parity_gap"] <= 2


def test_a_network_learns_in_bfloat16(split: Split, tmp_path: Path) -> None:
    torch.manual_seed(0)
    stage = ClassifyStage(DigitsCNN(), *hold_out(split, 0.3, 0), hardware=BF16)
    config = LoopConfig(epochs=15, batch_size=32, optimiser=OptimiserConfig(kind="adamw", lr=0.01))
    Loop(stage, config, Checkpoints(tmp_path), hardware=BF16).run()
    assert stage.validate().metrics["float"] > 0.85


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_shares_are_the_batch(size: int) -> None:
    index = torch.randperm(17)
    shares = [Hardware(rank=rank, size=size).share(index) for rank in range(size)]
    assert torch.equal(torch.cat(shares), index)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Where two processes have trained, and how each says that each case ended."""
    folder = tmp_path_factory.mktemp("together")
    command = [sys.executable, "-m", "tests.train.together", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return folder, done.stdout.splitlines()


def of_case(case: str, together: tuple[Path, list[str]]) -> tuple[Path, list[str]]:
    """Its folder, and how it ended: the first process before the second."""
    folder, lines = together
    return folder / case, [line.removeprefix(f"{case} ") for line in lines if line.startswith(case)]


def test_two_processes_end_with_one_network_and_the_first_saves(
    together: tuple[Path, list[str]],
) -> None:
    """With dropout, and statistics of BatchNorm that each finds on its own share."""
    folder, lines = of_case("whole", together)
    assert lines == ["0 finished", "1 finished"]
    states = [safetensors.torch.load_file(folder / f"{rank}.safetensors") for rank in (0, 1)]
    assert "1.running_mean" in states[0]
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name
    assert (folder / "checkpoints-0").exists()
    assert not (folder / "checkpoints-1").exists()


@pytest.mark.parametrize(
    ("case", "first", "second"),
    [
        ("stopped", "0 stopped", "1 stopped"),
        ("broken", "0 the loss is not a number at step 3", "1 stopped"),
        ("failing", "0 another process failed", "1 the endpoint is down"),
    ],
)
def test_what_ends_one_process_ends_both(
    together: tuple[Path, list[str]], case: str, first: str, second: str
) -> None:
    folder, lines = of_case(case, together)
    assert len(lines) == 2
    assert lines[0].startswith(first)
    assert lines[1].startswith(second)
    newest, _ = Checkpoints(folder / "checkpoints-0").newest()
    steps = {"stopped": 3, "failing": 2}
    assert (newest.step if newest else None) == steps.get(case)
