"""How much effort the search needs on the built-in network, and what each of its parts adds.

    python experiments/search_effort.py [MEAN ...]

Prints one row for each stage: flips of the float prediction among the twenty images, how many of
them stay in all three repeats with a nudged input, accuracy, and forward and backward passes an
example.
`LOG.md` has the results.
"""

import sys

import torch

from bitcliff.adapters import load_examples, load_model
from bitcliff.audit.evaluator import Evaluator, margins
from bitcliff.audit.search import (
    Best,
    Problem,
    even_allocation,
    evolve,
    exchange,
    generator,
    relinearise,
)
from bitcliff.points import Attachment, discover
from bitcliff.stats import rate

_BATCH, _SEEDS, _REPEATS = 4, (0, 1), 3
_BITS = torch.arange(3, 11)


class Study:
    """One mean of bits: a fresh search for every row."""

    def __init__(self, evaluator: Evaluator, labels: torch.Tensor, mean: float) -> None:
        self.evaluator = evaluator
        self.labels = labels
        self.points = len(evaluator.attachment.plan)
        index = torch.arange(len(labels))
        total = round(mean * self.points)
        self.problem = Problem(evaluator, index, index, _BITS, total)
        self.mean = mean
        self.before = (0, 0)

    def start(self) -> Best:
        """A search that has seen the even allocation alone."""
        self.before = (self.evaluator.spent.forward, self.evaluator.spent.backward)
        best = Best(self.problem, even_allocation(self.problem, self.points))
        best.offer(best.bits.clone())
        return best

    def row(self, words: str, best: Best) -> None:
        """Print what a search has reached; costs nothing on its account."""
        work = self.evaluator.spent
        forward, backward = work.forward - self.before[0], work.backward - self.before[1]
        index, n = self.problem.index, len(self.labels)
        flips = best.cost < 0
        stay = flips.clone()
        for number in range(_REPEATS):
            again = self.evaluator.repeat(index, best.bits, number)
            if again is not None:
                stay &= again.predictions != self.evaluator.reference
        right = self.evaluator.scores(index, best.bits).predictions == self.labels
        exact = rate(int(right.sum()), n)
        print(
            f"| {self.mean:g} | {words} | {int(flips.sum())} | {int(stay.sum())} "
            f"| {exact.k}/{n} ({100 * (exact.low or 0):.0f} to {100 * (exact.high or 0):.0f} %) "
            f"| {forward / n:.0f} | {backward / n:.0f} |",
            flush=True,
        )
        # Looking is not searching: what this row has run is taken off the account.
        looked = work.forward - self.before[0] - forward
        self.before = (self.before[0] + looked, self.before[1])

    def run(self) -> None:
        """All rows."""
        for seed in _SEEDS:
            best = self.start()
            gradients = relinearise(self.problem, best, 6)
            self.row(f"6 rounds, seed {seed}", best)
            for steps in (40, 80):
                exchange(self.problem, best, gradients, steps, generator(seed, steps))
                self.row(f"... and {steps} exchanges more", best)
        best = self.start()
        relinearise(self.problem, best, 24)
        self.row("24 rounds alone", best)
        best = self.start()
        blind = torch.zeros(len(best.bits), self.points, len(_BITS))
        exchange(self.problem, best, blind, 160, generator(2))
        self.row("160 exchanges alone, no gradients", best)
        for evaluations in (48, 192):
            best = self.start()
            evolve(self.problem, best, evaluations, generator(3))
            self.row(f"evolution, {evaluations} evaluations", best)


def main(means: list[float]) -> None:
    """Run the study at each mean."""
    subject = load_model("efficientnet-lite0")
    examples = load_examples("imagenet-20", subject=subject)
    labels = examples.labels
    if labels is None:
        raise SystemExit("the images have lost their labels")
    attachment = Attachment(subject.module, discover(subject.module, examples.inputs), "onnx")
    evaluator = Evaluator(attachment, examples.inputs, _BATCH)
    base = evaluator.float_scores(torch.arange(len(labels)))
    evaluator.reference = base.predictions
    evaluator.scale = float(margins(base.logits, base.predictions).median())
    print("| mean bits | search | flips | stay | accuracy | forward | backward |")
    print("|---|---|---|---|---|---|---|")
    for mean in means:
        Study(evaluator, labels, mean).run()


if __name__ == "__main__":
    main([float(mean) for mean in sys.argv[1:]] or [7.0, 9.0])
