"""The optimiser and its schedule, and its state as tensors by name."""

import math
from collections.abc import Iterable, Mapping
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from bitcliff.types.value import Value


class OptimiserConfig(Value):
    """Half-period cosine from `lr` to `final_lr` over all steps (paper section 4).

    Attributes:
        kind: "sgd" or "adamw". momentum: of SGD. weight_decay: L2 penalty, for AdamW decoupled.
    """

    kind: Literal["sgd", "adamw"] = "sgd"
    lr: float = Field(default=0.1, gt=0)
    final_lr: float = Field(default=0.0, ge=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=1e-4, ge=0)

    @model_validator(mode="after")
    def _falls(self) -> "OptimiserConfig":
        if self.final_lr > self.lr:
            raise ValueError(f"final_lr {self.final_lr} must not lie above lr {self.lr}")
        return self

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """The optimiser, at the schedule's beginning."""
        if self.kind == "adamw":
            return torch.optim.AdamW(parameters, self.lr, weight_decay=self.weight_decay)
        return torch.optim.SGD(
            parameters, self.lr, momentum=self.momentum, weight_decay=self.weight_decay
        )

    def lr_at(self, step: int, steps: int) -> float:
        """The learning rate of one step out of `steps`."""
        share = (1 + math.cos(math.pi * step / steps)) / 2
        return self.final_lr + (self.lr - self.final_lr) * share


def set_lr(optimiser: torch.optim.Optimizer, lr: float) -> None:
    """For all parameters."""
    for group in optimiser.param_groups:
        group["lr"] = lr


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Its state: momentum and the like, named "parameter's number/what"."""
    return {
        f"{number}/{key}": value
        for number, state in optimiser.state_dict()["state"].items()
        for key, value in state.items()
        if isinstance(value, Tensor)
    }


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """The inverse of `optimiser_tensors`."""
    whole = optimiser.state_dict()
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        number, _, key = name.partition("/")
        state.setdefault(int(number), {})[key] = value
    optimiser.load_state_dict({**whole, "state": state})
