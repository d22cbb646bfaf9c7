"""What is seen of two, held against plain hooks, numpy and another library's rounding."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from bitcliff.audit import AssessSettings, Audit
from bitcliff.audit.prepare import Prepared
from bitcliff.points.final_activation import to_logits
from bitcliff.questions.difference.observe import divergence_of, observe_difference
from bitcliff.questions.difference.record import (
    KEY,
    Difference,
    DifferenceObserved,
    LayerObserved,
)
from bitcliff.questions.difference.statistics import KIND
from bitcliff.record import Record, with_answer
from bitcliff.types.presets import Format
from bitcliff.types.runtime import Runtime
from bitcliff.types.subject import Examples
from tests.a_record import figures_in, observed_in

Array = npt.NDArray[np.float32]
COARSE = {
    "activations": {"element": "int4", "group": "token", "scale": "amax", "divisor": 7},
    "weights": {"element": "int4", "group": "token", "scale": "amax", "divisor": 7},
}


@dataclass(frozen=True)
class Compared:
    """A run of two, and what was seen of them."""

    prepared: Prepared
    record: Record

    @property
    def observed(self) -> DifferenceObserved:
        return observed_in(self.record, KEY, DifferenceObserved)

    @property
    def figures(self) -> Difference:
        return figures_in(self.record, KEY, Difference)


def compared(
    model: nn.Module,
    data: Examples,
    a: str,
    b: str,
    runtimes: tuple[Runtime, ...] = (),
    **settings: Any,
) -> Compared:
    known = [runtime.name for runtime in runtimes]
    asked = AssessSettings(
        budgets=(),
        numerics=tuple(name for name in (a, b) if name not in ("float", *known)),
        compared=(a, b),
        include_stem=True,
        **settings,
    )
    audit = Audit(model, data, settings=asked, runtimes=runtimes)
    record = audit.assess(command="by hand")
    observed = observe_difference(audit.prepared, record)
    assert not list(KIND.problems(record, observed))
    return Compared(audit.prepared, with_answer(record, KEY, observed, KIND))


def some(data: Examples, n: int) -> Examples:
    """The first n: a batch of one each takes its time."""
    assert isinstance(data.inputs, Tensor)
    assert data.labels is not None
    kept = {"ids": data.ids[:n], "thumbnails": None}
    return replace(data, inputs=data.inputs[:n], labels=data.labels[:n], **kept)  # type: ignore[arg-type]


def fp8_row(x: Array, multiply: bool) -> Array:
    """By ml_dtypes: as torchao divides, or as vLLM multiplies by the inverse."""
    scale = np.abs(x).max(-1, keepdims=True) / np.float32(448)
    if multiply:
        scale = np.maximum(scale, np.float32(1 / (448 * 512)))
    values = x * (np.float32(1) / scale) if multiply else x / scale
    small = values.clip(-448, 448).astype(ml_dtypes.float8_e4m3fn)
    return np.asarray(small.astype(np.float32) * scale)


def int8_row(x: Array, divisor: float, ratio: bool) -> Array:
    amax = np.abs(x).max(-1, keepdims=True)
    scale = amax / np.float32(divisor)
    if ratio:
        return np.asarray(np.rint(x * (np.float32(divisor) / amax)).clip(-128, 127) * scale)
    return np.asarray(np.rint(x * (np.float32(1) / scale)).clip(-128, 127) * scale)


ROUND: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "torchao-int8-row": (lambda x: int8_row(x, 127.5, False), lambda w: int8_row(w, 127.5, False)),
    # Its weights are a plain division by amax/127.
    "vllm-int8-token": (
        lambda x: int8_row(x, 127, True),
        lambda w: np.rint(w / (s := np.abs(w).max(-1, keepdims=True) / np.float32(127))) * s,
    ),
    "torchao-fp8-row": (lambda x: fp8_row(x, False), lambda w: fp8_row(w, False)),
    "vllm-fp8-token": (lambda x: fp8_row(x, True), lambda w: fp8_row(w, False)),
}


def by_hooks(model: nn.Module, inputs: Tensor, name: str) -> tuple[list[Array], Array]:
    """Inputs of every linear layer once rounded, and scores: hooks and numpy alone."""
    activations, weights = ROUND[name]
    kept, undo, before = list[Array](), [], dict[nn.Module, Tensor]()

    def enter(layer: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor]:
        kept.append(activations(given[0].numpy()))
        return (torch.from_numpy(kept[-1]),)

    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    for layer in layers:
        before[layer] = layer.weight.data
        layer.weight.data = torch.from_numpy(weights(layer.weight.numpy()))
        undo.append(layer.register_forward_pre_hook(enter))
    try:
        with torch.no_grad():
            return kept, model(inputs).numpy()
    finally:
        for layer, handle in zip(layers, undo, strict=True):
            handle.remove()
            layer.weight.data = before[layer]


@pytest.mark.parametrize(
    ("a", "b"), [("torchao-int8-row", "vllm-int8-token"), ("torchao-fp8-row", "vllm-fp8-token")]
)
def test_values_scores_and_decisions_are_those_of_plain_hooks(
    mlp: nn.Module, held_out: Examples, a: str, b: str
) -> None:
    found = compared(mlp, held_out, a, b)
    assert isinstance(held_out.inputs, Tensor)
    ours = found.observed.layers
    assert ours is not None
    (values_a, scores_a), (values_b, scores_b) = (
        by_hooks(mlp, held_out.inputs, name) for name in (a, b)
    )
    assert len(ours) == len(values_a) == 7
    for layer, x, y in zip(ours, values_a, values_b, strict=True):
        check_layer(layer, x, y)
    p, q = (torch.from_numpy(scores).double().log_softmax(1) for scores in (scores_a, scores_b))
    kl = torch.nn.functional.kl_div(q, p, log_target=True, reduction="none").sum(1)
    pair = found.observed.pairs[0]
    np.testing.assert_allclose(pair.divergence, kl.clamp(min=0), rtol=1e-3, atol=1e-9)
    decided = scores_a.argmax(1) != scores_b.argmax(1)
    assert found.figures.pairs[0].decisions.k == int(decided.sum())


def check_layer(layer: LayerObserved, x: Array, y: Array) -> None:
    """Sums to what another order of adding leaves; the counts themselves."""
    assert layer.values == x.shape[1]
    np.testing.assert_allclose(layer.signal, (x.astype(float) ** 2).sum(1), rtol=1e-5)
    error = ((y.astype(float) - x) ** 2).sum(1)
    np.testing.assert_allclose(layer.rounded_error, error, rtol=1e-2, atol=1e-9)
    assert abs(int(layer.rounded.sum()) - int((x != y).sum())) <= 0.01 * x.size


def test_the_first_layer_is_where_something_is_rounded_otherwise(
    mlp: nn.Module, held_out: Examples
) -> None:
    """Weights alone differ: their layer is the first, and what it gives arrives at the next."""
    whole = Format.model_validate(COARSE)
    finer = {**COARSE, "weights": {**COARSE["weights"], "element": "int8", "divisor": 127}}
    formats = {"coarse": whole, "finer": Format.model_validate(finer)}
    found = compared(mlp, held_out, "coarse", "finer", formats=formats).figures
    assert [layer.parts for layer in found.layers] == ["weights"] + ["arriving"] * 6
    assert found.first == "layers.0"
    assert found.layers[0].rounded.other == 0
    assert found.layers[0].touched.k == 0
    assert (found.layers[0].other_weights or 0) > 0.5


def test_a_format_of_weights_alone_against_float(mlp: nn.Module, held_out: Examples) -> None:
    weights = Format.model_validate({"weights": COARSE["weights"]})
    found = compared(mlp, held_out, "float", "w4", formats={"w4": weights})
    assert found.figures.layers[0].parts == "weights"
    # It rounds no values, so none go anywhere.
    assert found.figures.sides == []
    policy, pair = found.record.by_name["w4"], found.figures.pairs[0]
    assert pair.change is not None
    assert policy.change is not None
    assert (pair.change.lost, pair.change.gained) == (policy.change.lost, policy.change.gained)
    assert pair.decisions == policy.flips.all


def test_equal_formats_part_nowhere(mlp: nn.Module, held_out: Examples) -> None:
    one = Format.model_validate(COARSE)
    found = compared(mlp, held_out, "one", "two", formats={"one": one, "two": one})
    assert found.figures.first is None
    assert not any(layer.rounded.other or layer.rounded.error for layer in found.figures.layers)
    assert found.figures.pairs[0].decisions.k == 0
    assert float(found.observed.pairs[0].divergence.max()) == 0


def test_where_values_go_is_of_every_batch(mlp: nn.Module, held_out: Examples) -> None:
    """Counts are the same in batches that do not come out even."""
    a, b = "torchao-int8-row", "vllm-int8-token"
    whole, parts = (compared(mlp, held_out, a, b, batch_size=size) for size in (40, 16))
    for one, other in zip(whole.observed.sides, parts.observed.sides, strict=True):
        counts = [(loss.values, loss.groups, loss.nonzero) for loss in one.losses]
        assert counts == [(loss.values, loss.groups, loss.nonzero) for loss in other.losses]
        assert counts[0][:2] == (40 * 64, 40)
    # A peak that is positive, as all are after a ReLU, lies at 127.5: half of them round beyond.
    saturated = [sum(loss.saturated for loss in side.losses) for side in whole.observed.sides]
    assert saturated[0] > 40
    assert saturated[1] == 0


def test_a_scale_that_a_batch_shares_is_compared_alone_and_in_company(
    mlp: nn.Module, held_out: Examples
) -> None:
    data = some(held_out, 6)
    found = compared(mlp, data, "torchao-fp8-row", "torchao-fp8-tensor", batch_size=4)
    names = [(pair.a, pair.b) for pair in found.figures.pairs]
    batch = "torchao-fp8-tensor-batch"
    assert names == [
        ("torchao-fp8-row", "torchao-fp8-tensor"),
        ("torchao-fp8-row", batch),
    ]
    # Of one vector, the row is the tensor: alone the two are the same, but for weights.
    assert found.figures.layers[0].parts == "weights"
    assert found.figures.layers[0].rounded.other == 0


def test_a_runtime_shows_answers_alone(mlp: nn.Module, held_out: Examples) -> None:
    def run(inputs: Any) -> Tensor:
        with torch.no_grad():
            return mlp(inputs) + 5.0 * torch.arange(10)  # type: ignore[no-any-return]

    runtime = Runtime("theirs", "theirs 1", "shifts every class", run, mlp, {"Gemm": 7})
    found = compared(mlp, some(held_out, 8), "vllm-int8-token", "theirs", (runtime,))
    assert found.observed.layers is None
    assert found.observed.no_layers.startswith("theirs shows no values inside the network")
    assert [side.name for side in found.observed.sides] == ["vllm-int8-token"]
    assert found.figures.pairs[0].decisions.k > 0
    assert found.figures.pairs[0].divergence.n == 8
    assert [pair.b for pair in found.figures.pairs] == ["theirs", "theirs-batch"]


def test_scores_that_are_probabilities_are_taken_as_they_are() -> None:
    a = torch.tensor([[0.5, 0.5], [1.0, 0.0]])
    b = torch.tensor([[0.25, 0.75], [0.5, 0.5]])
    expected = [0.5 * np.log(2) + 0.5 * np.log(0.5 / 0.75), np.log(2)]
    scores = (to_logits(part, "softmax") for part in (a, b))  # as an evaluator gives them
    assert divergence_of(*scores).tolist() == pytest.approx(expected)
    # Scores of any kind beside them: the softmax of both.
    logits = torch.tensor([[3.0, -1.0], [0.5, 0.5]])
    p, q = a.double().softmax(1), logits.double().softmax(1)
    assert divergence_of(a, logits).tolist() == pytest.approx((p * (p / q).log()).sum(1).tolist())
