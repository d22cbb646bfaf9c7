"""Every cell of the layer analysis, run: each begins where it first differs from another."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor

from bitcliff.audit.evaluator import Evaluator, Scores
from bitcliff.points.replay import ReplayingAttachment, Work
from bitcliff.questions.layers.cells import NOTHING, Cell, curves


class Sweep:
    """Runs cells batch by batch; each begins where it first differs from a cell that was recorded.

    Attributes:
        work: what ran. naive: what would have run with each cell of each curve by itself.
    """

    def __init__(self, evaluator: Evaluator, bits: Int[Tensor, "n points"]) -> None:
        self._attachment = ReplayingAttachment(evaluator.attachment)
        self._evaluator = replace(evaluator, attachment=self._attachment)
        self._bits = bits
        self.naive = Work()

    @property
    def work(self) -> Work:
        """Counted over all batches."""
        return self._attachment.work

    def run(self) -> Iterator[tuple[Cell, Scores]]:
        """The scores of every distinct cell, on one batch of examples after the other."""
        points = self._bits.shape[1]
        everything = frozenset(range(points))
        cells = [cell for cell in curves(points).distinct if cell not in (NOTHING, everything)]
        for rows, _ in self._evaluator.batches_of(torch.arange(len(self._bits))):
            # One tape at a time, for the memory's sake.
            for base in (NOTHING, everything):
                before = replace(self.work)
                with self._attachment.recorded() as tape:
                    scores = self._scores(rows, base)
                yield base, scores
                if base == NOTHING:
                    self._count_naive(before, points)
                # A cell begins either like the one or like the other.
                for cell in (cell for cell in cells if (0 in cell) == (0 in base)):
                    with self._attachment.replayed(tape):
                        scores = self._scores(rows, cell)
                    yield cell, scores

    def _scores(self, rows: Int[Tensor, " rows"], cell: Cell) -> Scores:
        return self._evaluator.scores(rows, self._bits[rows], cell)

    def _count_naive(self, before: Work, points: int) -> None:
        """Four curves of L cells, each a whole pass like the one just made."""
        self.naive.calls += 4 * points * (self.work.calls - before.calls)
        self.naive.macs += 4 * points * (self.work.macs - before.macs)
