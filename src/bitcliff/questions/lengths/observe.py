"""Running the network on examples padded anew: in float, simulated, and in runtimes."""

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from bitcliff.audit.evaluator import Evaluator, Scores
from bitcliff.audit.outcomes import predictions_of
from bitcliff.audit.rerun import Rerun, rerun
from bitcliff.errors import InputError
from bitcliff.questions.context import Context
from bitcliff.questions.lengths.padding import Padding, padding_of
from bitcliff.questions.lengths.record import FLOAT, LengthCell, LengthsObserved
from bitcliff.record.arrays import classes
from bitcliff.types.subject import Inputs

_COMPANIONS = 3


def observe_lengths(context: Context) -> LengthsObserved:
    """Pad every example to each length, alone and beside longer ones."""
    try:
        run = _Run(context, padding_of(context.test.examples.inputs), _ways(context))
        unpadded = run.unpadded()
    except InputError as reason:
        return LengthsObserved(reason=str(reason))
    cells = [cell for length in run.lengths() if (cell := run.at(length)) is not None]
    longest = [cell for cell in cells if cell.length == run.longest]
    beside = run.beside_longer() if longest else None
    return LengthsObserved(
        padding=run.padding.words,
        unit=run.padding.unit,
        own=run.padding.own.numpy().astype(np.int32),
        companions=run.companions,
        cells=[unpadded, *cells, *([] if beside is None else [beside])],
        refused=run.refused,
    )


@dataclass
class _Run:
    """What is measured, in which ways that work at all, and what could not be."""

    context: Context
    padding: Padding
    ways: dict[str, Rerun]
    refused: list[str] = field(default_factory=list)

    @property
    def longest(self) -> int:
        """Of the examples, without padding."""
        return int(self.padding.own.max())

    @property
    def companions(self) -> int:
        """In a batch with each."""
        return min(_COMPANIONS, len(self.padding.own) - 1)

    def lengths(self) -> list[int]:
        """That of the longest, and those asked for; by default the data's own, and twice that."""
        now = max(self.padding.tensors[name].shape[-1] for name in self.padding.fills)
        return sorted({self.longest, *(self.context.lengths.lengths or (now, 2 * now))})

    def unpadded(self) -> LengthCell:
        """Each at its own length.

        Raises:
            InputError: the network does not take them so.
        """
        own = self.padding.own
        found: dict[str, list[int | None]] = {who: [None] * len(own) for who in self.ways}
        for length in own.unique().tolist():
            places = (own == length).nonzero()[:, 0]
            inputs = self.padding.to(length, places)
            for who, scored in [*self.ways.items()]:
                try:
                    here = predictions_of(self._scored(scored, inputs, places, 1))
                except Exception as error:
                    told = f"{who} does not take examples at their own length, such as {length} "
                    told += f"{self.padding.unit} ({_one_line(error)})"
                    if who == FLOAT:
                        raise InputError(told) from error
                    self.refused.append(told)
                    del found[who], self.ways[who]
                    continue
                for place, prediction in zip(places.tolist(), here, strict=True):
                    found[who][place] = prediction
        everyone = {who: classes(mine) for who, mine in found.items()}
        return LengthCell(length=None, prediction=everyone)

    def at(self, length: int) -> LengthCell | None:
        """All that are no longer, each by itself; None: there are none, or float refuses."""
        self.context.tell(f"padded to {length} {self.padding.unit}", 0, 1)
        places = (self.padding.own <= length).nonzero()[:, 0]
        if not len(places):
            self.refused.append(f"{length} {self.padding.unit}: no example is as short")
            return None
        return self._cell(length, self.padding.to(length, places), places, 1)

    def beside_longer(self) -> LengthCell | None:
        """Each first in a batch with the longest others, all padded to the longest of all."""
        if not self.companions:
            return None
        order = self.padding.own.argsort(descending=True, stable=True).tolist()
        mates = [[o for o in order if o != one][: self.companions] for one in range(len(order))]
        rows = torch.tensor([[one, *others] for one, others in enumerate(mates)]).flatten()
        inputs = self.padding.to(self.longest, rows)
        return self._cell(self.longest, inputs, rows, self.companions + 1)

    def _cell(
        self, length: int, inputs: Inputs, places: Int[Tensor, " m"], size: int
    ) -> LengthCell | None:
        found = {}
        for who, scored in self.ways.items():
            try:
                scores = self._scored(scored, inputs, places, size)
            except Exception as error:  # noqa: BLE001  (what a network does with another length)
                self.refused.append(f"{who} at {length} {self.padding.unit}: {_one_line(error)}")
                if who == FLOAT:
                    return None
                continue
            found[who] = classes(predictions_of(scores)[::size])
        return LengthCell(length=length, beside_longer=size > 1, prediction=found)

    def _scored(
        self, scored: Rerun, inputs: Inputs, places: Int[Tensor, " m"], size: int
    ) -> Scores:
        evaluator = Evaluator(self.context.test.evaluator.attachment, inputs, size)
        return scored(evaluator, torch.arange(len(places)), places)


def _ways(context: Context) -> dict[str, Rerun]:
    """Float, and each explained policy; of those where a batch shares a scale, what each example
    gives by itself."""
    found: dict[str, Rerun] = {FLOAT: lambda data, rows, _places: data.float_scores(rows)}
    for name in context.everyone:
        condition = context.record.by_name[name].condition
        run = rerun(context.test.prepared, condition, context.test.allocations.get(name))
        if run is not None and (condition.batch_size or 1) == 1:
            found[name] = run
    return found


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
