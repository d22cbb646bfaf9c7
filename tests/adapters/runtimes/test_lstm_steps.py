"""An LSTM step by step, against one written out and this machine's own."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper

from bitcliff.adapters.runtimes.lstm_steps import LSTM
from bitcliff.errors import InputError
from tests.adapters.runtimes.sums import (
    Array,
    both,
    check,
    dynamic,
    exactly,
    in_pairs,
    model_of,
    weights,
)

STEPS, EXAMPLES, INPUTS, HIDDEN = 5, 3, 7, 6
WAYS = {"forward": [1], "reverse": [-1], "bidirectional": [1, -1]}


def constants_of(directions: int, states: bool) -> dict[str, Any]:
    random = np.random.default_rng(directions)
    scales = np.array([0.002, 0.003], np.float32)[:directions]
    found = {
        "w": weights(0, directions, INPUTS, 4 * HIDDEN), "ws": scales,
        "r": weights(1, directions, HIDDEN, 4 * HIDDEN), "rs": scales,
        "z": np.zeros(directions, np.int8),
        "b": random.normal(size=(directions, 8 * HIDDEN)).astype(np.float32) / 3,
    }  # fmt: skip
    for name in ("h", "c") if states else ():
        shape = (directions, EXAMPLES, HIDDEN)
        found[name] = random.normal(size=shape).astype(np.float32) / 3
    return found


def node_of(direction: str, states: bool = False, other: str = "") -> Any:
    h, c = ("h", "c") if states else ("", "")
    lengths, peepholes = (other if other == name else "" for name in ("lengths", "peep"))
    given = ["x", "w", "r", "b", lengths, h, c, peepholes, "ws", "z", "rs", "z"]
    return helper.make_node(
        LSTM, given, ["y", "", "last"], hidden_size=HIDDEN, direction=direction,
        domain="com.microsoft"
    )  # fmt: skip


def sigmoid(x: Array) -> Array:
    found: Array = 1 / (1 + np.exp(-x))
    return found


def written_out(
    x: Array, values: dict[str, Any], way: int, number: int, sums: Callable[[Array, Array], Array]
) -> Array:
    """One direction's states: (steps, examples, hidden)."""

    def product(values_: Array, w: Array, scale: np.float32) -> Array:
        rounded, own, zero = dynamic(values_)
        found: Array = (sums(rounded, w) - zero * w.astype(int).sum(0)).astype(np.float32)
        return found * (own * scale)

    inputs = product(x, values["w"][number], values["ws"][number])[::way]
    bias = values["b"][number].reshape(2, -1).sum(0)
    start = np.zeros((EXAMPLES, HIDDEN), np.float32)
    h, c = (values[name][number] if name in values else start for name in ("h", "c"))
    found = []
    for one in inputs:
        gates = one + product(h, values["r"][number], values["rs"][number]) + bias
        i, o, f, new = np.split(gates, 4, -1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(new)
        h = (sigmoid(o) * np.tanh(c)).astype(np.float32)
        found.append(h)
    return np.stack(found[::way])


@pytest.mark.parametrize("states", [False, True])
@pytest.mark.parametrize("direction", WAYS)
def test_its_sums_saturate_at_each_step(direction: str, states: bool) -> None:
    random = np.random.default_rng(4)
    x = (1 + random.random((STEPS, EXAMPLES, INPUTS))).astype(np.float32)
    values = constants_of(len(WAYS[direction]), states)
    expected = [
        np.stack(
            [written_out(x, values, way, at, sums) for at, way in enumerate(WAYS[direction])], 1
        )
        for sums in (exactly, in_pairs)
    ]
    model = model_of(node_of(direction, states), given=TensorProto.FLOAT, **values)
    check(model, torch.from_numpy(x), expected, within=1e-3)


@pytest.mark.parametrize("other", ["lengths", "peep"])
def test_what_is_not_taken_apart_is_told(other: str) -> None:
    values = constants_of(1, states=False)
    values["lengths"] = np.full(EXAMPLES, STEPS, np.int32)
    values["peep"] = np.zeros((1, 3 * HIDDEN), np.float32)
    model = model_of(node_of("forward", other=other), given=TensorProto.FLOAT, **values)
    with pytest.raises(InputError, match=r"DynamicQuantizeLSTM y is not added .* it has lengths"):
        both(model).saturating()
