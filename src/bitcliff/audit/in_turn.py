"""Examples run under many roundings that differ at a few points each, as sweeps over layers do."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from jaxtyping import Int
from torch import Tensor

from bitcliff.audit.evaluator import Evaluator, Scores
from bitcliff.points.replay import ReplayingAttachment, Work

Key = TypeVar("Key")


class InTurn:
    """Runs them batch by batch; each pass begins where it first differs from the one before.

    Attributes:
        work: what ran. whole: what one pass without any before it takes, over all batches.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self._attachment = ReplayingAttachment(evaluator.attachment)
        self._evaluator = replace(evaluator, attachment=self._attachment)
        self.whole: Work = Work()

    @property
    def work(self) -> Work:
        """Counted over all batches."""
        return self._attachment.work

    def run(
        self,
        index: Int[Tensor, " m"],
        treated: Mapping[Key, Sequence[int]],
        scores: Callable[[Evaluator, Int[Tensor, " rows"], Key], Scores],
    ) -> Iterator[tuple[Key, Int[Tensor, " rows"], Scores]]:
        """What `scores` gives for every key and batch, and which rows of `index` are in it.

        Args:
            index: the examples, by their place in the data.
            treated: of each key how it treats each point, in the order of execution. Sorted by
                that, passes have most in common with the one before: each beginning runs once.
            scores: runs these examples, by their place in the data.
        """
        order = sorted(treated, key=lambda key: tuple(treated[key]))
        for rows, _ in self._evaluator.batches_of(index):
            before = replace(self.work)
            with self._attachment.one_batch():
                for key in order:
                    found = scores(self._evaluator, index[rows], key)
                    if key is order[0]:
                        self.whole.calls += self.work.calls - before.calls
                        self.whole.macs += self.work.macs - before.macs
                    yield key, rows, found
