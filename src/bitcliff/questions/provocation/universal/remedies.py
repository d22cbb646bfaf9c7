"""Quantizing the network otherwise, so that what was made for one way of rounding fails.

All change what is rounded, or to what: float stays as it is, and with it what is wanted.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from bitcliff.audit.prepare import Prepared
from bitcliff.points import Attachment, take
from bitcliff.points.attach import Rounding
from bitcliff.points.forward import batch_size
from bitcliff.quant import round_shipped
from bitcliff.questions.provocation.rivals import Followed, Remedied
from bitcliff.types.numerics import Numerics
from bitcliff.types.presets import Format
from bitcliff.types.subject import Inputs, Texts

# Of the largest error of a channel, about half a step: from there on weights are rounded the other
# way; and by how many errors they are moved for that.
_FLIPPED, _BEYOND = 0.6, 1.2
# Of a weight's largest magnitude, where ranges end instead.
_RANGE = 0.8
# Steps, rate and examples of each.
_STEPS, _RATE, _BATCH = 200, 1e-3, 32
_WIDE = Format(
    activations=Numerics(element="uint8", group="example", scale="minmax-zero"),
    weights=Numerics(element="int8", group="batch", scale="amax", divisor=127.0),
    everywhere=True,
)


@dataclass(frozen=True)
class Way:
    """One way to quantize otherwise.

    Attributes:
        make: the network so, of the examples that triggers are searched on.
    """

    name: str
    words: str
    make: Callable[[], Remedied]


def ways(prepared: Prepared, shipped: Format, clean: Inputs, seed: int) -> Iterator[Way]:
    """All that fit the format.

    Args:
        clean: examples without a trigger, of which no label is needed.
    """
    plain = prepared.evaluator.attachment
    formats = (shipped,) * len(plain.plan)
    weights = shipped.weights

    def with_weights(change: Callable[[Tensor], Tensor]) -> Callable[[], Remedied]:
        return lambda: Remedied(Followed(plain, _changed(plain, change)), formats)

    if weights is not None:
        yield Way(
            "rounding flipped",
            "weights near the middle between two levels go to the other one",
            with_weights(lambda weight: flipped(weight, weights)),
        )
        yield Way(
            "another range",
            f"weights end at {_RANGE:g} of the largest",
            with_weights(lambda w: w.clamp(-_RANGE * w.abs().amax(), _RANGE * w.abs().amax())),
        )

        def tuned() -> Remedied:
            return Remedied(Followed(plain, fine_tuned(plain, shipped, clean, seed)), formats)

        yield Way(
            "fine-tuned",
            f"rounded weights trained for {_STEPS} steps to give float's scores on clean examples",
            tuned,
        )
    yield Way(
        "widths mixed",
        "every other layer at 8 bits",
        lambda: Remedied(Followed(plain), mixed(plain, shipped)),
    )


def _changed(plain: Attachment, change: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    """Every matrix and kernel of the network."""
    return {name: change(one.detach()) for name, one in _rounded(plain.model)}


def _rounded(module: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    return ((name, one) for name, one in module.named_parameters() if one.ndim >= 2)


def flipped(weight: Tensor, numerics: Numerics) -> Tensor:
    """Those of most error on their other level, so that they stay there when they are rounded.

    After error-guided flipped rounding (Li et al. 2024), which learns whom to flip. Of each output
    channel as many go up as down, so that its mean moves little.
    """
    error = (weight - round_shipped(weight, numerics)).flatten(1)
    most = error.abs().amax(1, keepdim=True)
    chosen = error.abs() >= _FLIPPED * most
    # As many of either sign, those of the largest error first.
    few = torch.minimum((chosen & (error > 0)).sum(1), (chosen & (error < 0)).sum(1))
    for sign in (1.0, -1.0):
        ranks = (-sign * error).argsort(1).argsort(1)
        chosen = torch.where(sign * error > 0, ranks < few[:, None], chosen)
    return weight + torch.where(chosen, _BEYOND * error, 0.0).view_as(weight)


def mixed(plain: Attachment, shipped: Format) -> tuple[Format, ...]:
    """A wide format at every other layer with weights."""
    sites = list(dict.fromkeys(point.site for point in plain.plan.points))
    wide = {site for place, site in enumerate(sites) if place % 2}
    other = _WIDE.model_copy(update={"everywhere": shipped.everywhere, "cache": shipped.cache})
    return tuple(other if point.site in wide else shipped for point in plain.plan.points)


def fine_tuned(plain: Attachment, shipped: Format, clean: Inputs, seed: int) -> dict[str, Tensor]:
    """What is rounded, trained until the rounded network gives float's scores of clean examples."""
    student = copy.deepcopy(plain.model)
    trained = {name: one.requires_grad_() for name, one in _rounded(student)}
    attachment = Attachment(student, plain.plan, in_training=True)
    attachment.final = plain.final
    optimiser = torch.optim.Adam(trained.values(), lr=_RATE)
    chance = torch.Generator().manual_seed(seed)
    formats = (shipped.alone,) * len(plain.plan)
    n = batch_size(clean)
    for _ in range(_STEPS):
        for own in _of_one_length(clean, torch.randint(n, (min(_BATCH, n),), generator=chance)):
            with torch.no_grad():
                wanted = plain.followable(plain.run(own, Rounding(weights=False)))
            rounding = Rounding(formats=formats, examples=batch_size(own))
            with torch.enable_grad():
                scores = attachment.followable(attachment.run(own, rounding))
                loss = F.kl_div(
                    scores.log_softmax(1),
                    wanted.log_softmax(1),
                    reduction="batchmean",
                    log_target=True,
                )
                optimiser.zero_grad()
                loss.backward()
            optimiser.step()
    return {name: one.detach() for name, one in trained.items()}


def _of_one_length(clean: Inputs, rows: Tensor) -> Iterator[Inputs]:
    if not isinstance(clean, Texts):
        yield take(clean, rows)
        return
    lengths = clean.lengths[rows]
    for length in lengths.unique().tolist():
        yield take(clean, rows[lengths == length])
