"""A student that predicts as a black box does, of which only outputs are known (paper section 3.1).

Both see the same view of each image, augmented and mixed, and no label is used: "patient and
consistent" distillation (Beyer et al. 2022).
"""

from collections.abc import Callable, Mapping
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from bitcliff.errors import InputError
from bitcliff.losses import distillation_loss
from bitcliff.train.data import Split
from bitcliff.train.hardware import ALONE, Hardware
from bitcliff.train.loop import Metrics, Validation
from bitcliff.train.measure import predictions_in_float
from bitcliff.train.mixup import mixup
from bitcliff.types.value import Value

Ask = Callable[[Tensor], Tensor]
"""Images (batch, *rest) to outputs: (batch, classes), or (batch,) classes where that is all."""


class DistillSettings(Value):
    """What the black box gives away, and how it is learned from.

    Attributes:
        answers: "logits"; "probabilities", whose logarithm serves as logits; or "top-1", the class
            alone, which leaves a plain cross-entropy.
        temperature: of the softened outputs; "top-1" has none.
        mixup: alpha of the Beta(alpha, alpha) that mixes images by pairs; 0 mixes none.
    """

    answers: Literal["logits", "probabilities", "top-1"] = "logits"
    temperature: float = Field(default=5.0, gt=0)
    mixup: float = Field(default=1.0, ge=0)


class DistillStage:
    """A student and what it asks.

    Args:
        ask: the black box. training, validation: their labels are never learned from.

    Raises:
        InputError: the black box and the student do not have the same classes.
    """

    def __init__(
        self,
        student: nn.Module,
        ask: Ask,
        training: Split,
        validation: Split,
        settings: DistillSettings,
        hardware: Hardware = ALONE,
    ) -> None:
        self.student = student.to(hardware.device).requires_grad_(True)
        self.training, self.validation, self.settings = training, validation, settings
        self.hardware = hardware
        self._ask = ask
        check_classes(ask, self.student, training.inputs[:2].to(hardware.device))
        self._targets = predictions_of(ask, validation, hardware.device)

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """The student."""
        return {"network": self.student}

    @property
    def ids(self) -> tuple[str, ...]:
        """Of the training examples."""
        return self.training.ids

    def loss(self, index: Int[Tensor, " batch"]) -> tuple[Tensor, Metrics]:
        """Mean over the batch, nats."""
        images = self.training.seen(index).to(self.hardware.device)
        if self.settings.mixup:
            images = mixup(images, self.settings.mixup)
        # First of all: if the black box is gone, nothing of the student has moved yet.
        outputs = self._ask(images)
        self.student.train()
        loss = self._distance(self.hardware.logits(self.student, images), outputs)
        return loss, {"distillation": loss.item()}

    def _distance(self, given: Float[Tensor, "batch classes"], outputs: Tensor) -> Tensor:
        kind, temperature = self.settings.answers, self.settings.temperature
        if kind == "top-1":
            target = top_1(outputs)
            if int(target.max()) >= given.shape[1] or int(target.min()) < 0:
                raise InputError(
                    f"the teacher predicts class {int(target.max())}, but the model has "
                    f"{given.shape[1]} classes"
                )
            return F.cross_entropy(given, target)
        if outputs.ndim != 2:
            raise InputError(f"the black box gives classes alone, no {kind}: set answers: top-1")
        if kind == "probabilities":
            outputs = log_probabilities(outputs)
        return distillation_loss(given, outputs, temperature)

    def validate(self) -> Validation:
        """How often the student agrees with the black box on images it was not trained on."""
        self.student.eval()
        predictions = predictions_in_float(self.student, self.validation.inputs)
        agreement = (predictions == self._targets).double().mean().item()
        accuracy = (predictions == self.validation.labels).double().mean().item()
        return Validation((agreement,), {"agreement": agreement, "float": accuracy})


def check_classes(ask: Ask, student: nn.Module, images: Tensor) -> None:
    """InputError unless the black box and the student have the same classes."""
    outputs = ask(images)
    student.eval()
    with torch.no_grad():
        classes = student(images).shape[1]
    theirs = outputs.shape[1] if outputs.ndim == 2 else int(outputs.max()) + 1
    if theirs > classes or (outputs.ndim == 2 and theirs != classes):
        raise InputError(
            f"the teacher has {theirs} classes, but the model {classes}: "
            "set num_classes, or give another model"
        )


def predictions_of(
    ask: Ask, data: Split, device: torch.device = ALONE.device, batch: int = 256
) -> Int[Tensor, " n"]:
    """The black box's class for each example; it is shown the images on that device."""
    parts = data.inputs.split(batch)
    return torch.cat([top_1(ask(images.to(device))).cpu() for images in parts])


def top_1(outputs: Tensor) -> Int[Tensor, " batch"]:
    """The class, from scores (batch, classes) or from the class itself."""
    return outputs.argmax(1) if outputs.ndim == 2 else outputs.long()


def log_probabilities(
    outputs: Float[Tensor, "batch classes"],
) -> Float[Tensor, "batch classes"]:
    """The logarithm; what was rounded to zero counts as the smallest number there is.

    Raises:
        InputError: a row is negative or does not add up to one.
    """
    if bool((outputs < 0).any()) or bool(((outputs.sum(1) - 1).abs() > 0.01).any()):
        raise InputError("the black box gives no probabilities: set answers: logits")
    return outputs.clamp(min=torch.finfo(outputs.dtype).tiny).log()
