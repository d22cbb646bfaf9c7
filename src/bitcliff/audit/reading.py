"""What a network writes by itself, of tasks whose outcomes are texts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from bitcliff.audit.evaluator import Scores, Symbols
from bitcliff.audit.prepare import Prepared
from bitcliff.points import take
from bitcliff.points.continuation import continuation_of
from bitcliff.record import Outcomes, Table
from bitcliff.stats.error_rates import words_right
from bitcliff.tasks import task_of
from bitcliff.tasks.against_float import AgainstFloat, Reads
from bitcliff.types.streamed import Streamed
from bitcliff.types.subject import DECODED, AllInputs, Subject

Again = Callable[[Int[Tensor, " rows"]], Scores]
"""Runs rows of a trial once more, on the evaluator's data as they are then."""


@dataclass(frozen=True)
class Reading:
    """The texts of a task.

    Attributes:
        kind: the rule. names: of its symbols. written: what several of them say, where that is not
            one name after the other. by_words: a score counts words, since what is written
            is a transcript or a translation.
    """

    prepared: Prepared
    task: AgainstFloat
    kind: Reads
    names: tuple[str, ...]
    by_words: bool
    written: Callable[[Sequence[int]], str] | None = None

    def table(self, table: Table) -> Table:
        """With what float writes of each example, and what is wanted where that is known."""
        said = self._texts(self.prepared.in_float.symbols)
        wanted = self.prepared.examples.wanted
        score = table.score
        if self.by_words:
            score = _scores(wanted or said, said)
        kept = {"said": said, "wanted": None if wanted is None else list(wanted), "score": score}
        return table.model_copy(update=kept)

    def outcomes(self, found: Outcomes, symbols: Symbols, again: Again | None) -> Outcomes:
        """With what the network writes by itself.

        Args:
            again: None where it cannot be run again: then each of its tokens is what it says behind
                float's.
        """
        said = self._texts(symbols if again is None else self._freely(found, symbols, again))
        kept = {"said": said}
        if self.by_words:
            everyone = self.prepared.examples.wanted or self._texts(self.prepared.in_float.symbols)
            score = _scores([everyone[place] for place in found.index], said)
            kept["score"] = np.where(np.isnan(found.margin), np.nan, score)  # type: ignore[assignment]
        return found.model_copy(update=kept)

    def _freely(self, found: Outcomes, symbols: Symbols, again: Again) -> Symbols:
        """Each that parts from float followed by its own tokens, until it says just these.

        A token counts once all before it are the network's own, so that each pass settles one more
        at least, where its ranges let it.
        """
        evaluator, own = self.prepared.evaluator, list(symbols)
        steady, everyone = evaluator.inputs, torch.from_numpy(found.index.astype(np.int64))
        rows = torch.from_numpy(np.flatnonzero(found.prediction > 0))
        try:
            for _ in range(self.kind.passes):
                if not len(rows):
                    break
                assert not isinstance(evaluator.inputs, Streamed)  # noqa: S101  (images)
                chosen = [own[row] for row in rows.tolist()]
                changed = self.kind.followed(evaluator.inputs, everyone[rows], chosen)
                places = everyone[rows]
                self.task.go_on(take(changed, places), take(evaluator.inputs, places))
                evaluator.inputs = changed
                now = again(rows).symbols
                assert now is not None  # noqa: S101  (as before)
                moved = []
                for row, one in zip(rows.tolist(), now, strict=True):
                    moved += [row] * (one != own[row])
                    own[row] = one
                rows = torch.tensor(moved, dtype=torch.int64)
        finally:
            evaluator.inputs = steady
        return own

    def _texts(self, symbols: Symbols | None) -> list[str]:
        assert symbols is not None  # noqa: S101  (of a task that reads)
        written = self.written or (lambda row: "".join(self.names[one] for one in row))
        texts = [written(row) for row in symbols]
        # The first token of a transcript begins with the space before its word.
        return [text.strip() if self.by_words else text for text in texts]


def reading_of(prepared: Prepared) -> Reading | None:
    """Of a task whose outcomes are texts, and a network that names its symbols."""
    task, names = task_of(prepared.subject.module), prepared.subject.class_names
    if not isinstance(task, AgainstFloat) or not isinstance(task.kind, Reads) or names is None:
        return None
    by_words = scored_by_words(prepared.subject, prepared.evaluator.inputs)
    return Reading(prepared, task, task.kind, names, by_words, prepared.subject.written)


def scored_by_words(subject: Subject, inputs: AllInputs) -> bool:
    """Whether the outcome is a transcript or a translation, whose words can be told."""
    is_written = continuation_of(subject.module) is not None and subject.class_names is not None
    return is_written and isinstance(inputs, Mapping) and DECODED in inputs


def _scores(wanted: Sequence[str], said: Sequence[str]) -> np.ndarray:
    pairs = zip(wanted, said, strict=True)
    return np.array([words_right(one, other) for one, other in pairs], dtype=np.float64)
