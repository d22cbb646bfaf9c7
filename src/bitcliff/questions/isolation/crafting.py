"""Crafted companions: by gradients through a simulated shared scale, and by search in the runtime.

The simulation only proposes. Every image is run in the runtime itself, as 8-bit levels, and only
that counts.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.graph import allow_mutation_on_saved_tensors

from bitcliff.audit.evaluator import margins
from bitcliff.points import Plan
from bitcliff.points.final_activation import FinalActivation
from bitcliff.questions.image_scale import ImageScale
from bitcliff.questions.isolation.companion_search import Attempt
from bitcliff.questions.isolation.images import Images, legal, patterns
from bitcliff.questions.isolation.per_batch_scale import SharedScale
from bitcliff.types.subject import Subject

WIDEST_STEPS = 40
_FIRST_STEP, _LAST_STEP = 0.5, 1 / 255
_FIRST_SHARE = 0.8


@dataclass(frozen=True)
class Workshop:
    """What crafting needs of a network and its data.

    Attributes:
        patterns: simple images, by name. widest: one image made to widen every range.
        pairs: the network with one scale for two examples.
    """

    scale: ImageScale
    patterns: dict[str, Images]
    widest: Images
    pairs: SharedScale


def workshop(
    subject: Subject,
    plan: Plan,
    scale: ImageScale,
    seed: int,
    like: Tensor,
    final: FinalActivation = "none",
) -> Workshop:
    """The same for all victims; `like` is one input, of an image, `final` the last activation."""
    channels, height, width = scale.layout.laid_out(like).shape[1:]
    made = patterns((channels, height, width), seed)
    single, pairs = (SharedScale(subject.module, plan, mates) for mates in (1, 2))
    pairs.final = final
    return Workshop(scale, made, _widest(single, scale, made), pairs)


def _widest(network: SharedScale, scale: ImageScale, made: dict[str, Images]) -> Images:
    """The image whose ranges, multiplied over all points, are widest: ascent from four starts.

    It knows no victim, so one such image serves for all of them.
    """
    every = torch.cat(list(made.values()))
    value = _log_widths(network, scale, every)[0]
    best, most = every[:1], value[:1]
    images = every[value.topk(min(4, len(value))).indices]
    for step in range(WIDEST_STEPS):
        value, gradient = _log_widths(network, scale, images)
        widest = value.argmax()[None]
        if value[widest] > most:
            best, most = images[widest], value[widest]
        images = legal(images + _step_size(step, WIDEST_STEPS) * gradient.sign())
    return best


def _log_widths(
    network: SharedScale, scale: ImageScale, images: Images
) -> tuple[Float[Tensor, " n"], Images]:
    """Sum over the points of the log of the range's width, for each image, and its gradient."""
    with torch.enable_grad(), allow_mutation_on_saved_tensors():
        given = images.clone().requires_grad_()
        network.shared_scores(scale.to_inputs(given))
        widths = torch.stack([one[:, 1] - one[:, 0] for one in network.ranges])
        total = widths.clamp(min=1e-12).log().sum(0)
        (gradient,) = torch.autograd.grad(total.sum(), given)
    return total.detach(), gradient


def by_gradient(attempt: Attempt, shop: Workshop, starts: Images, effort: int) -> None:
    """Descent of the victim's simulated margin in the companion's pixels, from several starts.

    Stops at the first flip in the runtime, or after `effort` runs.
    """
    images, steps = starts, effort // len(starts)
    for step in range(steps):
        gradient = _margin_gradient(attempt, shop, images)
        images = legal(images - _step_size(step, steps) * gradient.sign())
        for place, companion in enumerate(shop.scale.to_inputs(images).split(1)):
            attempt.offer(companion, f"crafted by gradients, start {place + 1}")
            if attempt.flipped_at is not None:
                return


def _margin_gradient(attempt: Attempt, shop: Workshop, images: Images) -> Images:
    victim = attempt.victim
    assert isinstance(victim, Tensor)  # noqa: S101  (images are tensors)
    with torch.enable_grad(), allow_mutation_on_saved_tensors():
        given = images.clone().requires_grad_()
        companions = shop.scale.to_inputs(given)
        couples = torch.stack([victim.expand_as(companions), companions], 1).flatten(0, 1)
        scores = shop.pairs.followable(shop.pairs.shared_scores(couples))[::2]
        total = margins(scores, torch.full((len(given),), attempt.decision)).sum()
        (gradient,) = torch.autograd.grad(total, given)
    return gradient


def _step_size(step: int, steps: int) -> float:
    """From half the range of a pixel to one level, along a cosine."""
    share = (1 + math.cos(math.pi * step / max(1, steps - 1))) / 2
    return _LAST_STEP + share * (_FIRST_STEP - _LAST_STEP)


def by_random_search(
    attempt: Attempt, shop: Workshop, start: Images, effort: int, rng: np.random.Generator
) -> None:
    """Squares of extreme colours, kept where the victim's margin falls in the runtime itself.

    Knows nothing of the network. Stops at the first flip, or after `effort` runs.

    Source: Square Attack, Andriushchenko et al. 2020, with all of [0, 1] for a ball.
    """
    current, value = start, float("inf")
    for run in range(effort):
        trial = current if run == 0 else _with_square(current, run / effort, rng)
        margin = attempt.offer(shop.scale.to_inputs(trial), "crafted by random search")
        if margin <= value:
            current, value = trial, margin
        if attempt.flipped_at is not None:
            return


def _with_square(image: Images, progress: float, rng: np.random.Generator) -> Images:
    """A square of it in one extreme colour, or in noise of extremes; smaller as time goes on."""
    channels, height, width = image.shape[1:]
    area = _FIRST_SHARE * 0.5 ** (6 * progress) * height * width
    side = max(1, min(height, width, round(math.sqrt(area))))
    top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
    fine = (side, side) if rng.random() < 0.5 else (1, 1)
    fill = torch.from_numpy(rng.integers(0, 2, (channels, *fine))).to(image)
    changed = image.clone()
    changed[0, :, top : top + side, left : left + side] = fill
    return changed
