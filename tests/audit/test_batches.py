"""Batches as they are sent: what is run elsewhere is what is run here, to the bit."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import pytest
import torch
from torch import nn

from bitcliff.audit.batches import Ask, Elsewhere, Part, Under, packed, unpacked
from bitcliff.audit.evaluator import Evaluator, Scores
from bitcliff.audit.prepare import prepare
from bitcliff.points import take
from bitcliff.types.presets import Format, preset
from bitcliff.types.settings import AssessSettings
from bitcliff.types.subject import Examples, Subject

TOKEN, TENSOR = preset("vllm-int8-token"), preset("ort-uint8")
OPTIONS = torch.tensor([2, 3, 4])
N = 10  # two batches of four, and one that is filled up


def evaluator(model: nn.Module, held_out: Examples) -> Evaluator:
    few = torch.arange(N)
    assert isinstance(held_out.inputs, torch.Tensor)
    assert held_out.labels is not None
    examples = replace(
        held_out, inputs=held_out.inputs[few], labels=held_out.labels[few], ids=held_out.ids[:N]
    )
    subject = Subject("net", model, None, None, "0" * 64)
    return prepare(subject, examples, AssessSettings(batch_size=4)).evaluator


def bits_of(one: Evaluator) -> torch.Tensor:
    shape = N, len(one.attachment.plan)
    return torch.randint(2, 5, shape, generator=torch.Generator().manual_seed(0))


def nudged(one: Evaluator) -> Scores:
    found = one.repeat(torch.arange(N), bits_of(one), 1)
    assert found is not None
    return found


def formats(one: Evaluator) -> tuple[Format, ...]:
    return ((TOKEN, TENSOR) * len(one.attachment.plan))[: len(one.attachment.plan)]


PASSES: dict[str, Callable[[Evaluator, torch.Tensor], Scores | torch.Tensor]] = {
    "float": lambda one, index: one.float_scores(index),
    "followed": lambda one, index: one.float_margins(index),
    "weights": lambda one, index: one.weights_only_scores(index),
    "bits": lambda one, index: one.scores(index, bits_of(one)[index]),
    "some points": lambda one, index: one.scores(index, bits_of(one)[index], frozenset({1, 2})),
    "margins": lambda one, index: one.margins(index, bits_of(one)[index]),
    "formats": lambda one, index: one.format_scores(index, formats(one), 3),
    "gradients": lambda one, index: one.gradients(index, bits_of(one)[index], OPTIONS),
    "of formats": lambda one, index: one.format_gradients(index, formats(one), (TOKEN, TENSOR)),
    "nudged": lambda one, _index: nudged(one),
}


def sent(other: Evaluator) -> Callable[[Iterable[Ask]], Iterator[Part]]:
    """Run by another evaluator, which is told of a batch what its bytes say."""

    def run(asks: Iterable[Ask]) -> Iterator[Part]:
        for data in [ask.to_bytes() for ask in asks]:
            ask = Ask.of_bytes(data)
            nudge = ask.under.nudge
            inputs = other.inputs if nudge is None else other.nudged_inputs(nudge)
            yield Part.of_bytes(other.part(ask, take(inputs, ask.places)).to_bytes())

    return run


def same(mine: Scores | torch.Tensor, theirs: Scores | torch.Tensor) -> None:
    if isinstance(mine, Scores) and isinstance(theirs, Scores):
        assert torch.equal(mine.logits, theirs.logits)
        assert mine.logits.dtype == theirs.logits.dtype
        assert mine.failed_at == theirs.failed_at
        return
    assert isinstance(mine, torch.Tensor)
    assert isinstance(theirs, torch.Tensor)
    assert torch.equal(mine, theirs)


@pytest.mark.parametrize("kind", PASSES)
def test_elsewhere_gives_the_same_bits_and_costs_the_same(
    mlp: nn.Module, held_out: Examples, kind: str
) -> None:
    here, there = evaluator(mlp, held_out), evaluator(mlp, held_out)
    index = torch.tensor([7, 0, 3, 9, 1, 2, 8])
    expected = PASSES[kind](here, index)
    asked = evaluator(mlp, held_out)
    asked.elsewhere = Elsewhere(asked.attachment, asked.inputs, sent(there))
    told = list[int]()
    asked.on_batch = lambda: told.append(1)
    before = replace(there.spent)
    same(PASSES[kind](asked, index), expected)
    assert asked.spent == here.spent
    assert there.spent == before  # the driver counts
    assert len(told) == {"formats": 3, "nudged": 3}.get(kind, 2)  # batches of 4, but for formats 3


def test_numeric_failures_and_strays_come_back(mlp: nn.Module, held_out: Examples) -> None:
    asked, index = evaluator(mlp, held_out), torch.arange(N)

    def run(asks: Iterable[Ask]) -> Iterator[Part]:
        for ask in asks:
            failed = tuple("layers.0" if place == 5 else None for place in ask.places[: ask.count])
            part = Part(torch.zeros(ask.count, 10), failed, strays=frozenset({"odd.call"}))
            yield Part.of_bytes(part.to_bytes())

    asked.elsewhere = Elsewhere(asked.attachment, asked.inputs, run)
    scores = asked.scores(index, bits_of(asked))
    assert [place for place, one in enumerate(scores.failed_at) if one] == [5]
    assert asked.broken == {5}
    assert asked.attachment.incidents.strays == {"odd.call"}
    assert asked.margins(index, bits_of(asked))[5] == float("inf")


def test_other_inputs_than_theirs_are_run_here(mlp: nn.Module, held_out: Examples) -> None:
    def nobody(_asks: Iterable[Ask]) -> Iterator[Part]:
        raise AssertionError("asked elsewhere")

    one, index = evaluator(mlp, held_out), torch.arange(N)
    one.elsewhere = Elsewhere(one.attachment, one.inputs, nobody)
    with pytest.raises(AssertionError, match="asked elsewhere"):
        one.float_scores(index)
    assert isinstance(one.inputs, torch.Tensor)
    changed = replace(one, inputs=one.inputs + 0.5)
    assert torch.equal(
        changed.float_scores(index).logits,
        replace(changed, elsewhere=None).float_scores(index).logits,
    )


def test_what_is_sent_holds_no_object() -> None:
    under = Under("formats", formats=(TOKEN, TENSOR, None), weighed=(TENSOR,), followable=True)
    ask = Ask(torch.tensor([4, 4]), 1, under)
    back = Ask.of_bytes(ask.to_bytes())
    assert back.under == under
    assert (back.places.tolist(), back.count) == ([4, 4], 1)
    about, tensors = unpacked(packed({"ü": [1, None]}, {"x": torch.arange(3)}))
    assert about == {"ü": [1, None]}
    assert tensors["x"].tolist() == [0, 1, 2]
    part = Part(torch.zeros(2, 3), (None, "a"), torch.ones(2), ((1, 2), ()), frozenset("s"))
    again = Part.of_bytes(part.to_bytes())
    assert (again.failed, again.symbols, again.strays) == (part.failed, part.symbols, part.strays)
    assert again.shares is not None
    assert torch.equal(again.shares, torch.ones(2))
