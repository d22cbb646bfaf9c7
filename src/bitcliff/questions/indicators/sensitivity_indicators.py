"""How a float network responds to small changes: of its input, its weights, its activations."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor, nn
from torch.autograd.graph import allow_mutation_on_saved_tensors

from bitcliff.audit.evaluator import margins
from bitcliff.points import Attachment, Plan, logits_of, take
from bitcliff.points.attach import Rounding
from bitcliff.points.final_activation import FinalActivation
from bitcliff.points.forward import batch_size, raw_tensors
from bitcliff.questions.watched import Watched
from bitcliff.types.subject import Inputs

# Chosen before any network was measured, and not since: see LOG.md.
_INPUT_NOISE = 0.5
_NEAR = 0.1
_ACTIVATION_NOISE = 0.1
_WEIGHT_NOISE = 0.1
_DRAWS = 5
_WEIGHT_DRAWS = 10


@dataclass(frozen=True)
class FloatNetwork:
    """A network in float, in eval mode, and examples that it gives finite scores for.

    Attributes:
        logits: (n, classes), its outputs for them. labels: (n,), if known.
        size: of a batch. tell: hears of each batch done. final: its last activation, before which
            all logits here are taken.
    """

    module: nn.Module
    plan: Plan
    inputs: Inputs
    logits: Float[Tensor, "n classes"]
    labels: Int[Tensor, " n"] | None
    size: int
    tell: Callable[[], None] = lambda: None
    final: FinalActivation = "none"

    def __call__(self, inputs: Inputs) -> Float[Tensor, "batch classes"]:
        """Logits of a batch, with a gradient where one is asked for."""
        if self.final == "none":
            return logits_of(self.module, inputs)
        return followed(self.module, self.plan, self.final, inputs)

    @property
    def margins(self) -> Float64[Tensor, " n"]:
        """Logits by which the first class leads the second."""
        return margins(self.logits, self.logits.argmax(1))

    def run(
        self, forward: Callable[[Inputs], Tensor], inputs: Inputs | None = None
    ) -> Float[Tensor, "n classes"]:
        """Logits of all examples (or of others), batch by batch."""
        inputs = self.inputs if inputs is None else inputs
        found = []
        for rows in torch.arange(batch_size(inputs)).split(self.size):
            found.append(forward(take(inputs, rows)).detach().cpu())
            self.tell()
        return torch.cat(found)


def followed(
    module: nn.Module, plan: Plan, final: FinalActivation, inputs: Inputs
) -> Float[Tensor, "batch classes"]:
    """What a float network gives before its last softmax or sigmoid."""
    attachment = Attachment(module, plan, weight_bits=None)
    attachment.final = final
    return attachment.followable(attachment.run(inputs, Rounding(weights=False)))


def divergence(before: Float[Tensor, "n classes"], after: Float[Tensor, "n classes"]) -> float:
    """Mean rise of the cross-entropy against the network's own predictions (KL), nats."""
    p, q = before.double().log_softmax(1), after.double().log_softmax(1)
    return float((p.exp() * (p - q)).sum(1).mean())


def input_noise_gap(network: FloatNetwork) -> float | None:
    """Points of accuracy lost to Gaussian noise of half the inputs' own spread, mean of 5 draws.

    None without labels, or where the inputs are no numbers.
    """
    if network.labels is None or not raw_tensors(network.inputs):
        return None
    right = (network.logits.argmax(1) == network.labels).double().mean()
    noisy = [
        (
            network.run(_plain(network), _noisy(network.inputs, _INPUT_NOISE, draw)).argmax(1)
            == network.labels
        )
        .double()
        .mean()
        for draw in range(_DRAWS)
    ]
    return 100 * float(right - torch.stack(noisy).mean())


def activation_sensitivity(network: FloatNetwork) -> float:
    """Divergence, nats, under noise at all points of a tenth of the values' own spread; 5 draws."""
    found = []
    for draw in range(_DRAWS):
        rng = torch.Generator().manual_seed(draw)

        def touch(rows: Tensor, _index: int, rng: torch.Generator = rng) -> Tensor:
            spread = rows.flatten(1).std(1, correction=0).view(-1, *[1] * (rows.ndim - 1))
            noise = torch.randn(rows.shape, generator=rng).to(rows)
            return rows + _ACTIVATION_NOISE * spread * noise

        watched = Watched(network.module, network.plan, touch, network.final)
        found.append(divergence(network.logits, network.run(watched)))
    return float(np.mean(found))


def weight_sharpness(network: FloatNetwork) -> float:
    """Divergence, nats, under noise on all weights of a tenth of each filter's norm; 10 draws.

    Source: filter normalisation, H. Li et al., NeurIPS 2018.
    """
    found = []
    for draw in range(_WEIGHT_DRAWS):
        with weights_moved(network.module, _WEIGHT_NOISE, draw):
            found.append(divergence(network.logits, network.run(_plain(network))))
    return float(np.mean(found))


def weights_of(module: nn.Module) -> list[Float[Tensor, "out *rest"]]:
    """Those of layers: parameters of two dimensions or more."""
    return [p.detach() for p in module.parameters() if p.ndim > 1 and p.is_floating_point()]


@contextmanager
def weights_moved(module: nn.Module, share: float, seed: int) -> Iterator[None]:
    """Each filter moved at random by `share` of its own norm; restored on the way out."""
    rng = torch.Generator().manual_seed(seed)
    weights = weights_of(module)
    before = [weight.clone() for weight in weights]
    try:
        with torch.no_grad():
            for weight in weights:
                noise = torch.randn(weight.shape, generator=rng).to(weight)
                norms = [t.flatten(1).norm(dim=1) for t in (weight, noise)]
                scale = share * norms[0] / norms[1]
                weight.add_(noise * scale.view(-1, *[1] * (weight.ndim - 1)))
        yield
    finally:
        with torch.no_grad():
            for weight, old in zip(weights, before, strict=True):
                weight.copy_(old)


def local_lipschitz(network: FloatNetwork) -> float | None:
    """Usual margins that a unit of input can move, the median over the examples.

    Of each the largest gradient of its margin, at itself and at 4 inputs around it (a tenth of the
    inputs' spread away), over the median margin of all. None where inputs have no gradient:
    tokens, or a network that turns gradients off.
    """
    if not raw_tensors(network.inputs):
        return None
    around = [network.inputs, *(_noisy(network.inputs, _NEAR, draw) for draw in range(_DRAWS - 1))]
    target = network.logits.argmax(1)
    largest = torch.zeros(len(target), dtype=torch.float64)
    for inputs in around:
        for rows in torch.arange(len(target)).split(network.size):
            gradients = margin_gradients(network, take(inputs, rows), target[rows])
            if gradients is None:
                return None
            largest[rows] = torch.maximum(largest[rows], gradients)
            network.tell()
    usual = float(network.margins.median())
    found = float(largest.median()) / usual if usual else math.nan
    return found if math.isfinite(found) else None


def margin_gradients(
    forward: Callable[[Inputs], Tensor], inputs: Inputs, target: Int[Tensor, " m"]
) -> Float64[Tensor, " m"] | None:
    """Euclidean norm of d margin / d input, logits a unit; None without a gradient."""
    leaves: list[Tensor] = []

    def leaf(values: Tensor) -> Tensor:
        leaves.append(values.detach().clone().requires_grad_())
        # A network may overwrite what it is given, which a leaf does not bear.
        return leaves[-1].clone()

    with torch.enable_grad(), allow_mutation_on_saved_tensors():
        total = margins(forward(_each(inputs, leaf)), target).sum()
        if not total.requires_grad:
            return None
        found = torch.autograd.grad(total, leaves, allow_unused=True)
    squares = [g.double().flatten(1).square().sum(1) for g in found if g is not None]
    return torch.stack(squares).sum(0).sqrt().cpu() if squares else None


def _plain(network: FloatNetwork) -> Callable[[Inputs], Tensor]:
    def forward(inputs: Inputs) -> Tensor:
        with torch.no_grad():
            return network(inputs)

    return forward


def _noisy(inputs: Inputs, share: float, seed: int) -> Inputs:
    """Gaussian noise on every value, its deviation a share of that of all values."""
    rng = torch.Generator().manual_seed(seed)

    def noisy(values: Tensor) -> Tensor:
        return values + share * values.std() * torch.randn(values.shape, generator=rng).to(values)

    return _each(inputs, noisy)


def _each(inputs: Inputs, change: Callable[[Tensor], Tensor]) -> Inputs:
    """The inputs with those tensors changed that hold numbers, not tokens."""
    if isinstance(inputs, Tensor):
        return change(inputs) if inputs.is_floating_point() else inputs
    return {
        name: change(value) if value.is_floating_point() else value
        for name, value in inputs.items()
    }
