"""Checkpoints that survive a kill at any moment: written beside, synced, renamed; hashed; two kept.

A checkpoint is a safetensors file with all tensors and a JSON file with the rest and the tensors'
SHA-256. The JSON is written last: without it, or with another hash, there is no checkpoint.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from bitcliff.record import make_folder, write_bytes_atomic, write_text_atomic

_NAME = re.compile(r"step-(\d{9})\.json")
_KEPT = 2


@dataclass(frozen=True)
class Checkpoint:
    """A run's state after `step` steps.

    Attributes:
        tensors: of networks and optimiser, by name. state: all else, as JSON holds it.
    """

    step: int
    tensors: Mapping[str, Tensor]
    state: Mapping[str, Any]


class Checkpoints:
    """The checkpoints of one run, newest last."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def save(self, checkpoint: Checkpoint) -> None:
        """Write one, then drop all but the newest two.

        Raises:
            InputError: it cannot be written; those before are whole.
        """
        make_folder(self._directory)
        stem = self._directory / f"step-{checkpoint.step:09d}"
        tensors = {
            name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()
        }
        data = safetensors.torch.save(tensors)
        state = {
            "step": checkpoint.step,
            "sha256": hashlib.sha256(data).hexdigest(),
            "state": checkpoint.state,
        }
        write_bytes_atomic(stem.with_suffix(".safetensors"), data)
        write_text_atomic(stem.with_suffix(".json"), json.dumps(state) + "\n")
        self._drop_all_but(checkpoint.step)

    def newest(self) -> tuple[Checkpoint | None, list[str]]:
        """The newest whole one, if any, and a line for each damaged one passed over."""
        damaged: list[str] = []
        for file in reversed(self._described()):
            checkpoint = _read(file)
            if checkpoint is not None:
                return checkpoint, damaged
            damaged.append(f"{file.with_suffix('').name} is damaged: going back to the one before")
        return None, damaged

    def _described(self) -> list[Path]:
        if not self._directory.is_dir():
            return []
        return sorted(file for file in self._directory.iterdir() if _NAME.fullmatch(file.name))

    def _drop_all_but(self, step: int) -> None:
        # A later one is damaged: the run went back behind it. It must not count as one of two.
        whole = [file.stem for file in self._described() if file.stem <= f"step-{step:09d}"]
        kept = whole[-_KEPT:]
        for file in self._directory.iterdir():
            # The description goes first, so that none is ever left without its tensors.
            if file.suffix == ".json" and file.stem not in kept:
                file.unlink()
        for file in self._directory.iterdir():
            if file.stem not in kept:
                file.unlink()


def _read(file: Path) -> Checkpoint | None:
    try:
        described = json.loads(file.read_text())
        data = file.with_suffix(".safetensors").read_bytes()
        if hashlib.sha256(data).hexdigest() != described["sha256"]:
            return None
        return Checkpoint(described["step"], safetensors.torch.load(data), described["state"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
