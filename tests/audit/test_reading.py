"""What a network writes by itself, held against transformers' own greedy decoding."""

from typing import Any

import pytest
import torch

import bitcliff as bc
from bitcliff.audit.evaluator import Evaluator
from bitcliff.audit.outcomes import Trial, outcomes_of
from bitcliff.audit.prepare import Prepared
from bitcliff.audit.reading import Reading
from bitcliff.points import Attachment
from bitcliff.points.continuation import continued
from bitcliff.points.forward import take
from bitcliff.types.subject import DECODED, Examples, Texts
from tests.points.test_continuation import END, N, a_translator, generated, judged, texts

NAMES = tuple(f"{number} " for number in range(12))


class _Prepared(Prepared):
    """As much of it as a reading looks at."""

    def __init__(self, evaluator: Evaluator, wanted: tuple[str, ...] | None) -> None:
        object.__setattr__(self, "evaluator", evaluator)
        object.__setattr__(self, "in_float", evaluator.float_scores(torch.arange(N)))
        examples = Examples(
            "texts", evaluator.inputs, None, tuple(map(str, range(N))), N, "", wanted=wanted
        )
        object.__setattr__(self, "examples", examples)


@pytest.mark.parametrize("labelled", [False, True])
def test_one_that_begins_otherwise_ends_in_what_it_writes_by_itself(labelled: bool) -> None:
    """Float, told that it had said something else: in the end it has its own words back."""
    module: Any = a_translator(6)
    given = texts()
    theirs = generated(module, given)
    task = judged(module)
    inputs = continued(module, given)
    assert isinstance(inputs, Texts)
    plan = bc.points.discover(module, take(inputs, torch.tensor([0, 3])))
    evaluator = Evaluator(Attachment(module, plan), inputs, 1)
    evaluator.reference = torch.zeros(N, dtype=torch.int64)
    words = ["".join(NAMES[one] for one in row if one != END).strip() for row in theirs]
    wanted = (words[0], *["something else"] * (N - 1))
    prepared = _Prepared(evaluator, wanted if labelled else None)
    scores = prepared.in_float
    odd = bc.audit.evaluator.Scores(
        scores.logits.flip(1),
        scores.failed_at,
        scores.shares,
        tuple((row[0], 3, 3) for row in theirs),  # the first hangs on nothing that it said
    )
    reading = Reading(prepared, task, task.kind, NAMES, by_words=True)  # type: ignore[arg-type]
    everyone = torch.arange(N)
    found = outcomes_of(Trial(everyone, None, odd), evaluator.reference)
    assert odd.symbols is not None
    read = reading.outcomes(found, odd.symbols, lambda rows: evaluator.float_scores(everyone[rows]))
    assert read.said == words
    assert read.score is not None
    assert read.score.tolist() == ([1] + [0] * (N - 1) if labelled else [1] * N)
    assert isinstance(evaluator.inputs, Texts)
    assert torch.equal(evaluator.inputs[DECODED], inputs[DECODED]), "the data are as they were"
