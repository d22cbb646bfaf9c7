"""Running batches in somebody else's runtime."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from bitcliff.audit.evaluator import margins
from bitcliff.errors import InputError, NumericError
from bitcliff.points.final_activation import FinalActivation, to_logits
from bitcliff.points.forward import batch_size
from bitcliff.types.runtime import Runtime
from bitcliff.types.subject import Inputs


@dataclass(frozen=True)
class Bench:
    """A runtime whose scores are checked.

    Attributes:
        final: the network's last activation.
    """

    runtime: Runtime
    final: FinalActivation = "none"

    def in_float(self) -> "Bench":
        """The float network in the same runtime: what a batch does without any quantization."""
        float_ = replace(
            self.runtime, name="float", description="not quantized", run=self.runtime.run_float
        )
        return replace(self, runtime=float_)

    def lead(self, scores: Float[Tensor, "1 classes"], decision: int) -> float:
        """By how far a decision leads, logits."""
        return float(margins(to_logits(scores, self.final), torch.tensor([decision])))

    def scores(self, inputs: Inputs) -> Float[Tensor, "batch classes"]:
        """Scores of one batch.

        Raises:
            InputError: the runtime refuses a batch of this size.
            NumericError: it gives NaN or infinity.
        """
        size = batch_size(inputs)
        try:
            scores = self.runtime.run(laid_out_alike(inputs))
        except Exception as error:  # runtimes raise what they like
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"--runtime {self.runtime.name}: does not run a batch of {size}: {reason}"
            ) from error
        if scores.ndim != 2 or len(scores) != size:
            raise InputError(
                f"--runtime {self.runtime.name}: gave scores {tuple(scores.shape)} for a batch of "
                f"{size}; they must be (batch, classes)"
            )
        if not bool(torch.isfinite(scores).all()):
            raise NumericError(f"--runtime {self.runtime.name}: gives NaN or infinity")
        return scores


def laid_out_alike(inputs: Inputs) -> Inputs:
    """The same values in memory of their own, in the order of the dimensions.

    A grey picture has many strides that all count as contiguous, and torch picks its kernels by
    them: two batches must not differ in that.
    """
    if isinstance(inputs, Mapping):
        return {
            name: torch.empty(value.shape, dtype=value.dtype).copy_(value)
            for name, value in inputs.items()
        }
    return torch.empty(inputs.shape, dtype=inputs.dtype).copy_(inputs)


def beside(*parts: Inputs) -> Inputs:
    """One batch of several, in this order."""
    tensors = [part for part in parts if isinstance(part, Tensor)]
    if tensors:
        return torch.cat(tensors)
    named = [part for part in parts if isinstance(part, Mapping)]
    return {key: torch.cat([part[key] for part in named]) for key in named[0]}
