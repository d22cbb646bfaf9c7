"""Can brittleness be told in float? The indicators of this network are measured here."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files

import numpy as np
import torch
from torch import Tensor, nn

from bitcliff.points import take
from bitcliff.questions.context import Context, Side, Tell
from bitcliff.questions.indicators.record import IndicatorReference, IndicatorsObserved, Value
from bitcliff.questions.indicators.sensitivity_indicators import (
    FloatNetwork,
    activation_sensitivity,
    input_noise_gap,
    local_lipschitz,
    weight_sharpness,
    weights_of,
)
from bitcliff.questions.indicators.shape_indicators import (
    kurtosis,
    margin_ratio,
    range_ratio,
    small_margins,
)
from bitcliff.questions.indicators.statistics import ABOUT, draws, held_parity
from bitcliff.questions.watched import Watched
from bitcliff.types.subject import tensors_sha256

# Examples, and passes of each: enough for a median.
_MOST = 200
_PASSES = 26


def observe_indicators(context: Context) -> IndicatorsObserved:
    """What the float network's indicators say, beside what they said of networks known."""
    reference = read_reference()
    network = float_network(context.test, context.tell)
    values = indicator_values(network)
    module, data = context.test.prepared.subject.module, context.test.examples.name
    same = tensors_sha256(module.state_dict())
    return IndicatorsObserved(
        n=len(network.logits),
        same_family=(architecture(module), data) == (reference.architecture, reference.data),
        same_network=next((one.name for one in reference.networks if one.sha256 == same), None),
        values={
            key: Value(value=values[key], reason="" if values[key] is not None else about.missing)
            for key, about in ABOUT.items()
        },
        reference=reference,
        drawn=draws(reference.networks),
        drawn_parity=draws(held_parity(reference.networks)),
    )


def read_reference() -> IndicatorReference:
    """The reference that `experiments/float_indicators.py` made."""
    file = files("bitcliff.questions.indicators").joinpath("reference.json")
    return IndicatorReference.model_validate_json(file.read_bytes())


def architecture(module: nn.Module) -> str:
    """SHA-256 of the names and shapes of all that a network holds."""
    shapes = [f"{name} {tuple(value.shape)}" for name, value in module.state_dict().items()]
    return hashlib.sha256("\n".join(sorted(shapes)).encode()).hexdigest()


def indicator_values(network: FloatNetwork) -> dict[str, float | None]:
    """Every indicator of `ABOUT`; None where it cannot be measured."""
    found: dict[str, float | None] = {
        **_weight_shapes(network.module),
        **_activation_shapes(network),
        "margin_ratio": margin_ratio(network.margins),
        "small_margins": small_margins(network.margins),
        "local_lipschitz": local_lipschitz(network),
        "weight_sharpness": weight_sharpness(network),
        "activation_sensitivity": activation_sensitivity(network),
        "input_noise_gap": input_noise_gap(network),
    }
    return {key: _finite(found[key]) for key in ABOUT}


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _weight_shapes(module: nn.Module) -> dict[str, float | None]:
    tails = [float(kurtosis(weight.flatten()[None])) for weight in weights_of(module)]
    return {
        "weight_kurtosis_max": _over(np.max, tails),
        "weight_kurtosis_median": _over(np.median, tails),
    }


def _activation_shapes(network: FloatNetwork) -> dict[str, float | None]:
    """Of each point the median over the examples; then the largest or the median of the points."""
    tails: list[list[Tensor]] = [[] for _ in network.plan.points]
    ranges: list[list[Tensor]] = [[] for _ in network.plan.points]

    def touch(rows: Tensor, index: int) -> Tensor:
        tails[index].append(kurtosis(rows.cpu()))
        ranges[index].append(range_ratio(rows.cpu()))
        return rows

    network.run(Watched(network.module, network.plan, touch))
    usual_tails = [float(torch.cat(point).nanmedian()) for point in tails if point]
    usual_ranges = [float(torch.cat(point).nanmedian()) for point in ranges if point]
    return {
        "activation_kurtosis_max": _over(np.max, usual_tails),
        "activation_kurtosis_median": _over(np.median, usual_tails),
        "range_ratio_max": _over(np.max, usual_ranges),
    }


def _over(summary: Callable[[list[float]], float], values: list[float]) -> float | None:
    measured = [value for value in values if math.isfinite(value)]
    return float(summary(measured)) if measured else None


def float_network(side: Side, tell: Tell = lambda _what, _done, _whole: None) -> FloatNetwork:
    """The examples of a side, at most 200, that float gives finite scores for."""
    kept = side.prepared.in_float.finite.nonzero().flatten()[:_MOST]
    evaluator, labels = side.evaluator, side.examples.labels
    batches = _PASSES * math.ceil(len(kept) / evaluator.batch_size)
    done = iter(range(1, batches + 1))
    network = FloatNetwork(
        evaluator.attachment.model,
        side.prepared.points,
        take(evaluator.inputs, kept),
        side.prepared.in_float.logits[kept],
        None if labels is None else labels[kept],
        evaluator.batch_size,
        lambda: tell("Probing the float network", next(done, batches), batches),
        evaluator.attachment.final,
    )
    if network.final == "none":
        return network
    with torch.no_grad():
        return replace(network, logits=network.run(network, network.inputs))
