"""What rounding costs, against reading or copying the same tensor, measured in alternation.

Fake-quantization of each example, onto integers (target: 1.3 copies) and in every shipped format
(1.5 copies); the errors of eight widths weighed by a gradient (three times the dot product of
values and gradient). Run by itself on a quiet machine: `make benchmark`.
"""

import statistics
import time
from collections.abc import Callable

import torch

from bitcliff.cli.memory import keep_memory
from bitcliff.quant import Scheme, choice_gradient, fake_quantize, round_shipped
from bitcliff.types.presets import PRESETS

SHAPES = ((64, 64, 56, 56), (64, 128, 16, 16), (64, 512, 7, 7), (20, 1152, 7, 7), (8, 128, 768))
OPTIONS = torch.arange(3, 11)
ROUNDS = 15
# The compiled loops are not loaded before so many elements were rounded without them.
WARM_UP = 1 << 28


def seconds(work: Callable[[], object]) -> float:
    """Processor time of one call, so that whoever shares the machine counts for less."""
    began = time.thread_time()
    work()
    return time.thread_time() - began


def compare(name: str, work: Callable[[], object], unit: Callable[[], object]) -> None:
    """Print the median ratio over alternated pairs, and its quartiles."""
    ratios = []
    for _ in range(ROUNDS + 3):
        before = seconds(unit)
        ratios.append(seconds(work) / before)
    low, middle, high = statistics.quantiles(ratios[3:], n=4)
    print(f"{name}: {middle:.2f} (quartiles {low:.2f} to {high:.2f}, n = {ROUNDS})")


def main() -> None:
    """In one thread: ratios of single-threaded loops to copies in several would mean little."""
    torch.set_num_threads(1)
    keep_memory()
    torch.manual_seed(0)
    for _ in range(WARM_UP >> 22):
        fake_quantize(torch.zeros(64, 1 << 16), 8)
    for shape in SHAPES:
        x, g = torch.randn(shape), torch.randn(shape)
        held, bits = torch.empty_like(x), torch.randint(3, 11, shape[:1])
        copy = lambda: held.copy_(x)  # noqa: E731, B023
        compare(f"{shape}, per example / copy", lambda: fake_quantize(x, bits, "onnx"), copy)  # noqa: B023
        compare(
            f"{shape}, eight errors / dot",
            lambda: choice_gradient(x, g, OPTIONS, Scheme("onnx")),  # noqa: B023
            lambda: torch.dot(x.view(-1), g.view(-1)),  # noqa: B023
        )
    x = torch.randn(8, 128, 768)
    held = torch.empty_like(x)
    for name, one in PRESETS.items():
        if one.activations is not None:
            compare(
                f"{name} / copy",
                lambda: round_shipped(x, name),  # noqa: B023
                lambda: held.copy_(x),
            )


if __name__ == "__main__":
    main()
