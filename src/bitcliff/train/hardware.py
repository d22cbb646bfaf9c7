"""What training runs on: the CPU or GPUs, in one process or several, and how exactly."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.distributed as dist
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from bitcliff.errors import BitcliffError
from bitcliff.types.value import Value

_CPU = torch.device("cpu")


class HardwareSettings(Value):
    """What to train on.

    Attributes:
        device: "cpu"; "cuda"; or "auto", a GPU where there is one.
        devices: processes that share each batch, on CUDA with a GPU each.
        precision: of networks in float: "float32", or "bf16" by torch's autocast. Quantized passes,
            losses, the policy network and all measuring are in float32 in any case.
    """

    device: Literal["auto", "cpu", "cuda"] = "cpu"
    devices: int = Field(default=1, ge=1)
    precision: Literal["float32", "bf16"] = "float32"


@dataclass(frozen=True)
class Hardware:
    """This process's device, and its rank among the processes that train one network.

    With `size` > 1 every process must make the same calls in the same order, and torch's default
    process group be open.

    Attributes:
        bf16: whether networks in float run in it. rank: 0 for the process that writes and reports.
    """

    device: torch.device = _CPU
    bf16: bool = False
    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and reports."""
        return self.rank == 0

    def logits(
        self, network: nn.Module, images: Float[Tensor, "batch *rest"]
    ) -> Float[Tensor, "batch classes"]:
        """The outputs of a network in float, as float32: losses must not round as it does."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            logits: Tensor = network(images)
        return logits.float()

    def share(self, index: Int[Tensor, " batch"]) -> Int[Tensor, " share"]:
        """This process's part of a batch; parts differ by one example at most."""
        return index.tensor_split(self.size)[self.rank]

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over the processes."""
        if self.size == 1:
            return
        together = torch.cat([tensor.detach().reshape(-1) for tensor in tensors])
        _reduce(together, dist.ReduceOp.SUM)
        parts = together.div_(self.size).split([tensor.numel() for tensor in tensors])
        with torch.no_grad():
            for tensor, part in zip(tensors, parts, strict=True):
                tensor.copy_(part.view_as(tensor))

    def any(self, flag: bool) -> bool:
        """Whether it is so in any of the processes."""
        if self.size == 1:
            return flag
        raised = torch.tensor(int(flag), device=self.device)
        _reduce(raised, dist.ReduceOp.MAX)
        return bool(raised)


def _reduce(tensor: Tensor, how: dist.ReduceOp.RedOpType) -> None:
    try:
        dist.all_reduce(tensor, how)
    except RuntimeError as error:
        raise BitcliffError("one of the training processes is gone; go on with --resume") from error


ALONE = Hardware()


def device_of(network: nn.Module) -> torch.device:
    """Where a network lies."""
    return next(network.parameters()).device
