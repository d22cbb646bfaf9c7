"""What cannot change the scores is no point, however the network hides its other outputs; what can
change them is one, however no gradient shows it."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bitcliff.points import Attachment, Selection, discover
from bitcliff.points.attach import WEIGHTS_ONLY
from tests.points.networks import Wired, frozen, matrix

Parts = dict[str, Any]


def linear() -> nn.Module:
    return nn.Linear(6, 6)


def two_heads(self: Any, x: Tensor) -> dict[str, Tensor]:
    x = self.first(x).relu()
    return {"logits": self.head(x), "boxes": self.second_box(self.box(x).relu())}


def unused(self: Any, x: Tensor) -> Tensor:
    """Worked out and thrown away, as heads for training are."""
    x = self.first(x).relu()
    self.box(x)
    return self.head(x)  # type: ignore[no-any-return]


def in_place(self: Any, x: Tensor) -> Tensor:
    """A product whose result nobody takes, but for its place in memory; and one that is lost."""
    kept, lost = self.first(x), self.first(x)
    kept.addmm_(x, self.weight)
    lost.addmm_(x, self.weight)
    return self.head(kept.relu())  # type: ignore[no-any-return]


def without_gradient(self: Any, x: Tensor) -> Tensor:
    """A backbone that somebody froze in their own way."""
    with torch.no_grad():
        x = self.first(x).relu()
        self.box(x)
    return self.head(x)  # type: ignore[no-any-return]


def chosen(self: Any, x: Tensor) -> Tensor:
    """A router: its numbers choose, and go nowhere themselves."""
    x = self.first(x).relu()
    expert = self.box(x).argmax(1)
    return self.head(x) * (expert[:, None] + 1)  # type: ignore[no-any-return]


def by_its_value(self: Any, x: Tensor) -> Tensor:
    """A decision outside of torch."""
    if self.box(x).sum().item() != 0:
        x = x + 1
    return self.head(x)  # type: ignore[no-any-return]


def leaving_early(self: Any, x: Tensor) -> Tensor:
    """Where it is sure of all examples, the rest is not run."""
    x = self.first(x)
    early = self.box(x)[:, :3]
    return early if bool((early.softmax(1).amax(1) > 0.999).all()) else self.head(x)  # type: ignore[no-any-return]


def counting(self: Any, x: Tensor) -> Tensor:
    """A buffer that remembers; nothing of it reaches the scores of this pass."""
    with torch.no_grad():
        self.seen.copy_(self.box(x).mean(0))
    return self.head(x)  # type: ignore[no-any-return]


BOX: Parts = {"box": linear()}
CASES: dict[str, tuple[Callable[[Any, Tensor], Any], Parts, list[str]]] = {
    "two heads": (two_heads, {**BOX, "second_box": linear()}, ["first", "head"]),
    "thrown away": (unused, BOX, ["first", "head"]),
    "in place": (
        in_place,
        {"weight": matrix(6, 6)},
        ["first", "matmul", "head"],
    ),
    "without gradient": (without_gradient, BOX, ["first", "head"]),
    "a router": (chosen, BOX, ["first", "box", "head"]),
    "looked at": (by_its_value, BOX, ["box", "head"]),
    "an early exit": (leaving_early, BOX, ["first", "box", "head"]),
    "remembered": (counting, BOX, ["head"]),
}


def network(case: str) -> nn.Module:
    wiring, parts, _ = CASES[case]
    made = Wired(wiring, first=linear(), head=nn.Linear(6, 3), **parts)
    made.register_buffer("seen", torch.zeros(6))
    return frozen(made)


@pytest.mark.parametrize("case", CASES)
def test_only_what_can_change_the_scores_is_a_point(case: str) -> None:
    model, x = network(case), torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    before = {name: one.clone() for name, one in model.state_dict().items() if name != "seen"}
    plan = discover(model, x, Selection(include_stem=True))
    assert [point.name for point in plan.points] == CASES[case][2]
    assert not plan.missed
    assert all(torch.equal(one, model.state_dict()[name]) for name, one in before.items())
    assert bool(model.state_dict()["seen"].isfinite().all())
    attachment = Attachment(model, plan)
    attachment.run(x, WEIGHTS_ONLY)
    assert not attachment.incidents.strays  # what is no point is known all the same


def test_an_output_of_another_shape_than_class_scores_has_a_reach_too() -> None:
    def frames(self: Any, x: Tensor) -> Tensor:
        x = self.first(x).relu()
        self.box(x.detach())
        return self.head(x)[:, None]  # type: ignore[no-any-return]

    model = frozen(Wired(frames, first=linear(), head=nn.Linear(6, 3), **BOX))
    plan = discover(model, torch.randn(4, 6), Selection(include_stem=True))
    assert [point.name for point in plan.points] == ["first", "head"]
