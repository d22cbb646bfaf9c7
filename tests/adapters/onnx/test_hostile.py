"""Files cut off, changed at random, or made to do harm: one line, exit 2, little memory."""

import json
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.adapters.onnx.networks import by_hand, perceptron, save

node = helper.make_node
HUGE = 2**40
MOST_MEMORY, MOST_SECONDS = 2 * 2**30, 10


def assessed(folder: Path, seconds: float) -> dict[str, Any]:
    x = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    np.savez(folder / "data.npz", x=x, ids=np.full(6, HUGE))
    command = [sys.executable, "-m", "tests.adapters.onnx.hostile", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    results: dict[str, Any] = json.loads(done.stdout)
    assert results["memory"] < MOST_MEMORY
    for name, (code, lines, tail, spent) in results["files"].items():
        assert code in (0, 2), (name, code, tail)
        assert len(lines) == (code == 2), (name, lines, tail)
        assert "internal error" not in "".join(lines), (name, lines)
        assert "Traceback" not in tail, (name, tail)
        assert spent < MOST_SECONDS, (name, spent)
    return dict(results["files"])


def made(shape: list[int], *, then: str = "Add") -> list[onnx.NodeProto]:
    return [
        node("Constant", [], ["shape"], value_ints=shape),
        node("ConstantOfShape", ["shape"], ["big"]),
        node(then, ["x", "big"], ["y"]),
    ]


def chain_of(first: list[onnx.NodeProto], times: int) -> list[onnx.NodeProto]:
    """Many values of 200 MB, all needed at the end."""
    side = 7000
    nodes = [
        *first,
        node("Constant", [], ["wide"], value_ints=[side, side]),
        node("ReduceSum", ["x"], ["one"], keepdims=0),
        node("Expand", ["one", "wide"], ["e"]),
    ]
    nodes += [node("Neg", ["e"], [f"n{turn}"]) for turn in range(times)]
    return [*nodes, node("Sum", [f"n{turn}" for turn in range(times)], ["y"])]


def with_tensor(**changes: Any) -> onnx.ModelProto:
    model = perceptron()
    tensor = model.graph.initializer[0]
    for name, value in changes.items():
        if isinstance(value, list):
            del getattr(tensor, name)[:]
            getattr(tensor, name).extend(value)
        else:
            setattr(tensor, name, value)
    return model


def with_data_at(location: str, **about: str) -> onnx.ModelProto:
    model = perceptron()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **about}.items():
        tensor.external_data.add(key=key, value=value)
    return model


def with_images(nodes: list[onnx.NodeProto], weight: list[int]) -> onnx.ModelProto:
    """The four numbers of an example as one image of two by two."""
    shape, w = np.array([-1, 1, 2, 2]), np.ones(weight, np.float32)
    first = node("Reshape", ["x", "shape"], ["p"])
    return by_hand([first, *nodes], {"shape": shape, "w": w})


def with_ids(nodes: list[onnx.NodeProto]) -> onnx.ModelProto:
    """A second input of whole numbers, each of them `HUGE`."""
    model = by_hand(nodes, {"table": np.ones((3, 4), np.float32)})
    model.graph.input.append(helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch"]))
    return model


def with_input_twice() -> onnx.ModelProto:
    model = perceptron()
    model.graph.input.append(model.graph.input[0])
    return model


def nested(depth: int) -> onnx.ModelProto:
    model = by_hand([node("Relu", ["x"], ["y"])])
    graph = model.graph
    for _ in range(depth):
        inner = graph.node.add(op_type="If", input=["x"], output=["y"]).attribute.add(name="g")
        inner.type = onnx.AttributeProto.GRAPH
        graph = inner.g
    return model


ints = {"value_ints": [1]}
HOSTILE: dict[str, tuple[onnx.ModelProto, str]] = {
    "constant of shape": (by_hand(made([HUGE])), "MiB of a few examples"),
    "just too much": (by_hand(made([2**26 + 1])), "MiB of a few examples"),
    "overflow": (by_hand(made([2**40, 2**40])), "ConstantOfShape"),
    "negative": (by_hand(made([-5])), "ConstantOfShape"),
    "expand": (by_hand(chain_of([], 1)), "must give class scores|classes|one example"),
    "held at once": (by_hand(chain_of([], 9)), "MiB of a few examples"),
    "expanded, then read": (
        by_hand(
            [
                node("Constant", [], ["shape"], value_ints=[2**20, 2**14, 1, 4]),
                node("Expand", ["x", "shape"], ["e"]),
                node("ReduceSum", ["e"], ["r"], keepdims=0),
                node("Add", ["x", "r"], ["y"]),
            ]
        ),
        "MiB of a few examples",
    ),
    "range": (
        by_hand(
            [
                node("Constant", [], ["a"], value_int=0),
                node("Constant", [], ["b"], value_int=HUGE),
                node("Constant", [], ["c"], value_int=1),
                node("Range", ["a", "b", "c"], ["r"]),
                node("Add", ["x", "r"], ["y"]),
            ]
        ),
        "MiB of a few examples",
    ),
    "tile": (
        by_hand(
            [
                node("Constant", [], ["times"], value_ints=[1, 2**34]),
                node("Tile", ["x", "times"], ["y"]),
            ]
        ),
        "MiB of a few examples",
    ),
    "pad": (
        by_hand(
            [
                node("Constant", [], ["by"], value_ints=[0, HUGE, 0, HUGE]),
                node("Pad", ["x", "by"], ["y"]),
            ]
        ),
        "MiB of a few examples",
    ),
    "reflect": (
        by_hand(
            [
                node("Constant", [], ["by"], value_ints=[0, HUGE, 0, HUGE]),
                node("Pad", ["x", "by"], ["y"], mode="reflect"),
            ]
        ),
        "MiB of a few examples",
    ),
    "one hot": (
        by_hand(
            [
                node("Constant", [], ["depth"], value_int=HUGE),
                node("Constant", [], ["values"], value_floats=[0.0, 1.0]),
                node("OneHot", ["x", "depth", "values"], ["y"]),
            ]
        ),
        "MiB of a few examples",
    ),
    "resize": (
        with_images(
            [
                node("Constant", [], ["s"], value_floats=[1.0, 1.0, 1e5, 1e5]),
                node(
                    "Resize",
                    ["p", "", "s"],
                    ["q"],
                    coordinate_transformation_mode="asymmetric",
                    nearest_mode="floor",
                ),
                node("Flatten", ["q"], ["y"]),
            ],
            [1],
        ),
        "MiB of a few examples",
    ),
    "convolution's padding": (
        with_images([node("Conv", ["p", "w"], ["y"], pads=[2**20] * 4)], [1, 1, 1, 1]),
        "MiB of a few examples",
    ),
    "transposed stride": (
        with_images(
            [node("ConvTranspose", ["p", "w"], ["y"], strides=[2**20, 2**20])], [1, 1, 1, 1]
        ),
        "MiB of a few examples",
    ),
    "groups": (
        with_images([node("Conv", ["p", "w"], ["y"], group=0)], [1, 1, 1, 1]),
        "groups must be a positive",
    ),
    "outer product": (
        by_hand(
            [
                node("Constant", [], ["n"], value_ints=[30000]),
                node("ConstantOfShape", ["n"], ["v"]),
                node("Einsum", ["x", "v", "v"], ["y"], equation="ab,c,d->acd"),
            ]
        ),
        "MiB of a few examples",
    ),
    "all positions": (
        by_hand(
            [
                node("Constant", [], ["n"], value_ints=[2**26]),
                node("ConstantOfShape", ["n"], ["v"]),
                node("Cast", ["v"], ["flags"], to=TensorProto.BOOL),
                node("NonZero", ["flags"], ["positions"]),
                node("Add", ["x", "positions"], ["y"]),
            ]
        ),
        "MiB of a few examples",
    ),
    "sizes of the input's own": (
        with_ids(
            [
                node("ConstantOfShape", ["ids"], ["big"]),
                node("Add", ["x", "big"], ["y"]),
            ]
        ),
        "MiB of a few examples",
    ),
    "positions out of a table": (
        with_ids([node("Gather", ["table", "ids"], ["r"]), node("Add", ["x", "r"], ["y"])]),
        r"\(Gather\) failed",
    ),
    "declared too large": (with_tensor(dims=[HUGE, HUGE]), "bytes of it"),
    "declared too small": (with_tensor(dims=[2, 2]), "bytes of it"),
    "negative size": (with_tensor(dims=[-6, -4]), "bytes of it"),
    "declared, no data": (with_tensor(dims=[HUGE], raw_data=b""), "bytes of it"),
    "numbers in a list": (
        with_tensor(dims=[HUGE, 3], raw_data=b"", float_data=[1.0]),
        "holds",
    ),
    "bfloat16": (with_tensor(data_type=16), "weights are bfloat16: 1 of its tensors"),
    "string": (with_tensor(data_type=8), "type string"),
    "no such type": (with_tensor(data_type=99), "type 99"),
    "outside": (with_data_at("../../etc/passwd"), "outside its own folder"),
    "absolute": (with_data_at("/etc/passwd"), "outside its own folder"),
    "by a link": (with_data_at("link"), "outside its own folder"),
    "by a link within": (with_data_at("inner/up/etc/passwd"), "outside its own folder"),
    "a folder": (with_data_at("inner"), "is missing"),
    "nothing named": (with_data_at(""), "is missing"),
    "zero byte": (with_data_at("a\0b"), "cannot be found|is missing"),
    "too long": (with_data_at("a" * 5000), "cannot be found|is missing"),
    "beyond the end": (with_data_at("data.npz", offset="100000000"), "after the end"),
    "before the start": (with_data_at("data.npz", offset="-8"), "after the end"),
    "no number": (with_data_at("data.npz", offset="nought"), "is no number"),
    "another length": (with_data_at("data.npz", length="999999999999"), "bytes of it"),
    "an input twice": (with_input_twice(), "declared twice"),
    "a cycle": (
        by_hand([node("Add", ["x", "y"], ["a"]), node("Relu", ["a"], ["y"])]),
        "is made by no node before it",
    ),
    "a node of itself": (
        by_hand([node("Add", ["x", "y"], ["y"])]),
        "is made by no node before it",
    ),
    "nested": (nested(40), "cut off, or not an ONNX file|If"),
    "nested deep": (nested(300), "cut off, or not an ONNX file|If"),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """All files but those of the long test in one process: to start one takes seconds."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "inner").mkdir()
    (folder / "inner" / "up").symlink_to("/")
    for index, (model, _) in enumerate(HOSTILE.values()):
        save(model, folder / f"made-{index:03d}.onnx")
    data = perceptron().SerializeToString()
    for end in range(0, len(data), 5):
        (folder / f"cut-{end:05d}.onnx").write_bytes(data[:end])
    with (folder / "big.onnx").open("wb") as file:
        file.truncate(3 * 2**30)
    change_at_random(folder, 80)
    return assessed(folder, seconds=900)


def change_at_random(folder: Path, times: int) -> None:
    data, rng = perceptron().SerializeToString(), random.Random(0)
    for turn in range(times):
        changed = bytearray(data)
        for _ in range(rng.choice([1, 1, 2, 8])):
            changed[rng.randrange(len(data))] = rng.randrange(256)
        (folder / f"changed-{turn:04d}.onnx").write_bytes(bytes(changed))


def codes_of(results: dict[str, Any], kind: str) -> list[int]:
    return [code for file, (code, *_) in results.items() if file.startswith(kind)]


def test_files_that_are_made_to_do_harm(results: dict[str, Any]) -> None:
    for index, (name, (_, why)) in enumerate(HOSTILE.items()):
        file = f"made-{index:03d}.onnx"
        code, lines, tail, _ = results[file]
        assert code == 2, (name, tail)
        assert re.search(why, lines[0]), (name, lines)
        assert file in lines[0], (name, lines)


def test_a_file_cut_off_anywhere(results: dict[str, Any]) -> None:
    codes = codes_of(results, "cut-")
    assert len(codes) > 50
    assert set(codes) == {2}


def test_bytes_changed_at_random(results: dict[str, Any]) -> None:
    codes = codes_of(results, "changed-")
    assert codes.count(2) > 20
    assert codes.count(0) > 4  # a weight's value, or a name used throughout


@pytest.mark.slow
def test_more_bytes_changed_at_random(tmp_path: Path) -> None:
    change_at_random(tmp_path, 400)
    codes = codes_of(assessed(tmp_path, seconds=900), "changed-")
    assert codes.count(2) > 100
    assert codes.count(0) > 20


def test_a_file_too_large_is_not_read(results: dict[str, Any]) -> None:
    code, lines, _, _ = results["big.onnx"]
    assert code == 2
    assert "3.0 GiB, but no ONNX file is above 2 GiB" in lines[0]
