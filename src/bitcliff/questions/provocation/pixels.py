"""Images, or features, near an example: all of them changed a little, or a patch at will."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from bitcliff.errors import InputError
from bitcliff.questions.provocation.attack import Tried
from bitcliff.questions.provocation.rivals import BACKWARD, PLAIN, Slopes
from bitcliff.questions.provocation.scale import Scale
from bitcliff.types.within import Within

# What each restart of the gradient search follows down.
_RESTARTS: tuple[Slopes, ...] = ("straight", "scale", "width")
# Of the passes, what goes into descents, and what a look costs there.
_DOWN = 0.6
_PASSES_DOWN = PLAIN + BACKWARD
# A restart has as many passes at least.
_LEAST = 80
_FIRST_STEP, _LAST_STEP = 0.5, 0.02
# Nearer than this share of its first lead to the one demanded, float's lead is looked after.
_CARE = 0.3
# Of the reach, and of the values: how far neighbours are, and how much of them differs.
_LENGTHS = (0.05, 0.15, 0.4)
_SHARES = (0.1, 0.3, 1.0)
_NOTHING = 1e-3
_FIRST_SHARE = 0.8
_MOVES = 0.1


@dataclass(frozen=True)
class Ball:
    """What an example may be changed into, in units of black to white.

    Attributes:
        norm: "linf" and "l2": by no more than `size` in that norm. "patch": a square of `size`
            pixels a side, anywhere, at will.
    """

    norm: Literal["linf", "l2", "patch"]
    size: float
    scale: Scale

    def projected(self, images: Tensor, parent: Tensor) -> Tensor:
        """The nearest that is allowed, in whole levels where images have some."""
        return (parent + self.allowed(images.clamp(0, 1) - parent)).clamp(0, 1)

    def allowed(self, change: Tensor) -> Tensor:
        """The nearest change that is allowed, in whole levels where images have some."""
        change = self.within(change)
        if levels := self.scale.levels:
            nearest = (change * levels).round() / levels
            if self._outside(nearest):
                # Towards the parent; what is a level but for rounding in float stays one.
                nearest = (change * levels + 1e-3 * change.sign()).trunc() / levels
            change = nearest
        return change

    def within(self, change: Tensor) -> Tensor:
        """The nearest change that is as small as is allowed."""
        if self.norm == "linf":
            return change.clamp(-self.size, self.size)
        if self.norm == "l2":
            return change * min(1.0, self.size / max(float(change.norm()), 1e-12))
        return change

    def _outside(self, change: Tensor) -> bool:
        if self.norm == "linf":
            return float(change.abs().amax()) > self.size + 1e-6
        return self.norm == "l2" and float(change.norm()) > self.size

    def drawn(self, parent: Tensor, rng: np.random.Generator) -> Tensor:
        """Anything allowed, at random: spread evenly, or as far away as is allowed."""
        at_ends = bool(rng.random() < 0.5)
        if self.norm == "patch":
            where = self.patch(parent, rng)
            filled = torch.where(where, _noise(parent, rng, at_ends) / 2 + 0.5, parent)
            return self.projected(filled, parent)
        noise = _noise(parent, rng, at_ends)
        if self.norm == "l2":
            noise = torch.from_numpy(rng.standard_normal(tuple(parent.shape))).to(parent)
            noise = noise / max(float(noise.norm()), 1e-12)
        return self.projected(parent + self.size * noise, parent)

    def patch(self, parent: Tensor, rng: np.random.Generator) -> Tensor:
        """Where it lies, as a mask of the shape of an image."""
        height, width = parent.shape[-2:]
        side = min(int(self.size), height, width)
        top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
        return window(parent, top, left, side, side)

    def distance(self, image: Tensor, parent: Tensor) -> float:
        """How far it is, in its own norm; of a patch the share of the image."""
        change = image - parent
        if self.norm == "l2":
            return float(change.norm())
        if self.norm == "linf":
            return float(change.abs().amax())
        return float((change != 0).float().mean())


def ball_of(within: Within, scale: Scale, images: Tensor) -> Ball:
    """The set of this name around images.

    Raises:
        InputError: it holds nothing but them, or is of other inputs.
    """
    kind = within.kind
    assert kind in ("linf", "l2", "patch")  # noqa: S101  (the caller has seen to it)
    if kind == "patch" and scale.images is None:
        raise InputError(f"--within {within.name}: a patch is of images, and these are none")
    if kind == "patch" and within.size > min(images.shape[-2:]):
        raise InputError(f"--within {within.name}: larger than the images")
    if kind != "patch" and scale.levels and within.size * scale.levels < 1 - 1e-6:
        raise InputError(
            f"--within {within.name}: the set is empty: images change by levels of 1/{scale.levels}"
        )
    return Ball(kind, within.size, scale)


def window(like: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
    """A mask of the shape of an image, true in a rectangle."""
    found = torch.zeros(like.shape, dtype=torch.bool)
    found[..., top : top + height, left : left + width] = True
    return found


def _noise(like: Tensor, rng: np.random.Generator, at_ends: bool) -> Tensor:
    noise = rng.uniform(-1, 1, tuple(like.shape))
    return torch.from_numpy(np.sign(noise) if at_ends else noise).to(like)


class AtRandom:
    """The control: no more than chance, at equal cost."""

    slopes: Slopes = "none"

    def __init__(self, ball: Ball, parent: Tensor, rng: np.random.Generator) -> None:
        self._ball, self._parent, self._rng = ball, parent, rng

    def ask(self) -> Tensor:
        """Drawn anew."""
        return self._ball.drawn(self._parent, self._rng)

    def tell(self, tried: Tried) -> None:
        """Nothing is learned."""


class ByGradient:
    """Down the quantized network's lead while float's is held, then to and fro across its gradient.

    The direction is that of steepest descent, less its part along float's gradient where float's
    lead would fall too low: Rosen's gradient projection. Where both networks hardly differ, the
    error of rounding decides, and each input rounds otherwise: so every restart ends with
    neighbours at which float's lead stays the same, as far as its gradient tells, and keeps those
    that are no worse. Each restart takes its gradients otherwise (`Slopes`).

    Args:
        effort: passes in all, of which the restarts have equal parts.
    """

    def __init__(self, ball: Ball, parent: Tensor, rng: np.random.Generator, effort: int) -> None:
        self._ball, self._parent, self._rng = ball, parent, rng
        # With little effort one descent that goes all the way is worth more than three that do not.
        restarts = max(1, min(len(_RESTARTS), effort // _LEAST))
        each = effort // restarts
        self._descents = max(1, round(_DOWN * each / _PASSES_DOWN))
        self._each = self._descents + max(1, (each - self._descents * _PASSES_DOWN) // PLAIN)
        self._number, self._image = 0, parent
        self._where = ball.patch(parent, rng) if ball.norm == "patch" else None
        self._best, self._merit = parent, float("inf")
        self._up = torch.zeros_like(parent)
        self._first_lead: float | None = None

    @property
    def _place(self) -> tuple[int, int]:
        """Which restart, and which of its steps."""
        restart, step = divmod(self._number, self._each)
        return min(restart, len(_RESTARTS) - 1), step

    @property
    def slopes(self) -> Slopes:
        """As the restart has it, while it descends."""
        restart, step = self._place
        return _RESTARTS[restart] if step < self._descents else "none"

    def ask(self) -> Tensor:
        """Where the search stands."""
        return self._image

    def tell(self, tried: Tried) -> None:
        """One step further, or a new start."""
        descends = self.slopes != "none"
        if self._first_lead is None:
            self._first_lead = tried.in_float
        if tried.merit <= self._merit:
            self._best, self._merit = self._image, tried.merit
        if descends:
            assert tried.up is not None  # noqa: S101  (asked for)
            assert tried.down is not None  # noqa: S101  (asked for)
            to_images = self._ball.scale.gradient_to_images
            self._up, down = self._seen(to_images(tried.up)), self._seen(to_images(tried.down))
        self._number += 1
        _, step = self._place
        if step == 0:
            self._start_anew()
        elif descends and step < self._descents:
            share = (1 + math.cos(math.pi * step / self._descents)) / 2
            length = _LAST_STEP + share * (_FIRST_STEP - _LAST_STEP)
            self._image = self._moved(self._image, self._reach * length * self._way(down, tried))
        else:
            self._image = self._moved(self._best, self._across())

    def _start_anew(self) -> None:
        if self._where is not None:
            self._where = self._ball.patch(self._parent, self._rng)
        self._image = self._ball.drawn(self._parent, self._rng)
        if self._where is not None:
            self._image = torch.where(self._where, self._image, self._parent)
        self._merit = float("inf")

    def _way(self, down: Tensor, tried: Tried) -> Tensor:
        """Downhill where float has lead enough, else also uphill in float."""
        first = self._first_lead if self._first_lead is not None else tried.in_float
        if tried.in_float - tried.delta > _CARE * max(first - tried.delta, 0.0):
            return self._shaped(-down)
        ratio = float(down.norm()) / max(float(self._up.norm()), 1e-12)
        for weight in (0.0, 1.0, 2.0, 4.0, 8.0):
            way = self._shaped(-down + weight * ratio * self._up)
            gain = float((way * self._up).sum())
            if gain > 0 or (gain == 0 and tried.in_float >= tried.delta):
                return way
        return self._shaped(self._up)

    def _across(self) -> Tensor:
        """A little to any side on which float's lead does not change."""
        noise = self._seen(_noise(self._parent, self._rng, at_ends=True))
        shape, share = tuple(noise.shape), self._rng.choice(_SHARES)
        some = noise * torch.from_numpy(self._rng.random(shape) < share)
        noise = some if bool(some.any()) else noise
        square = max(float((self._up * self._up).sum()), 1e-24)
        across = noise - float((noise * self._up).sum()) / square * self._up
        # Of a single value there is no side on which the lead stays the same.
        noise = across if float(across.abs().max()) > _NOTHING else noise
        return self._reach * float(self._rng.choice(_LENGTHS)) * noise / noise.abs().max()

    def _moved(self, image: Tensor, change: Tensor) -> Tensor:
        return self._ball.projected(image + change, self._parent)

    def _seen(self, change: Tensor) -> Tensor:
        return change if self._where is None else change * self._where

    @property
    def _reach(self) -> float:
        return 1.0 if self._ball.norm == "patch" else self._ball.size

    def _shaped(self, direction: Tensor) -> Tensor:
        """Steepest in the norm."""
        if self._ball.norm == "l2":
            return direction / max(float(direction.norm()), 1e-12)
        return direction.sign()


class BySquares:
    """Squares changed as far as is allowed, kept where the merit does not grow; no gradients.

    Source: Square Attack, Andriushchenko et al. 2020.

    Args:
        steps: in all.
    """

    slopes: Slopes = "none"

    def __init__(self, ball: Ball, parent: Tensor, rng: np.random.Generator, steps: int) -> None:
        self._ball, self._parent, self._rng, self._steps = ball, parent, rng, steps
        self._number, self._merit = 0, float("inf")
        self._best = self._trial = parent
        self._where = ball.patch(parent, rng) if ball.norm == "patch" else None
        self._tried_where = self._where

    def ask(self) -> Tensor:
        """The best so far with one square changed."""
        if self._number:
            self._trial = self._ball.projected(self._changed(), self._parent)
        return self._trial

    def tell(self, tried: Tried) -> None:
        """Kept where it is no worse."""
        self._number += 1
        if tried.merit <= self._merit:
            self._best, self._merit = self._trial, tried.merit
            self._where = self._tried_where

    def _changed(self) -> Tensor:
        parent, rng = self._parent, self._rng
        if parent.ndim < 3:  # features have no neighbours
            return self._with_some_features()
        best, where = self._best, self._where
        if where is not None and rng.random() < _MOVES:
            where, best = self._ball.patch(parent, rng), parent
        self._tried_where = where
        rows, columns = (torch.arange(n) for n in parent.shape[-2:])
        if where is not None:
            seen = where.flatten(0, -3).any(0)
            rows, columns = seen.any(1).nonzero()[:, 0], seen.any(0).nonzero()[:, 0]
        area = _FIRST_SHARE * 0.5 ** (6 * self._number / self._steps) * len(rows) * len(columns)
        side = max(1, min(len(rows), len(columns), round(math.sqrt(area))))
        top = int(rows[0]) + int(rng.integers(len(rows) - side + 1))
        left = int(columns[0]) + int(rng.integers(len(columns) - side + 1))
        square = window(parent, top, left, side, side)
        return torch.where(square, self._filled(best, square), best)

    def _filled(self, best: Tensor, square: Tensor) -> Tensor:
        ends = torch.from_numpy(self._rng.choice([-1.0, 1.0], (*self._parent.shape[:-2], 1, 1)))
        if self._ball.norm == "patch":
            return (ends.to(best) / 2 + 0.5).expand_as(best)
        if self._ball.norm == "linf":
            return self._parent + self._ball.size * ends.to(best)
        # Of a bounded sum of squares all of it may go into the square.
        return best + self._ball.size * ends.to(best) / math.sqrt(float(square.sum()))

    def _with_some_features(self) -> Tensor:
        share = 0.5 ** (1 + 6 * self._number / self._steps)
        chosen = torch.from_numpy(self._rng.random(tuple(self._parent.shape)) < share)
        chosen.view(-1)[int(self._rng.integers(chosen.numel()))] = True
        ends = torch.from_numpy(self._rng.choice([-1.0, 1.0], tuple(self._parent.shape)))
        return torch.where(
            chosen, self._parent + self._ball.size * ends.to(self._parent), self._best
        )
