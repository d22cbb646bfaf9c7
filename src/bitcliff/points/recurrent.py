"""PyTorch's fused recurrent layers, taken apart into their products of matrices.

The inputs of all steps are multiplied at once, the state at each step: each product is a call of
its own. The formulas are those in the documentation of `nn.LSTM`, `nn.GRU` and `nn.RNN`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from bitcliff.points.operations import Function

Product = Callable[[str, Tensor, Tensor, Tensor | None], Tensor]
"""Given a name such as "hh_l0_reverse", what is multiplied, the weight and its bias."""

States = tuple[Tensor, ...]
Gates = Callable[[Tensor, Tensor, States], States]
"""The shares of the inputs and of the state in the gates, and the states, to the next states."""


def _lstm(x: Tensor, h: Tensor, states: States) -> States:
    i, f, g, o = (x + h).chunk(4, -1)
    c = f.sigmoid() * states[1] + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def _gru(x: Tensor, h: Tensor, states: States) -> States:
    (r_x, z_x, n_x), (r_h, z_h, n_h) = x.chunk(3, -1), h.chunk(3, -1)
    z = (z_x + z_h).sigmoid()
    n = (n_x + (r_x + r_h).sigmoid() * n_h).tanh()
    return ((1 - z) * n + z * states[0],)


LAYERS: Mapping[Function, Gates] = {
    torch.lstm: _lstm,
    torch.gru: _gru,
    torch.rnn_tanh: lambda x, h, _: ((x + h).tanh(),),
    torch.rnn_relu: lambda x, h, _: ((x + h).relu(),),
}
CELLS: Mapping[Function, Gates] = {
    torch.lstm_cell: _lstm,
    torch.gru_cell: _gru,
    torch.rnn_tanh_cell: LAYERS[torch.rnn_tanh],
    torch.rnn_relu_cell: LAYERS[torch.rnn_relu],
}


def is_recurrent(function: Function, args: Sequence[Any]) -> bool:
    """Whether `taken_apart` takes the call; it does not take sequences packed into one tensor."""
    # What is packed has a tensor of batch sizes before the states, and so the weights one later.
    return function in CELLS or (function in LAYERS and isinstance(args[2], list))


def taken_apart(function: Function, args: Sequence[Any], product: Product) -> Any:
    """What the call gives, its products made by `product`."""
    if function in CELLS:
        return _cell(CELLS[function], product, *args)
    return _layers(LAYERS[function], product, *args)


def _cell(
    gates: Gates,
    product: Product,
    x: Tensor,
    hx: Tensor | States,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor | States:
    states = (hx,) if isinstance(hx, Tensor) else tuple(hx)
    share = product("ih", x, w_ih, b_ih)
    after = gates(share, product("hh", states[0], w_hh, b_hh), states)
    return after[0] if isinstance(hx, Tensor) else after


@dataclass(frozen=True)
class _Weights:
    """Of one direction of one layer. `name`: how PyTorch ends the names of its parameters."""

    name: str
    w_ih: Tensor
    w_hh: Tensor
    b_ih: Tensor | None
    b_hh: Tensor | None
    w_hr: Tensor | None


def _directions(
    flat: Sequence[Tensor], has_biases: bool, layers: int, bidirectional: bool
) -> list[_Weights]:
    names = [f"l{i}{end}" for i in range(layers) for end in ("", "_reverse")[: 1 + bidirectional]]
    size = len(flat) // len(names)
    found = []
    for index, name in enumerate(names):
        own = list(flat[index * size : (index + 1) * size])
        b_ih, b_hh = own[2:4] if has_biases else (None, None)
        projection = own[-1] if size > 2 + 2 * has_biases else None
        found.append(_Weights(name, own[0], own[1], b_ih, b_hh, projection))
    return found


def _layers(
    gates: Gates,
    product: Product,
    x: Tensor,
    hx: Tensor | States,
    flat: Sequence[Tensor],
    has_biases: bool,
    layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> States:
    x = x.transpose(0, 1) if batch_first else x
    firsts = (hx,) if isinstance(hx, Tensor) else tuple(hx)
    every = _directions(flat, has_biases, layers, bidirectional)
    count, last = 1 + bidirectional, []
    for layer in range(layers):
        given = F.dropout(x, dropout, train) if layer and dropout else x
        outputs = []
        for index in range(layer * count, (layer + 1) * count):
            states = tuple(first[index] for first in firsts)
            shown, states = _passed(gates, product, every[index], given, states)
            outputs.append(shown)
            last.append(states)
        x = torch.cat(outputs, -1)
    ends = (torch.stack(states) for states in zip(*last, strict=True))
    return (x.transpose(0, 1) if batch_first else x, *ends)


def _passed(
    gates: Gates, product: Product, of: _Weights, x: Tensor, states: States
) -> tuple[Tensor, States]:
    """One direction of one layer over all steps: (steps, batch, hidden), and the last states."""
    share = product(f"ih_{of.name}", x, of.w_ih, of.b_ih)
    backward = of.name.endswith("_reverse")
    shown = []
    for step in range(len(share))[:: -1 if backward else 1]:
        states = gates(share[step], product(f"hh_{of.name}", states[0], of.w_hh, of.b_hh), states)
        if of.w_hr is not None:
            states = (product(f"hr_{of.name}", states[0], of.w_hr, None), *states[1:])
        shown.append(states[0])
    return torch.stack(shown[::-1] if backward else shown), states
