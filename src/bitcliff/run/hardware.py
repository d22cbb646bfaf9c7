"""Finding what a configuration asks to train on, and starting the further processes."""

import logging
import os
from typing import Any

import torch

from bitcliff.adapters.optional import quiet, require
from bitcliff.errors import InputError
from bitcliff.run.parent import end_with
from bitcliff.run.train_config import TrainConfig
from bitcliff.train.hardware import Hardware, HardwareSettings

# Tells the processes that Fabric starts whose they are.
_PARENT = "BITCLIFF_TRAINING_PARENT"


def find_hardware(settings: TrainConfig) -> Hardware:
    """This process's; nothing is started yet.

    Raises:
        InputError: there is no GPU, or not as many, or not an example for each.
        MissingExtra: several devices, but no Lightning Fabric.
    """
    kind = _kind(settings)
    bf16 = settings.precision == "bf16"
    if kind == "cuda":
        _be_exact()
    if settings.devices == 1:
        return Hardware(torch.device(kind), bf16)
    if settings.batch_size < settings.devices:
        raise InputError(f"devices: {settings.devices}: at most batch_size {settings.batch_size}")
    fabric = _fabric(settings)
    return Hardware(fabric.device, bf16, fabric.global_rank, settings.devices)


def start_processes(settings: HardwareSettings) -> None:
    """Start the same command again for each further device, and wait until all are connected.

    Where torchrun or SLURM has started them, they are connected alone.
    """
    if settings.devices == 1:
        return
    threads, fabric = torch.get_num_threads(), _fabric(settings)
    if fabric.global_rank > 0:
        # A first process that is killed cannot tell; the others would wait for it for half an hour.
        end_with(int(os.environ.get(_PARENT, os.getppid())))
    os.environ[_PARENT] = str(os.getpid())
    fabric.launch()
    torch.set_num_threads(threads)  # Fabric sets a number of its own


def _kind(settings: HardwareSettings) -> str:
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if settings.device == "cpu" or (settings.device == "auto" and not found):
        return "cpu"
    if not found:
        raise InputError("device: cuda: torch finds no GPU here; use cpu or auto")
    if settings.devices > found:
        raise InputError(f"devices: {settings.devices}: torch finds {found} here; use {found}")
    return "cuda"


def _be_exact() -> None:
    # By default convolutions on a GPU keep 10 bits of a float32's mantissa: weights quantized to
    # 16 bits would be rounded again.
    torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]
    torch.backends.cuda.matmul.fp32_precision = "ieee"
    torch.backends.cudnn.deterministic = True


def _fabric(settings: HardwareSettings) -> Any:
    fabric = require("lightning_fabric", "parallel", f"devices: {settings.devices}")
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    with quiet():
        return fabric.Fabric(accelerator=_kind(settings), devices=settings.devices, strategy="ddp")
