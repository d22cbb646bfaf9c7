"""What a quantized pass may do to the statistics of batch normalisation.

The float and the quantized network share one set of running statistics, and quantized activations
have others than float ones. Whose they are decides how far the two come apart.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

BatchNormMode = Literal["both", "float", "frozen"]


def start_training(model: nn.Module, mode: BatchNormMode) -> None:
    """Training mode; with "frozen", batch normalisation stays as in evaluation."""
    model.train()
    if mode == "frozen":
        for layer in _layers(model):
            layer.eval()


@contextmanager
def statistics_kept(model: nn.Module, mode: BatchNormMode) -> Iterator[None]:
    """For the quantized pass: with "float", it normalises by its own batch but leaves no trace."""
    if mode != "float":
        yield
        return
    layers = [layer for layer in _layers(model) if layer.track_running_stats]
    for layer in layers:
        layer.track_running_stats = False
    # In training mode a layer that tracks nothing normalises by the batch and updates nothing.
    try:
        yield
    finally:
        for layer in layers:
            layer.track_running_stats = True


def _layers(model: nn.Module) -> list[_BatchNorm]:
    return [module for module in model.modules() if isinstance(module, _BatchNorm)]
