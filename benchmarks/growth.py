"""How work grows with its size: the slope of log time against log size, 1 where it is linear."""

import math
import statistics
from collections.abc import Callable, Iterator, Sequence

import torch

from benchmarks.harness import Work, seconds
from bitcliff.budget import solve
from bitcliff.quant import Scheme, choice_gradient, fake_quantize, round_shipped

Sized = Callable[[int], Work]


def growths() -> Iterator[tuple[str, Sequence[int], Sized]]:
    """What grows, its sizes, and the work at each."""
    yield "budget, points", (10, 20, 40, 80, 160, 320), lambda n: _solve(points=n)
    yield "budget, examples in a batch", (8, 32, 128, 512), lambda n: _solve(batch=n)
    yield "budget, options", (2, 4, 8, 14), lambda n: _solve(options=n)
    yield "round, examples", (16, 64, 256, 1024), lambda n: _round(n)
    yield "score, options", (2, 4, 8, 14), _score
    yield "round by token, tokens", (64, 256, 1024, 4096), _tokens


def slope(sizes: Sequence[int], taken: Sequence[float]) -> float:
    """By least squares."""
    found = statistics.linear_regression([math.log(n) for n in sizes], [math.log(t) for t in taken])
    return found.slope


def main() -> None:
    """One line each; the budget's is of points times the total, so about 2 in points."""
    torch.set_num_threads(1)
    for name, sizes, sized in growths():
        taken = []
        for size in sizes:
            work = sized(size)
            work()
            taken.append(statistics.median(seconds(work) for _ in range(7)))
        times = ", ".join(f"{n}: {1e3 * t:.2f}" for n, t in zip(sizes, taken, strict=True))
        print(f"{name:<32} slope {slope(sizes, taken):.2f}   ms at {times}", flush=True)


def _solve(points: int = 84, batch: int = 64, options: int = 8) -> Work:
    values = torch.randn(batch, points, options, generator=torch.Generator().manual_seed(0))
    bits = range(2, 2 + options)
    return lambda: solve(values, bits, round((bits[0] + bits[-1]) / 2 * points))


def _round(examples: int) -> Work:
    x = torch.randn(examples, 16, 16, 16)
    return lambda: fake_quantize(x, 5, "onnx")


def _score(options: int) -> Work:
    x, g = torch.randn(64, 128, 16, 16), torch.randn(64, 128, 16, 16)
    return lambda: choice_gradient(x, g, torch.arange(2, 2 + options), Scheme("onnx"))


def _tokens(tokens: int) -> Work:
    x = torch.randn(1, tokens, 768)
    return lambda: round_shipped(x, "vllm-int8-token")


if __name__ == "__main__":
    main()
