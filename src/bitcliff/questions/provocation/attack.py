"""Driving attacks: each asks what to try on its example, and is told what came of it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Int
from torch import Tensor

from bitcliff.points import take
from bitcliff.questions.provocation.rivals import Look, Rivals, Slopes
from bitcliff.types.subject import Inputs, Texts

# By how much more a lead below the demanded one counts than a lead that is left.
_PENALTY = 10.0


@dataclass(frozen=True)
class Tried:
    """What came of one input. Leads are in logits; gradients where the attack wanted some; an input
    that is `flagged` would be run again in float."""

    in_float: float
    quantized: float
    delta: float
    up: Tensor | None = None
    down: Tensor | None = None
    flagged: bool = False

    @property
    def fails(self) -> bool:
        """Float is right by `delta`, the quantized network wrong, and nobody notices."""
        return self.in_float >= self.delta and self.quantized < 0 and not self.flagged

    @property
    def merit(self) -> float:
        """How far from it, the less the nearer; infinite where either network fails."""
        missing = max(0.0, self.delta - self.in_float)
        found = self.quantized + _PENALTY * missing
        return found if found == found else float("inf")


@runtime_checkable
class Attack(Protocol):
    """One way to look on one example. Those of one method go through the same steps together."""

    @property
    def slopes(self) -> Slopes:
        """Which gradients the next step wants."""

    def ask(self) -> Tensor:
        """What to try next: the example's input, changed."""

    def tell(self, tried: Tried) -> None:
        """What came of it, where it does not fail yet."""


@dataclass(frozen=True)
class Found:
    """How an attack ended.

    Attributes:
        passes: spent. changed: the input that fails; None: none was found.
    """

    passes: int
    changed: Tensor | None = None


def drive(
    rivals: Rivals,
    attacks: Sequence[Attack],
    parents: Inputs,
    wanted: Int[Tensor, " m"],
    delta: float,
    effort: int,
    as_inputs: Callable[[Sequence[Tensor], Inputs], Inputs],
    tell: Callable[[int, int], None] = lambda _done, _whole: None,
) -> list[Found]:
    """Every attack on its own example until it fails, or `effort` passes are spent.

    Args:
        as_inputs: changed inputs of some parents as the network takes them.
        tell: told passes spent at most, and in all.
    """
    spent = [0] * len(attacks)
    found: dict[int, Found] = {}
    active = list(range(len(attacks)))
    # Texts of one length are run together, so that none has any padding.
    lengths = parents.lengths.tolist() if isinstance(parents, Texts) else [0] * len(attacks)
    while active:
        cost = rivals.passes(attacks[active[0]].slopes)
        active = [one for one in active if spent[one] + cost <= effort]
        for part in parts(active, rivals.rows, lengths):
            asked = [attacks[one].ask() for one in part]
            index = torch.tensor(part)
            own = take(parents, index)
            slopes = attacks[part[0]].slopes
            look = rivals.look(as_inputs(asked, own), own, wanted[index], slopes)
            for row, one in enumerate(part):
                spent[one] += cost
                tried = _tried(look, row, delta)
                if tried.fails:
                    found[one] = Found(spent[one], asked[row])
                else:
                    attacks[one].tell(tried)
        active = [one for one in active if one not in found]
        if active:
            tell(max(spent[one] for one in active), effort)
    return [found.get(one, Found(passes)) for one, passes in enumerate(spent)]


def parts(active: Sequence[int], rows: int, lengths: Sequence[int]) -> Iterator[list[int]]:
    """As many as one look may have, all of one length."""
    ordered = sorted(active, key=lambda one: lengths[one])
    for _, alike in groupby(ordered, key=lambda one: lengths[one]):
        some = list(alike)
        yield from (some[start : start + rows] for start in range(0, len(some), rows))


def _tried(look: Look, row: int, delta: float) -> Tried:
    up, down = (None if g is None else g[row] for g in (look.up, look.down))
    leads = float(look.in_float[row]), float(look.quantized[row])
    return Tried(*leads, delta, up, down, bool(look.flagged[row]))
