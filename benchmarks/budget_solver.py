"""Time of the exact budget solver: 84 points, options 3..10 bits, a batch of 64, on one core."""

import argparse
import statistics
import time

import torch

from bitcliff.budget import solve


def time_solver(repeats: int, mean_bits: float, batch: int, points: int) -> list[float]:
    """Microseconds per example of each repeat, after one warm-up."""
    values = torch.randn(batch, points, 8, generator=torch.Generator().manual_seed(0))
    total = round(mean_bits * points)
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        solve(values, range(3, 11), total)
        times.append((time.perf_counter() - start) / batch * 1e6)
    return times[1:]


def main() -> None:
    """Print the median time per example at three budgets; the target is 300 microseconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--points", type=int, default=84)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for mean_bits in (4.0, 5.5, 6.5, 7.0, 9.0):
        times = time_solver(options.repeats, mean_bits, options.batch, options.points)
        print(
            f"mean {mean_bits:g} bits: {statistics.median(times):.0f} us an example "
            f"(median of {options.repeats}, min {min(times):.0f}, max {max(times):.0f})"
        )


if __name__ == "__main__":
    main()
