"""Distillation: what of the black box is used, and that the student comes to agree with it."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bitcliff.errors import InputError
from bitcliff.losses import distillation_loss
from bitcliff.train.checkpoint import Checkpoints
from bitcliff.train.data import Split, hold_out
from bitcliff.train.distill import DistillSettings, DistillStage, log_probabilities, predictions_of
from bitcliff.train.loop import Loop, LoopConfig
from bitcliff.train.optimiser import OptimiserConfig
from bitcliff.zoo.resnet import digits as new_network


class Box:
    """A network behind a wall: keeps what it was asked, and gives away as much as it may."""

    def __init__(self, network: nn.Module, kind: str = "logits") -> None:
        self.network, self.kind = network, kind
        self.asked: list[Tensor] = []

    def __call__(self, images: Tensor) -> Tensor:
        self.asked.append(images.clone())
        with torch.no_grad():
            logits: Tensor = self.network(images)
        if self.kind == "logits":
            return logits
        return logits.softmax(1) if self.kind == "probabilities" else logits.argmax(1)


@pytest.fixture
def split(digits: tuple[Tensor, Tensor]) -> Split:
    x, y = digits[0][:600], digits[1][:600]
    return Split(x, y, tuple(map(str, range(600))))


def stage_of(box: Box, split: Split, **settings: Any) -> DistillStage:
    torch.manual_seed(0)
    return DistillStage(new_network(), box, *hold_out(split, 0.3, 0), DistillSettings(**settings))


@pytest.mark.parametrize("kind", ["logits", "probabilities", "top-1"])
def test_the_student_learns_to_agree_with_no_label(
    split: Split, cnn: nn.Module, kind: str, tmp_path: Path
) -> None:
    # Labels turned about: whoever learned from them would agree with nobody.
    wrong = Split(split.inputs, (split.labels + 1) % 10, split.ids)
    stage = stage_of(Box(cnn, kind), wrong, answers=kind)
    before = stage.validate().metrics
    config = LoopConfig(epochs=12, batch_size=32, optimiser=OptimiserConfig(lr=0.1))
    Loop(stage, config, Checkpoints(tmp_path)).run()
    after = stage.validate().metrics
    assert before["agreement"] < 0.4
    assert after["agreement"] > 0.75
    assert after["float"] < 0.1


def test_both_see_the_same_view_and_the_same_mixture(split: Split, cnn: nn.Module) -> None:
    noisy = split.seen_as(lambda images: images + 0.1 * torch.rand_like(images))
    box = Box(cnn)
    stage = stage_of(box, noisy, mixup=1.0, temperature=2.0)
    student = copy.deepcopy(stage.student).train()
    torch.manual_seed(4)
    found, _ = stage.loss(torch.arange(16))
    shown = box.asked[-1]
    plain = stage.training.inputs[:16]
    assert not torch.equal(shown, plain)
    assert shown.max() > plain.max(), "the view acts"
    expected = distillation_loss(student(shown), cnn(shown), 2.0)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


def test_without_mixup_images_stay_themselves(split: Split, cnn: nn.Module) -> None:
    box = Box(cnn)
    stage = stage_of(box, split, mixup=0.0)
    stage.loss(torch.tensor([5, 3]))
    assert torch.equal(box.asked[-1], stage.training.inputs[[5, 3]])


def test_probabilities_serve_as_logits_do(split: Split, cnn: nn.Module) -> None:
    losses = []
    for kind in ("logits", "probabilities"):
        stage = stage_of(Box(cnn, kind), split, answers=kind)
        torch.manual_seed(1)
        losses.append(stage.loss(torch.arange(32))[0].item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_a_probability_rounded_to_zero_is_no_infinity() -> None:
    found = log_probabilities(torch.tensor([[1.0, 0.0]]))
    assert found.isfinite().all()
    with pytest.raises(InputError, match="no probabilities: set answers: logits"):
        log_probabilities(torch.tensor([[3.0, -1.0]]))


def test_classes_that_do_not_match_are_reported(split: Split, cnn: nn.Module) -> None:
    class Wide(Box):
        def __call__(self, images: Tensor) -> Tensor:
            return torch.zeros(len(images), 37)

    with pytest.raises(InputError, match="has 37 classes, but the model 10"):
        stage_of(Wide(cnn), split)


def test_a_box_that_gives_classes_alone_must_be_named_so(split: Split, cnn: nn.Module) -> None:
    stage = stage_of(Box(cnn, "top-1"), split)
    with pytest.raises(InputError, match="set answers: top-1"):
        stage.loss(torch.arange(4))


def test_predictions_are_those_of_the_box(split: Split, cnn: nn.Module) -> None:
    expected = cnn(split.inputs).argmax(1)
    for kind in ("logits", "probabilities", "top-1"):
        assert torch.equal(predictions_of(Box(cnn, kind), split), expected)
