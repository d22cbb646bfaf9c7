"""Looking for a trigger: by gradients, by chance, and at random, each for so many passes."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from bitcliff.points import take
from bitcliff.questions.provocation.attack import parts
from bitcliff.questions.provocation.rivals import Rivals, Slopes
from bitcliff.questions.provocation.universal.triggers import Trigger, Triggers
from bitcliff.types.subject import Inputs, Texts

# Examples of one look.
_ROWS = 16
# Gradient search: the best of some draws are starts, and the best of these go on.
_STARTS, _GO_ON = 4, 2
_FIRST_PART = 0.4
_SLOPES: tuple[Slopes, ...] = ("straight", "scale")
_FIRST_STEP, _LAST_STEP = 0.3, 0.02
# By chance: how long the same examples are asked.
_SAME = 25
_LEAST_SHARE = 0.05
# In halves of what is demanded of float: from where on more of its lead hardly counts.
_SLACK = 4.0
# Of a mean over looks that move, what an earlier one counts for.
_FADE = 0.7


@dataclass(frozen=True)
class Seen:
    """What came of a trigger on some examples.

    Attributes:
        loss: the less, the nearer. turned: examples on which it does what is wanted.
        gradient: of the loss, in the trigger, where it was asked for.
    """

    loss: float
    turned: int
    gradient: Tensor | None = None


@dataclass
class Bench:
    """One class that examples may be turned to, and what may be spent on that.

    Attributes:
        places: of those among the parents that a trigger is searched on. wanted: (parents,) what
            float decides. delta: by which it must lead. aim: the class. passes: left.
        tell: told passes spent, and in all.
    """

    rivals: Rivals
    triggers: Triggers
    places: Int[Tensor, " m"]
    wanted: Int[Tensor, " n"]
    delta: float
    aim: int
    rng: np.random.Generator
    passes: int
    tell: Callable[[int, int], None]
    _whole: int = field(init=False)

    def __post_init__(self) -> None:
        self._whole = self.passes

    @property
    def spent(self) -> int:
        """Passes so far."""
        return self._whole - self.passes

    def some(self) -> Int[Tensor, " rows"]:
        """A few of the places, for one look."""
        count = min(_ROWS, len(self.places))
        return self.places[self.rng.choice(len(self.places), count, replace=False)]

    def looks(self, slopes: Slopes = "none") -> int:
        """How many of a few examples are left, the last look at finalists set aside."""
        last = self.rivals.passes("none") * len(self.places) * _GO_ON
        each = self.rivals.passes(slopes) * min(_ROWS, len(self.places))
        return max(0, (self.passes - last) // each)

    def look(
        self, triggers: Sequence[Trigger], rows: Int[Tensor, " rows"], slopes: Slopes = "none"
    ) -> list[Seen]:
        """Each trigger on the same parents; as many as fit are run together."""
        lengths = self.triggers.lengths
        kinds = [0] * len(self.wanted) if lengths is None else lengths
        found = [Seen(0.0, 0)] * len(triggers)
        for part in parts(rows.tolist(), self.rivals.rows, kinds):
            fit = max(1, self.rivals.rows // len(part))
            for start in range(0, len(triggers), fit):
                some = triggers[start : start + fit]
                seen = self._together(some, torch.tensor(part), slopes)
                found[start : start + fit] = map(_and, found[start : start + fit], seen)
        self.passes -= self.rivals.passes(slopes) * len(rows) * len(triggers)
        self.tell(self.spent, self._whole)
        return [replace(one, loss=one.loss / len(rows)) for one in found]

    def _together(
        self, triggers: Sequence[Trigger], part: Int[Tensor, " rows"], slopes: Slopes
    ) -> list[Seen]:
        given = _joined([self.triggers.on(one, part) for one in triggers])
        every = part.repeat(len(triggers))
        own = take(self.triggers.parents, every)
        look = self.rivals.look(given, own, self.wanted[every], slopes, self.aim)
        in_float, short = self._in_units(look.in_float), self._in_units(look.quantized)
        # Logistic, so that no example counts for more than another that is as far from it.
        losses = F.softplus(short) + F.softplus(_SLACK - in_float)
        turned = (look.in_float >= self.delta) & (look.quantized < 0)
        up, down = -torch.sigmoid(_SLACK - in_float), torch.sigmoid(short)
        found = []
        for place, one in enumerate(triggers):
            mine = slice(place * len(part), (place + 1) * len(part))
            gradient = None
            if look.up is not None and look.down is not None:
                pair = look.up[mine], look.down[mine]
                gradient = self.triggers.gradient(one, *pair, up[mine], down[mine])
            found.append(Seen(float(losses[mine].sum()), int(turned[mine].sum()), gradient))
        return found

    def _in_units(self, leads: Float[Tensor, " rows"]) -> Float[Tensor, " rows"]:
        """In which the losses bend; a network that fails is as far from it as can be."""
        return (leads / (0.5 * self.delta)).nan_to_num(nan=-1e4, posinf=1e4, neginf=-1e4)

    def best(self, finalists: Sequence[Trigger]) -> Trigger:
        """The one that turns most of all examples that are searched on."""
        found = self.look(finalists[:_GO_ON], self.places)
        ranks = [(-one.turned, one.loss, place) for place, one in enumerate(found)]
        return finalists[min(ranks)[2]]


def _and(one: Seen, other: Seen) -> Seen:
    """On the examples of both."""
    gradient = other.gradient if one.gradient is None else one.gradient
    if one.gradient is not None and other.gradient is not None:
        gradient = one.gradient + other.gradient
    return Seen(one.loss + other.loss, one.turned + other.turned, gradient)


def _joined(inputs: Sequence[Inputs]) -> Inputs:
    first = inputs[0]
    if isinstance(first, Tensor):
        return torch.cat([one for one in inputs if isinstance(one, Tensor)])
    return Texts({name: torch.cat([one[name] for one in inputs]) for name in first})  # type: ignore[index]


def by_gradient(bench: Bench) -> Trigger:
    """Draws, then down the loss from several of them; the best of these go on.

    By turns rounding is the identity for gradients, and they reach the scales.
    """
    drawn = _ranked(bench, max(_STARTS, round(bench.triggers.draws * bench.looks())))
    starts = [_Descent(bench.triggers.momentum, one) for one in drawn[:_STARTS]]
    _descend(bench, starts, _FIRST_PART, fading=False)
    first = sorted(starts, key=lambda one: one.loss)[:_GO_ON]
    _descend(bench, first, 1.0, fading=True)
    return bench.best([one.trigger for one in first])


class _Descent:
    """One start, and where it has come to.

    Attributes:
        loss: a mean over the latest looks.
    """

    def __init__(self, momentum: float, trigger: Trigger) -> None:
        self._momentum, self.trigger = momentum, trigger
        self.loss, self._gradient = math.inf, torch.zeros(())

    def way(self, seen: Seen) -> Tensor:
        """Where to, after another look."""
        assert seen.gradient is not None  # noqa: S101  (asked for)
        kept = seen.loss if math.isinf(self.loss) else self.loss
        self.loss = _FADE * kept + (1 - _FADE) * seen.loss
        size = max(float(seen.gradient.abs().mean()), 1e-24)
        self._gradient = self._momentum * self._gradient + seen.gradient / size
        return self._gradient


def _descend(bench: Bench, descents: Sequence[_Descent], share: float, fading: bool) -> None:
    """All of them step by step together, for a share of the looks that are left."""
    each = len(descents) * (1 if bench.triggers.momentum else 3)  # looks, with those at swaps
    steps = max(1, round(share * bench.looks("straight") / each))
    for step in range(steps):
        if bench.looks("straight") < each:
            return
        rows = bench.some()
        slopes = _SLOPES[step % len(_SLOPES)]
        seen = bench.look([one.trigger for one in descents], rows, slopes)
        left = (1 + math.cos(math.pi * step / steps)) / 2 if fading else 1.0
        length = _LAST_STEP + left * (_FIRST_STEP - _LAST_STEP)
        pairs = list(zip(descents, seen, strict=True))
        proposed = [bench.triggers.proposed(a.trigger, a.way(b), length) for a, b in pairs]
        if all(len(some) == 1 for some in proposed):
            for one, some in zip(descents, proposed, strict=True):
                one.trigger = some[0]
            continue
        losses = iter([one.loss for one in bench.look([*chain(*proposed)], rows)])
        for (one, now), some in zip(pairs, proposed, strict=True):
            tried = [next(losses) for _ in some]
            best = int(np.argmin(tried))
            if tried[best] < now.loss:
                one.trigger = some[best]


def by_chance(bench: Bench) -> Trigger:
    """Draws, then changes at random that are kept where the loss does not grow; no gradients."""
    chains = _ranked(bench, max(_GO_ON, round(bench.triggers.draws * bench.looks())))[:_GO_ON]
    steps = bench.looks() // len(chains)
    rows, losses = bench.some(), [math.inf] * len(chains)
    for step in range(steps):
        share = max(_LEAST_SHARE, 0.5 * (1 - step / steps))
        if step % _SAME == 0:
            rows = bench.some()
            losses = [one.loss for one in bench.look(chains, rows)]
            continue
        trials = [bench.triggers.mutated(one, share, bench.rng) for one in chains]
        for place, seen in enumerate(bench.look(trials, rows)):
            if seen.loss <= losses[place]:
                chains[place], losses[place] = trials[place], seen.loss
    return bench.best(chains)


def at_random(bench: Bench) -> Trigger:
    """The best of as many draws as there are looks."""
    return bench.best(_ranked(bench, max(_GO_ON, bench.looks())))


def _ranked(bench: Bench, draws: int) -> list[Trigger]:
    """So many draws, if so many looks are left, on the same examples; the best first."""
    found = bench.triggers.several(min(draws, bench.looks()), bench.rng)
    losses = [one.loss for one in bench.look(found, bench.some())]
    return [found[place] for place in np.argsort(losses, kind="stable")]
