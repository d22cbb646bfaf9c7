"""Several networks on the same corrupted images: the paper's Figure 4, from records alone.

    python experiments/corruptions_of_networks.py [--policy NAME] [--out FILE.svg] RUN RUN ...

Each RUN holds what `bitcliff explain RUN` wrote. Writes one SVG, and prints for every corruption
the difference in float accuracy of each network from the first, over all degrees and seeds. Its
interval is a bootstrap over images: networks are compared on the same corrupted ones.
"""

import argparse
from pathlib import Path

import numpy as np
from jaxtyping import Float64
from scipy import stats

from bitcliff.errors import InputError
from bitcliff.questions.corruptions.networks_plot import corruptions_of_networks
from bitcliff.questions.corruptions.record import FLOAT, CorruptionsObserved
from bitcliff.questions.kinds import KINDS
from bitcliff.record import read_record, write_text_atomic

_RESAMPLES = 10_000


def shares(found: CorruptionsObserved, name: str) -> Float64[np.ndarray, " images"]:
    """By image: the share of right float predictions over the seeds and degrees of a corruption."""
    cells = [one for one in found.cells if name in ("all", one.corruption)]
    marks = [list(text) for cell in cells for text in cell.marks[FLOAT]]
    by_image: Float64[np.ndarray, " images"] = (np.array(marks) == "1").mean(0)
    return by_image


def main() -> None:
    """Draw and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--policy", help="drawn beside float; by default each run's own first")
    parser.add_argument("--out", type=Path, default=Path("corruptions.svg"))
    given = parser.parse_args()
    records = [read_record(run, KINDS) for run in given.runs]
    write_text_atomic(given.out, corruptions_of_networks(records, given.policy))
    parts = [record.observed_by("corruptions", CorruptionsObserved) for record in records]
    first = parts[0]
    if first is None:
        raise InputError(f"{given.runs[0]}: has no corruptions")
    print("| network | corruption | float right, first | float right | points more (95 %) |")
    print("|---|---|---|---|---|")
    for record, part in zip(records[1:], parts[1:], strict=True):
        if part is None or part.examples != first.examples:
            raise InputError(f"{record.subject.model}: not measured on the same images")
        for name in [*(one.name for one in first.corruptions), "all"]:
            before, after = shares(first, name), shares(part, name)
            more = stats.bootstrap(
                (after - before,), np.mean, n_resamples=_RESAMPLES, rng=np.random.default_rng(0)
            ).confidence_interval
            print(
                f"| {record.subject.model} | {name} | {100 * before.mean():.1f} | "
                f"{100 * after.mean():.1f} | {100 * (after - before).mean():+.1f} "
                f"({100 * more.low:+.1f} to {100 * more.high:+.1f}) |"
            )


if __name__ == "__main__":
    main()
