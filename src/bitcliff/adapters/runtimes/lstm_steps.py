"""ONNX Runtime's DynamicQuantizeLSTM step by step, so that the sums in it can be made to saturate.

The inputs of all steps are rounded together, and the state at each step; in a batch one scale spans
all of its examples, as with one thread.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from bitcliff.adapters.runtimes.as_products import Constants, Weight, named
from bitcliff.errors import InputError

LSTM = "DynamicQuantizeLSTM"
"""The operator."""

Added = Callable[[Any, Weight, Constants, str], list[Any]]
"""A MatMulInteger, its weights, the tensors that are known by name and a name of its own, to nodes
that give the same with other sums."""

_GATES = 4
_USUAL = (b"Sigmoid", b"Tanh", b"Tanh")
_FIRST = -(2**63)
# Where its inputs lie.
_W, _R, _B, _LENGTHS, _H, _C, _PEEPHOLES, _WS, _WZ, _RS, _RZ = range(1, 12)


def lstm_steps(onnx: Any, node: Any, constants: Constants, place: int, added: Added) -> list[Any]:
    """The nodes instead of an LSTM.

    Raises:
        InputError: it has peepholes, lengths, other activations or a clip, or weights or scales
            that are not constant.
    """
    asked = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
    inputs = [*node.input, *[""] * (12 - len(node.input))]
    usual = tuple(asked.get("activations", ())) in ((), _USUAL, 2 * _USUAL)
    others = {"clip", "activation_alpha", "activation_beta"} & asked.keys()
    if inputs[_LENGTHS] or inputs[_PEEPHOLES] or others or asked.get("input_forget") or not usual:
        raise InputError(
            f"{named(node)} is not added pair by pair here: it has lengths, peepholes, a clip or "
            "other activations"
        )
    arrays = {
        at: onnx.numpy_helper.to_array(constants[inputs[at]])
        for at in (_W, _R, _B, _WS, _WZ, _RS, _RZ)
        if inputs[at] in constants
    }
    wanted = {_W, _R, _WS, _WZ, _RS, _RZ, *([_B] if inputs[_B] else [])}
    if wanted - arrays.keys() or arrays[_W].dtype != np.int8 or arrays[_R].dtype != np.int8:
        raise InputError(f"{named(node)} is not added pair by pair here, for its weights")
    way = asked.get("direction", b"forward")
    turned = {b"forward": [False], b"reverse": [True]}.get(way, [False, True])
    steps = _Steps(onnx, inputs, arrays, f"lstm_{place}", added)
    nodes = [one for number, back in enumerate(turned) for one in steps.direction(number, back)]
    return [*nodes, *steps.together(list(node.output), len(turned))]


class _Steps:
    """One LSTM, whose nodes are made direction by direction."""

    def __init__(
        self,
        onnx: Any,
        inputs: list[str],
        arrays: dict[int, npt.NDArray[Any]],
        prefix: str,
        added: Added,
    ) -> None:
        self._onnx, self._inputs, self._arrays = onnx, inputs, arrays
        self._prefix, self._added = prefix, added

    def direction(self, number: int, back: bool) -> list[Any]:
        """Nodes whose values "y", "h" and "c", with the direction's number, are what comes out."""
        name, make = self._name(number), self._onnx.helper.make_node
        known = {name(key): tensor for key, tensor in self._tensors(number).items()}
        nodes = [make("Constant", [], [key], value=tensor) for key, tensor in known.items()]
        x = self._inputs[0]
        if back:
            nodes.append(self._turned(name, x, "x"))
            x = name("x")
        nodes += self._product(name, x, "w", known)
        nodes += [
            make("Shape", [x], [name("shape")]),
            make("Gather", [name("shape"), name("0")], [name("steps")]),
            make("Gather", [name("shape"), name("1")], [name("examples")]),
            make("Unsqueeze", [name("examples"), name("first")], [name("lead")]),
            make("Concat", [name("lead"), name("hidden")], [name("state")], axis=0),
        ]
        for state, at in (("h", _H), ("c", _C)):
            begin = name(f"{state}_begin")
            if self._inputs[at]:
                nodes.append(make("Gather", [self._inputs[at], name("at")], [begin], axis=0))
            else:
                nodes.append(make("Expand", [name("zero"), name("state")], [begin]))
        given = [name("steps"), "", name("h_begin"), name("c_begin")]
        seen = name("seen") if back else name("y")
        loop = make("Loop", given, [name("h"), name("c"), seen], body=self._step(name, known))
        nodes.append(loop)
        return [*nodes, *([self._turned(name, seen, "y")] if back else [])]

    def together(self, outputs: list[str], directions: int) -> list[Any]:
        """What all directions give, as the operator has it."""
        make, names = self._onnx.helper.make_node, [self._name(one) for one in range(directions)]
        nodes = []
        for key, output in zip("yhc", outputs, strict=False):
            if not output:
                continue
            # All states come after the steps, the last ones have none.
            axis, parts = int(key == "y"), [name(f"{key}_apart") for name in names]
            nodes += [
                make("Unsqueeze", [name(key), name("second" if axis else "first")], [part])
                for name, part in zip(names, parts, strict=True)
            ]
            nodes.append(make("Concat", parts, [output], axis=axis))
        return nodes

    def _name(self, number: int) -> Callable[[str], str]:
        return f"{self._prefix}_{number}_{{}}".format

    def _tensors(self, number: int) -> dict[str, Any]:
        """Of one direction: weights with scales and zero points, the bias, and what takes sizes."""
        array, hidden = self._arrays, self._arrays[_R].shape[1]
        bias = array.get(_B)
        halves = np.zeros((2, _GATES * hidden), np.float32) if bias is None else bias[number]
        halves = halves.reshape(2, -1)
        values: dict[str, Any] = {
            "w": array[_W][number], "ws": array[_WS][number], "wz": array[_WZ][number],
            "r": array[_R][number], "rs": array[_RS][number], "rz": array[_RZ][number],
            "b": halves[0] + halves[1],
            "0": np.int64(0), "1": np.int64(1), "at": np.int64(number),
            "first": np.array([0]), "second": np.array([1]),
            "hidden": np.array([hidden]), "each": np.array([hidden] * _GATES),
            "last": np.array([-1]), "before": np.array([_FIRST]),
            "zero": np.zeros((1, 1), np.float32),
        }  # fmt: skip
        from_array = self._onnx.numpy_helper.from_array
        return {key: from_array(np.array(value, order="C")) for key, value in values.items()}

    def _turned(self, name: Callable[[str], str], values: str, to: str) -> Any:
        """From the last step to the first."""
        cut = [name(one) for one in ("last", "before", "first", "last")]
        return self._onnx.helper.make_node("Slice", [values, *cut], [name(to)])

    def _product(
        self, name: Callable[[str], str], values: str, by: str, known: Constants
    ) -> list[Any]:
        """Floats "w_floats" or "r_floats": values, rounded, by the weights of that name."""
        make = self._onnx.helper.make_node

        def own(key: str) -> str:
            return name(f"{by}_{key}")

        rounded = [own(key) for key in ("values", "scale", "zero")]
        inputs = [rounded[0], name(by), rounded[2], name(f"{by}z")]
        product = make("MatMulInteger", inputs, [own("sums")])
        matrix = self._onnx.numpy_helper.to_array(known[name(by)])
        return [
            make("DynamicQuantizeLinear", [values], rounded),
            *self._added(product, matrix, known, name(by)),
            make("Mul", [rounded[1], name(f"{by}s")], [own("both")]),
            make("Cast", [own("sums")], [own("wide")], to=self._onnx.TensorProto.FLOAT),
            make("Mul", [own("wide"), own("both")], [own("floats")]),
        ]

    def _step(self, name: Callable[[str], str], known: Constants) -> Any:
        """One step: its number, whether there are more, and the states before, to those after."""
        make, types = self._onnx.helper.make_node, self._onnx.TensorProto

        def does(kind: str, *names: str, **attributes: Any) -> Any:
            *inputs, output = map(name, names)
            return make(kind, inputs, [output], **attributes)

        gates = [name(f"{one}_gate") for one in "iofg"]
        nodes = [
            does("Gather", "w_floats", "step", "input", axis=0),
            *self._product(name, name("h_before"), "r", known),
            does("Add", "r_floats", "input", "both"),
            does("Add", "both", "b", "gates"),
            make("Split", [name("gates"), name("each")], gates, axis=-1),
            *(does("Sigmoid", f"{one}_gate", one) for one in "iof"),
            does("Tanh", "g_gate", "g"),
            does("Mul", "c_before", "f", "kept"),
            does("Mul", "i", "g", "new"),
            does("Add", "kept", "new", "c_after"),
            does("Tanh", "c_after", "told"),
            does("Mul", "o", "told", "h_after"),
            does("Identity", "h_after", "shown"),
            does("Identity", "on", "goes_on"),
        ]  # fmt: skip
        kinds = {"step": types.INT64, "on": types.BOOL, "goes_on": types.BOOL}

        def info(key: str) -> Any:
            shape: list[int] | None = [] if key in kinds else None
            return self._onnx.helper.make_tensor_value_info(
                name(key), kinds.get(key, types.FLOAT), shape
            )

        before = [info(key) for key in ("step", "on", "h_before", "c_before")]
        after = [info(key) for key in ("goes_on", "h_after", "c_after", "shown")]
        return self._onnx.helper.make_graph(nodes, name("step_by_step"), before, after)
