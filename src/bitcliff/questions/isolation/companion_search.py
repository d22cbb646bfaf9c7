"""One victim, and the companions that were really run beside it."""

from dataclasses import dataclass

from torch import Tensor

from bitcliff.questions.isolation.bench import Bench, beside
from bitcliff.questions.isolation.record import Attack
from bitcliff.types.subject import Inputs


@dataclass
class Attempt:
    """An attack on one victim: batches of two in the runtime, the worst of them kept.

    Attributes:
        victim: a batch of one. decision: its prediction alone.
        companion: the worst so far, a batch of one; `name` in words. margin: by how far the
            decision then leads, logits. runs: batches run. flips: how many of them flipped it;
            flipped_at: the number of the first such run.
    """

    bench: Bench
    victim: Inputs
    decision: int
    companion: Inputs | None = None
    name: str = ""
    margin: float = float("inf")
    prediction: int = -1
    runs: int = 0
    flips: int = 0
    flipped_at: int | None = None

    def offer(self, companion: Inputs, name: str) -> float:
        """Run the victim beside it; its margin."""
        scores = self.bench.scores(beside(self.victim, companion))[:1]
        self.runs += 1
        prediction = int(scores.argmax())
        margin = self.bench.lead(scores, self.decision)
        flipped = prediction != self.decision
        self.flips += flipped
        # A tie may flip with a margin of zero: a flip counts as worse than none.
        first = flipped and self.flipped_at is None
        if first:
            self.flipped_at = self.runs
        if first or (margin < self.margin and flipped == (self.flips > 0)):
            self.companion, self.name = companion, name
            self.margin, self.prediction = margin, prediction
        return margin

    @property
    def depth(self) -> tuple[bool, float]:
        """The less, the worse for the victim."""
        return self.flipped_at is None, self.margin

    def tensor(self) -> Tensor:
        """The worst companion, where it is a tensor."""
        assert isinstance(self.companion, Tensor)  # noqa: S101  (crafted from tensors alone)
        return self.companion

    def result(self) -> Attack:
        """For the record."""
        return Attack(
            prediction=self.prediction,
            margin=self.margin,
            companion=self.name,
            runs=self.runs,
            flips=self.flips,
            flipped_at=self.flipped_at,
        )
