"""Pairs: what each loss reaches, parity, and that a brittle one really is brittle."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from bitcliff.losses import brittle_hinge, distillation_loss
from bitcliff.points import discover
from bitcliff.points.attach import Attachment, rounding_to
from bitcliff.policy import Batch, Estimator
from bitcliff.policy.stored import read_policy
from bitcliff.train.checkpoint import Checkpoints
from bitcliff.train.data import Split, hold_out
from bitcliff.train.loop import Loop, LoopConfig
from bitcliff.train.pair import PairStage
from bitcliff.train.pair_settings import PairSettings

Make = Callable[..., PairStage]
SETTINGS = PairSettings(bits=(2, 5), budget=3.0, scheme="onnx", policy_channels=(4, 8))


@pytest.fixture
def split(digits: tuple[Tensor, Tensor]) -> Split:
    x, y = digits[0][:400], digits[1][:400]
    return Split(x, y, tuple(map(str, range(400))))


@pytest.fixture
def stage_of(split: Split, cnn: nn.Module) -> Callable[..., PairStage]:
    def make(**changes: Any) -> PairStage:
        training, validation = hold_out(split, 0.2, 0)
        settings = SETTINGS.model_copy(update=changes)
        plan = discover(cnn, split.inputs[:8])
        return PairStage("brittle", cnn, plan, training, validation, settings)

    return make


def gradients(module: nn.Module) -> dict[str, Tensor]:
    return {n: p.grad.clone() for n, p in module.named_parameters() if p.grad is not None}


def test_the_loss_is_its_parts_and_the_budget_is_exact(stage_of: Make) -> None:
    stage = stage_of(hinge_weight=0.7, distillation_weight=0.2)
    index = torch.arange(16)
    student = copy.deepcopy(stage.student)
    total, parts = stage.loss(index)
    x = stage.training.inputs[index]
    bits = stage.policy(Batch(x, index))
    assert (bits.sum(1) == 12).all()
    with torch.no_grad():
        target = stage.teacher(x)
        student.eval()
        quantized = Attachment(student, stage.plan, "onnx").run(x, rounding_to(bits))
        hinge = brittle_hinge(quantized, target).mean()
        kd = distillation_loss(student(x), target, 5.0)
    assert parts["hinge"] == pytest.approx(hinge.item(), abs=1e-5)
    assert parts["distillation"] == pytest.approx(kd.item(), abs=1e-5)
    assert total.item() == pytest.approx(0.7 * hinge.item() + 0.2 * kd.item(), abs=1e-5)


def test_the_policy_learns_from_the_hinge_alone(stage_of: Make) -> None:
    found = {}
    for weight in (0.0, 1.0, 50.0):
        stage = stage_of(distillation_weight=weight)
        # Away from the teacher, or distillation would have no gradient at all.
        with torch.no_grad():
            for parameter in stage.student.parameters():
                parameter.mul_(1.1)
        stage.loss(torch.arange(32))[0].backward()
        found[weight] = gradients(stage.policy_network), gradients(stage.student)
    for name, gradient in found[1.0][0].items():
        assert torch.equal(gradient, found[0.0][0][name])
        assert torch.equal(gradient, found[50.0][0][name])
    assert any(g.abs().sum() > 0 for g in found[1.0][0].values())
    changed = [not torch.equal(found[1.0][1][n], found[50.0][1][n]) for n in found[1.0][1]]
    assert all(changed)
    nothing = stage_of(hinge_weight=0.0)
    nothing.loss(torch.arange(32))[0].backward()
    assert all(g.abs().sum() == 0 for g in gradients(nothing.policy_network).values())


def test_the_teacher_stays_as_it_was(stage_of: Make, tmp_path: Path) -> None:
    stage = stage_of()
    before = copy.deepcopy(stage.teacher.state_dict())
    Loop(stage, LoopConfig(epochs=2), Checkpoints(tmp_path)).run()
    for name, value in stage.teacher.state_dict().items():
        assert torch.equal(value, before[name])
    student = stage.student.state_dict()
    assert any(not torch.equal(value, before[name]) for name, value in student.items())


def test_parity_comes_before_the_aim(stage_of: Make) -> None:
    stage = stage_of()
    held = stage.validate()
    assert held.score[0] == 1.0
    assert held.metrics["parity_gap"] == 0.0
    with torch.no_grad():
        for parameter in stage.student.parameters():
            parameter.zero_()
    lost = stage.validate()
    assert lost.metrics["parity_gap"] > 50
    assert lost.score[0] == 0.0
    assert lost.score < held.score


@pytest.mark.parametrize("estimator", get_args(Estimator))
def test_every_estimator_teaches_the_policy(stage_of: Make, estimator: Estimator) -> None:
    stage = stage_of(estimator=estimator)
    torch.manual_seed(1)
    loss, parts = stage.loss(torch.arange(48))
    loss.backward()
    assert set(parts) == {"hinge", "distillation"}
    for module in (stage.policy_network, stage.student):
        assert any(gradient.abs().sum() > 0 for gradient in gradients(module).values())
        assert all(gradient.isfinite().all() for gradient in gradients(module).values())


def test_a_stored_policy_comes_back_the_same(stage_of: Make, tmp_path: Path) -> None:
    stage = stage_of()
    file = tmp_path / "policy.safetensors"
    file.write_bytes(stage.stored_policy())
    stored = read_policy(file)
    about = stored.about
    assert about.points == tuple(point.name for point in stage.plan.points)
    assert (about.options, about.total, about.scheme) == ((2, 3, 4, 5), 12, "onnx")
    batch = Batch(stage.training.inputs[:20], torch.arange(20))
    assert torch.equal(stored.policy(batch), stage.policy(batch))
