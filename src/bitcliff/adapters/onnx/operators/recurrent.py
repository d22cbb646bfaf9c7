"""LSTM, GRU and RNN, step by step: every product of matrices is a call of its own.

As runtimes do, the inputs of all steps are multiplied at once, and the state at each step.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from bitcliff.errors import InputError

Function = Callable[[Tensor], Tensor]

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
_USUAL = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}
# Those that take no number of their own.
_ACTIVATIONS: Mapping[str, Function] = {
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "softplus": F.softplus,
    "softsign": F.softsign,
    "tanh": torch.tanh,
}


@dataclass(frozen=True)
class Products:
    """What one direction multiplies with, each product with its bias.

    Attributes:
        inputs: (steps, batch, inputs) to (steps, batch, gates * hidden). hidden: the state (batch,
            hidden) to its share in the gates. candidate: of a GRU that resets before it multiplies,
            the state after that to its share in the last gate; `hidden` then has the other two.
    """

    inputs: Function
    hidden: Function
    candidate: Function | None = None


@dataclass(frozen=True)
class _Cell:
    """One step of one direction: its share of the inputs and its states to its next states."""

    kind: str
    products: Products
    activations: Sequence[Function]
    peepholes: Sequence[Tensor] = ()

    def __call__(self, x: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, ...]:
        if self.kind == "LSTM":
            return self._lstm(x, *states)
        (h,) = states
        return (self._gru(x, h) if self.kind == "GRU" else self._plain(x, h),)

    def _plain(self, x: Tensor, h: Tensor) -> Tensor:
        return self.activations[0](x + self.products.hidden(h))

    def _lstm(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        f, g, last = self.activations
        i_in, o_in, f_in, c_in = (x + self.products.hidden(h)).chunk(4, -1)
        i_peep, o_peep, f_peep = self.peepholes or (None, None, None)
        forget, take = f(_seen(f_in, f_peep, c)), f(_seen(i_in, i_peep, c))
        c = forget * c + take * g(c_in)
        return f(_seen(o_in, o_peep, c)) * last(c), c

    def _gru(self, x: Tensor, h: Tensor) -> Tensor:
        f, g = self.activations
        z_in, r_in, new_in = x.chunk(3, -1)
        if self.products.candidate is None:
            z_h, r_h, new_h = self.products.hidden(h).chunk(3, -1)
            z, r = f(z_in + z_h), f(r_in + r_h)
            new = g(new_in + r * new_h)
        else:
            z_h, r_h = self.products.hidden(h).chunk(2, -1)
            z, r = f(z_in + z_h), f(r_in + r_h)
            new = g(new_in + self.products.candidate(r * h))
        return (1 - z) * new + z * h


def _seen(x: Tensor, peephole: Tensor | None, c: Tensor) -> Tensor:
    return x if peephole is None else x + peephole * c


def recurrence(
    kind: str,
    directions: Sequence[Products],
    hidden: int,
    attributes: Mapping[str, Any],
    x: Tensor,
    lengths: Tensor | None = None,
    first_h: Tensor | None = None,
    first_c: Tensor | None = None,
    peepholes: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """All states and the last ones, as ONNX defines LSTM, GRU and RNN.

    Args:
        hidden: how many values a state has. attributes: of the node.
        x: (steps, batch, inputs); batch first if the layout is 1, in what comes out as well.
        lengths: (batch,) steps of each example; None: all. first_h, first_c: (directions, batch,
            hidden); None: zeros. peepholes: (directions, 3 * hidden).

    Raises:
        InputError: a variant that is not supported; it is named.
    """
    activations = _checked(kind, len(directions), attributes)
    if attributes.get("layout", 0):
        x = x.transpose(0, 1)
        first_h, first_c = (
            None if first is None else first.transpose(0, 1) for first in (first_h, first_c)
        )
    firsts = [first_h, first_c] if kind == "LSTM" else [first_h]
    wanted = (len(directions), x.shape[1], hidden)
    for first in firsts:
        if first is not None and first.shape != wanted:
            raise InputError(f"a state of shape {tuple(first.shape)}, and it takes {wanted}")
    backward_only = attributes.get("direction", "forward") == "reverse"
    each = []
    for index, products in enumerate(directions):
        of_mine = () if peepholes is None else peepholes[index].chunk(3)
        count = len(_USUAL[kind])
        mine = activations[index * count : (index + 1) * count]
        states = [_first(first, index, x, hidden) for first in firsts]
        cell = _Cell(kind, products, mine, of_mine)
        each.append(_passed(cell, x, states, bool(index) or backward_only, lengths))
    y = torch.stack([states for states, _ in each], 1)
    last = [torch.stack(states) for states in zip(*(last for _, last in each), strict=True)]
    if attributes.get("layout", 0):
        return (y.permute(2, 0, 1, 3), *(states.transpose(0, 1) for states in last))
    return (y, *last)


def _first(given: Tensor | None, index: int, x: Tensor, hidden: int) -> Tensor:
    return x.new_zeros((x.shape[1], hidden)) if given is None else given[index]


def _passed(
    cell: _Cell, x: Tensor, states: Sequence[Tensor], backward: bool, lengths: Tensor | None
) -> tuple[Tensor, Sequence[Tensor]]:
    """All states (steps, batch, hidden) in the order of the steps, and the last ones."""
    share = cell.products.inputs(x)
    found: list[Tensor] = []
    for step in range(len(share))[:: -1 if backward else 1]:
        after = cell(share[step], states)
        shown = after[0]
        if lengths is not None:  # an example that has ended keeps its state and shows zeros
            runs = (step < lengths)[:, None]
            after = tuple(
                torch.where(runs, new, old) for new, old in zip(after, states, strict=True)
            )
            shown = torch.where(runs, shown, 0.0)
        states = after
        found.append(shown)
    if lengths is not None:  # as ONNX Runtime: of an example without a step, no state is left
        states = [torch.where((lengths > 0)[:, None], last, 0.0) for last in states]
    return torch.stack(found[::-1] if backward else found), states


def _checked(kind: str, directions: int, attributes: Mapping[str, Any]) -> list[Function]:
    """The activations of all directions."""
    names = list(attributes.get("activations") or _USUAL[kind] * directions)
    unknown = sorted({name for name in names if name.lower() not in _ACTIVATIONS})
    unknown += [name for name in ("clip", "input_forget") if attributes.get(name)]
    if unknown or len(names) != directions * len(_USUAL[kind]):
        raise InputError(
            f"its {', '.join(unknown) or 'number of activations'} is not supported; export it with "
            "the activations that are usual, and without clip"
        )
    return [_ACTIVATIONS[name.lower()] for name in names]


def parts_of(
    kind: str, w: Tensor, r: Tensor, b: Tensor | None, attributes: Mapping[str, Any]
) -> Iterator[dict[str, tuple[Tensor, Tensor | None]]]:
    """For each direction the weights (outputs, inputs) and biases of its products, by their names
    in `Products`."""
    for index in range(len(w)):
        b_in, b_hidden = (None, None) if b is None else b[index].chunk(2)
        size = r.shape[2]
        parts = {"inputs": (w[index], b_in), "hidden": (r[index], b_hidden)}
        if kind == "GRU" and not attributes.get("linear_before_reset", 0):
            upper, lower = slice(0, 2 * size), slice(2 * size, None)
            for name, rows in (("hidden", upper), ("candidate", lower)):
                parts[name] = (r[index][rows], None if b_hidden is None else b_hidden[rows])
        yield parts


def recurrent(
    kind: str, x: Tensor, w: Tensor, r: Tensor, b: Tensor | None = None, *rest: Any, **named: Any
) -> tuple[Tensor, ...]:
    """The same of weights w (directions, gates * hidden, inputs), r (directions, gates * hidden,
    hidden) and biases b (directions, 2 * gates * hidden)."""
    directions = [
        Products(
            **{name: partial(F.linear, weight=a, bias=bias) for name, (a, bias) in parts.items()}
        )
        for parts in parts_of(kind, w, r, b, named)
    ]
    return recurrence(kind, directions, r.shape[2], named, x, *rest)


class Recurrent(nn.Module):
    """A node with constant weights: each of its products is a layer, such as `inputs`, `hidden`
    and, backward in time, `hidden_reverse`."""

    def __init__(
        self,
        kind: str,
        layers: Sequence[Mapping[str, nn.Module]],
        hidden: int,
        attributes: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.kind, self.attributes = kind, dict(attributes)
        for index, parts in enumerate(layers):
            for name, layer in parts.items():
                self.add_module(f"{name}{'_reverse' * index}", layer)
        self._products = [Products(**parts) for parts in layers]
        self._hidden = hidden

    def forward(self, x: Tensor, *rest: Tensor | None) -> tuple[Tensor, ...]:
        """Of a node's inputs without w, r and b."""
        return recurrence(self.kind, self._products, self._hidden, self.attributes, x, *rest)


RECURRENT: dict[str, Callable[..., Any]] = {kind: partial(recurrent, kind) for kind in GATES}
