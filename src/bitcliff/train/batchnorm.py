"""What a quantized pass may do to the statistics of batch normalisation.

The float and the quantized network share one set of running statistics, and quantized activations
have others than float ones. Whose they are decides how far the two come apart.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

BatchNormMode = Literal["both", "float", "running", "frozen"]


def start_training(model: nn.Module, mode: BatchNormMode) -> None:
    """Training mode; with "frozen", batch normalisation stays as in evaluation."""
    model.train()
    if mode == "frozen":
        for layer in _layers(model):
            layer.eval()


@contextmanager
def quantized_pass(model: nn.Module, mode: BatchNormMode) -> Iterator[None]:
    """The quantized pass leaves no trace in the statistics, unless the mode is "both".

    With "float" it normalises by its own batch, with "running" by the running statistics of the
    float passes, as the network will in evaluation.
    """
    layers = [layer for layer in _layers(model) if layer.training and layer.track_running_stats]
    for layer in layers if mode == "float" else ():
        # In training mode a layer that tracks nothing normalises by the batch and updates nothing.
        layer.track_running_stats = False
    for layer in layers if mode == "running" else ():
        layer.eval()
    try:
        yield
    finally:
        for layer in layers:
            layer.track_running_stats = True
            layer.train()


def _layers(model: nn.Module) -> list[_BatchNorm]:
    return [module for module in model.modules() if isinstance(module, _BatchNorm)]
