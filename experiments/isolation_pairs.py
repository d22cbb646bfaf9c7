"""Whether a victim's scores are the same bits beside any companion, in a format and in float.

    python -m experiments.isolation_pairs MODEL DATA --numerics NAME [--pairs 1000] [--batch 4]
        [--examples 200]

Each pair is a victim and a companion drawn at random from the data, texts cut to one length. The
victim's scores are compared, bit for bit:

- *at its place*: first in a batch with copies of the companion, against first in a batch of
  copies of itself: the same kernels for the same sizes, so that what differs is the companion's
  doing;
- *alone*: first in that batch against itself in a batch of one, where float kernels may sum in
  another order.

Prints how many pairs are alike, in float and in the format, with exact 95 % intervals.
"""

import argparse
from collections import Counter
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from bitcliff.adapters import load_examples, load_model
from bitcliff.audit.format_runtime import format_runtime
from bitcliff.points import take
from bitcliff.questions.isolation.bench import laid_out_alike
from bitcliff.report.formatting import rate_interval
from bitcliff.stats import rate
from bitcliff.types.presets import Format, preset
from bitcliff.types.runtime import Runtime
from bitcliff.types.subject import AllInputs, Inputs, Subject, Texts

PLACES = ("at its place", "alone")


def alike(
    subject: Subject, inputs: AllInputs, name: str, shipped: Format, pairs: int, batch: int
) -> Counter[tuple[str, str]]:
    """How many of so many random pairs are alike: in "float" or "format", and against what."""
    runtime = format_runtime(name, shipped, subject, inputs)
    found: Counter[tuple[str, str]] = Counter()
    count = len(next(iter(inputs.values())) if isinstance(inputs, dict) else inputs)
    known: dict[int, list[Tensor]] = {}
    for victim, companion in _drawn(count, pairs):
        if victim not in known:
            known[victim] = [*_scores(runtime, inputs, [victim] * batch)]
            known[victim] += _scores(runtime, inputs, [victim])
        beside = [*_scores(runtime, inputs, [victim, *[companion] * (batch - 1)])]
        for place, kind in enumerate(("float", "format")):
            for against, compared in enumerate(PLACES):
                same = torch.equal(beside[place], known[victim][2 * against + place])
                found[kind, compared] += same
    return found


def _drawn(count: int, pairs: int) -> Iterator[tuple[int, int]]:
    dice = np.random.default_rng(0)
    for _ in range(pairs):
        victim, companion = dice.choice(count, 2, replace=False).tolist()
        yield victim, companion


def _scores(runtime: Runtime, inputs: AllInputs, places: list[int]) -> tuple[Tensor, Tensor]:
    """Of the first, in float and in the format."""
    batch: Inputs = take(inputs, torch.tensor(places))
    batch = batch if isinstance(batch, Texts) else laid_out_alike(batch)
    return runtime.run_float(batch)[0], runtime.run(batch)[0]


def main() -> None:
    """The command above."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--numerics", action="append", required=True)
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--examples", type=int, default=200)
    asked = parser.parse_args()
    subject = load_model(asked.model)
    examples = load_examples(asked.data, subject=subject, limit=asked.examples)
    inputs = examples.inputs
    if isinstance(inputs, Texts):
        inputs = inputs.cut(int(inputs.lengths.min())).unpadded()
    for name in asked.numerics:
        found = alike(subject, inputs, name, preset(name), asked.pairs, asked.batch)
        for kind in ("float", "format"):
            for compared in PLACES:
                told = rate(found[kind, compared], asked.pairs)
                print(
                    f"{name}, {kind}, {compared}: {told.k} of {told.n} alike "
                    f"({rate_interval(told)})"
                )


if __name__ == "__main__":
    main()
