"""A network trained on labels, from scratch or fine-tuned: the teacher, or the base of a pair."""

from collections.abc import Mapping

import torch.nn.functional as F  # noqa: N812
from jaxtyping import Int
from torch import Tensor, nn

from bitcliff.train.data import Split
from bitcliff.train.hardware import ALONE, Hardware
from bitcliff.train.loop import Metrics, Validation
from bitcliff.train.measure import correct_in_float


class ClassifyStage:
    """Cross-entropy with label smoothing (FACTS: teacher fine-tune)."""

    def __init__(
        self,
        model: nn.Module,
        training: Split,
        validation: Split,
        label_smoothing: float = 0.1,
        hardware: Hardware = ALONE,
    ) -> None:
        self.model = model.to(hardware.device).requires_grad_(True)
        self.training, self.validation = training, validation
        self.label_smoothing, self.hardware = label_smoothing, hardware

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """The network."""
        return {"network": self.model}

    @property
    def ids(self) -> tuple[str, ...]:
        """Of the training examples."""
        return self.training.ids

    def loss(self, index: Int[Tensor, " batch"]) -> tuple[Tensor, Metrics]:
        """Mean over the batch, nats."""
        self.model.train()
        device = self.hardware.device
        logits = self.hardware.logits(self.model, self.training.seen(index).to(device))
        labels = self.training.labels[index].to(device)
        loss = F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)
        return loss, {"cross_entropy": loss.item()}

    def validate(self) -> Validation:
        """Accuracy."""
        self.model.eval()
        accuracy = correct_in_float(self.model, self.validation).double().mean().item()
        return Validation((accuracy,), {"float": accuracy})
