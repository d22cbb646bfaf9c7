"""Runs of `bitcliff provoke --policy` beside the first: python -m experiments.adaptive_bits RUN ...

Of the examples that can fail under all of them, how many any search made fail, or are wrong as they
are, and the change from the first run with its interval and exact McNemar test.
"""

import sys
from pathlib import Path

import numpy as np

from bitcliff.questions.provocation.record import CONTROL, Provocation
from bitcliff.questions.provocation.statistics import can_fail
from bitcliff.questions.provocation.store import PROVOKE
from bitcliff.report.formatting import rate_interval
from bitcliff.stats.intervals import rate
from bitcliff.stats.paired import change_between


def held(record: Provocation) -> dict[str, bool]:
    """By the ids of the examples that float has right by delta, whether the network holds: it is
    right of the example, and no search found an input near it on which it is wrong."""
    observed, delta = record.observed, record.observed.delta
    able = [parent.id for parent in can_fail(observed)]
    failed = {
        name
        for one in observed.searched
        for method, attempts in one.attempts.items()
        if method != CONTROL
        for name, attempt in zip(able, attempts, strict=True)
        if attempt.failure is not None
    }
    led = [one.id for one in observed.parents if (one.float_lead or 0.0) >= delta]
    return {name: name in set(able) - failed for name in led}


def main(folders: list[str]) -> None:
    """Print a line for each run."""
    found = [held(PROVOKE.read(Path(folder))) for folder in folders]
    names = sorted(set.intersection(*map(set, found)))
    first, *_ = rows = [np.array([one[name] for name in names]) for one in found]
    for folder, row in zip(folders, rows, strict=True):
        lost = rate(int((~row).sum()), len(row))
        change = change_between(first, row)
        print(
            f"{folder}: lost {lost.k} of {lost.n} ({rate_interval(lost)}); against the first "
            f"{change.lost} more, {change.gained} fewer, p {change.p_value:.3g}"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
