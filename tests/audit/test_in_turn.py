"""Roundings run in turn: each the same as by itself, to the bit, and no beginning run twice."""

from collections.abc import Callable, Mapping, Sequence

import pytest
import torch
from torch import Tensor, nn

from bitcliff.audit.evaluator import Evaluator, Scores
from bitcliff.audit.in_turn import InTurn
from bitcliff.points import Attachment, discover, replay
from bitcliff.types.presets import Format, preset
from bitcliff.types.settings import Selection
from tests.points.networks import InPlaceBlock, SmallConvNet, WindowAttention, images, tokens

Plan = tuple[Format | None, ...]

NETWORKS: Mapping[str, Callable[[], tuple[nn.Module, Tensor]]] = {
    "convolutions": lambda: (SmallConvNet(), images(5)),
    "attention": lambda: (WindowAttention(), tokens(5)),
    "in place": lambda: (InPlaceBlock(), images(5)),
}


def evaluator_of(model: nn.Module, inputs: Tensor) -> Evaluator:
    """Batches of three, so that the last of five examples' is padded."""
    model = model.eval().requires_grad_(False)
    points = discover(model, inputs, Selection(include_stem=True))
    return Evaluator(Attachment(model, points), inputs, 3)


def in_turn(evaluator: Evaluator, plans: Sequence[Plan]) -> tuple[list[Tensor], InTurn]:
    """The logits under every plan."""
    turns = InTurn(evaluator)
    formats = list(dict.fromkeys(one for plan in plans for one in plan))
    treated = {number: [formats.index(one) for one in plan] for number, plan in enumerate(plans)}

    def scores(evaluator: Evaluator, rows: Tensor, number: int) -> Scores:
        return evaluator.format_scores(rows, plans[number])

    found: list[list[Tensor]] = [[] for _ in plans]
    for number, _, one in turns.run(torch.arange(5), treated, scores):
        found[number].append(one.logits)
    return [torch.cat(parts) for parts in found], turns


def check(evaluator: Evaluator, plans: Sequence[Plan]) -> InTurn:
    found, turns = in_turn(evaluator, plans)
    for plan, logits in zip(plans, found, strict=True):
        alone = evaluator.format_scores(torch.arange(5), plan)
        assert torch.equal(logits.view(torch.int32), alone.logits.view(torch.int32))
    return turns


def kept_in_float(shipped: Format, points: int) -> list[Plan]:
    """Nothing, each layer by itself, all but each."""
    alone = [tuple(None if at == k else shipped for at in range(points)) for k in range(points)]
    rest = [tuple(shipped if at == k else None for at in range(points)) for k in range(points)]
    return [(shipped,) * points, *alone, *rest]


@pytest.mark.parametrize("name", ["torchao-int8-row", "torchao-fp8-tensor", "ort-uint8"])
@pytest.mark.parametrize("network", NETWORKS)
def test_layers_in_float_are_the_same_in_turn(network: str, name: str) -> None:
    evaluator = evaluator_of(*NETWORKS[network]())
    points = len(evaluator.attachment.plan)
    plans = kept_in_float(preset(name), points)
    turns = check(evaluator, plans)
    assert 0 < turns.work.calls <= 0.75 * len(plans) * turns.whole.calls
    assert 0 < turns.work.macs < len(plans) * turns.whole.macs


def test_two_formats_in_every_mix_run_each_beginning_once() -> None:
    evaluator = evaluator_of(
        nn.Sequential(*(nn.Linear(8, 8) for _ in range(4))), tokens(5, width=8)[:, 0]
    )
    one, other = preset("torchao-int8-row"), preset("torchao-fp8-row")
    plans: list[Plan] = [
        tuple(one if number >> at & 1 else other for at in range(4)) for number in range(16)
    ]
    turns = check(evaluator, plans)
    assert turns.work.calls == 2 * (2 + 4 + 8 + 16)  # two batches
    assert turns.whole.calls == 2 * 4


class Branching(nn.Module):
    """What `a` gives decides whether `b` runs, which `c` and what follows build on."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Linear(8, 8) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x)
        on_the_grid = torch.equal(x, x.round())
        return self.c(x if on_the_grid else self.b(x))  # type: ignore[no-any-return]


def test_what_an_earlier_pass_left_is_never_taken_for_the_last_ones() -> None:
    model = Branching()
    torch.nn.init.eye_(model.a.weight)
    torch.nn.init.zeros_(model.a.bias)
    # Whole numbers in float; in the format they are not.
    evaluator = evaluator_of(model, tokens(5, width=8)[:, 0])
    evaluator.inputs = evaluator.inputs.mul(9).round()  # type: ignore[union-attr]
    assert len(evaluator.attachment.plan) == 3
    rough, fine = preset("torchao-fp8-row"), preset("torchao-int8-row")
    plans: list[Plan] = [
        (rough, fine, None),
        (None, None, None),
        (None, None, rough),
        (None, rough, rough),
        (rough, rough, rough),
        (rough, fine, fine),
    ]
    check(evaluator, plans)


def test_bits_of_examples_may_differ_between_passes() -> None:
    evaluator = evaluator_of(*NETWORKS["convolutions"]())
    points = len(evaluator.attachment.plan)
    drawn = torch.Generator().manual_seed(0)
    first = torch.randint(3, 7, (5, points), generator=drawn)
    several = [first]
    for at in reversed(range(points)):
        changed = first.clone()
        changed[at % 5, at] += 1
        several.append(changed)
    turns = InTurn(evaluator)

    def scores(evaluator: Evaluator, rows: Tensor, number: int) -> Scores:
        return evaluator.scores(rows, several[number][rows])

    treated = {number: several[number].T.flatten().tolist() for number in range(len(several))}
    found: dict[int, list[Tensor]] = {}
    for number, _, one in turns.run(torch.arange(5), treated, scores):
        found.setdefault(number, []).append(one.logits)
    for number, bits in enumerate(several):
        alone = evaluator.scores(torch.arange(5), bits)
        assert torch.equal(torch.cat(found[number]), alone.logits)
    assert turns.work.calls < len(several) * turns.whole.calls


def test_with_no_room_to_keep_results_everything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluator = evaluator_of(*NETWORKS["convolutions"]())
    plans = kept_in_float(preset("torchao-int8-row"), len(evaluator.attachment.plan))
    monkeypatch.setattr(replay, "_ROOM", 0)
    turns = check(evaluator, plans)
    assert turns.work.calls == len(plans) * turns.whole.calls
