"""Every cell of the layer analysis, run: each begins where it first differs from another."""

from collections.abc import Iterator

import torch
from jaxtyping import Int
from torch import Tensor

from bitcliff.audit.evaluator import Evaluator, Scores
from bitcliff.audit.in_turn import InTurn
from bitcliff.points.replay import Work
from bitcliff.questions.layers.cells import Cell, curves


class Sweep:
    """Runs cells batch by batch."""

    def __init__(self, evaluator: Evaluator, bits: Int[Tensor, "n points"]) -> None:
        self._turns = InTurn(evaluator)
        self._bits = bits

    @property
    def work(self) -> Work:
        """What ran."""
        return self._turns.work

    @property
    def naive(self) -> Work:
        """What would have run with each cell of each of the four curves by itself."""
        whole, cells = self._turns.whole, 4 * self._bits.shape[1]
        return Work(cells * whole.calls, cells * whole.macs)

    def run(self) -> Iterator[tuple[Cell, Scores]]:
        """The scores of every distinct cell, on one batch of examples after the other."""
        points = range(self._bits.shape[1])
        treated = {
            cell: [index in cell for index in points] for cell in curves(len(points)).distinct
        }

        def scores(evaluator: Evaluator, rows: Int[Tensor, " rows"], cell: Cell) -> Scores:
            return evaluator.scores(rows, self._bits[rows], cell)

        everyone = torch.arange(len(self._bits))
        for cell, _, found in self._turns.run(everyone, treated, scores):
            yield cell, found
