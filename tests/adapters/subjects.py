"""Small subjects and damaged files that several tests share."""

import random
from collections.abc import Iterator

import torch
from torch import nn

from bitcliff.types.subject import Preprocessing, Subject

PREPROCESSING = Preprocessing(size=(16, 16), crop=0.8, mean=(0.5,) * 3, std=(0.25,) * 3)


class Pooled(nn.Module):
    """Any batch (n, ...) to `outputs` logits, by pooling all its values to four."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.head = nn.Linear(4, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(nn.functional.adaptive_avg_pool1d(x.flatten(1)[:, None], 4)[:, 0])  # type: ignore[no-any-return]


def a_subject(
    outputs: int = 3,
    preprocessing: Preprocessing | None = PREPROCESSING,
    class_names: tuple[str, ...] | None = None,
) -> Subject:
    """A working subject that takes inputs of any shape."""
    torch.manual_seed(0)
    module = Pooled(outputs).eval().requires_grad_(False)
    return Subject("py:a:subject", module, preprocessing, class_names, "0" * 64)


def damaged(data: bytes, seed: int = 0, flips: int = 60, cuts: int = 25) -> Iterator[bytes]:
    """The same bytes with one of them changed, at many offsets, and cut off at many.

    Half of the changes fall into the first 512 bytes, where headers are.
    """
    rng = random.Random(seed)
    for turn in range(flips):
        at = rng.randrange(min(len(data), 512) if turn % 2 else len(data))
        yield data[:at] + bytes([data[at] ^ rng.randrange(1, 256)]) + data[at + 1 :]
    for _ in range(cuts):
        yield data[: rng.randrange(len(data))]
    yield data[:-1]
    yield b""
