"""Files larger than what a network may make of a few examples, and than one piece of the format."""

import re
from functools import partial
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper

from bitcliff.adapters.black_box.subject import onnx_bytes
from bitcliff.adapters.onnx.build import build_network
from bitcliff.adapters.onnx.file import check_one_piece, read_onnx
from bitcliff.errors import InputError
from tests.adapters.onnx.networks import by_hand

ROW = 2**20


def table(tmp_path: Path, mib: int, *middle: onnx.NodeProto) -> Path:
    """Of `mib` rows of 1 MiB, zeros that take no room on disk; the examples are numbers of rows."""
    data, numbers = tmp_path / "table.bin", ROW // 4
    with data.open("wb") as file:
        file.truncate(mib * ROW)
    held = TensorProto(name="table", data_type=TensorProto.FLOAT, dims=[mib, numbers])
    held.data_location = TensorProto.EXTERNAL
    for key, value in (("location", data.name), ("length", str(mib * ROW))):
        held.external_data.add(key=key, value=value)
    rows = "table" if not middle else middle[-1].output[0]
    nodes = [
        *middle,
        helper.make_node("Cast", ["x"], ["row"], to=TensorProto.INT64),
        helper.make_node("Gather", [rows, "row"], ["rows"]),
        helper.make_node("ReduceMax", ["rows"], ["y"], axes=[2], keepdims=0),
    ]
    model = by_hand(nodes, shape=["n", 2], opset=13)
    model.graph.initializer.append(held)
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    return tmp_path / "net.onnx"


def test_a_table_is_not_made_of_examples(tmp_path: Path) -> None:
    network = build_network(read_onnx(table(tmp_path, 770)))
    assert network(torch.zeros(3, 2)).tolist() == [[0, 0]] * 3
    with pytest.raises(InputError, match="would make 1024 MiB of a few examples, and 256 is"):
        build_network(read_onnx(tmp_path / "net.onnx"))(torch.zeros(512, 2))


def test_what_is_worked_out_of_a_table_may_be_as_large(tmp_path: Path) -> None:
    doubled = helper.make_node("Add", ["table", "table"], ["twice"])
    network = build_network(read_onnx(table(tmp_path, 260, doubled)))
    assert network(torch.zeros(3, 2)).tolist() == [[0, 0]] * 3


def test_two_gib_with_weights_in_a_file_of_their_own(tmp_path: Path) -> None:
    spec = table(tmp_path, 2048)
    told = re.escape(f"{spec}: 2.0 GiB with its weights, and --runtime takes it in one piece")
    for refuse in (partial(check_one_piece, spec), partial(onnx_bytes, str(spec))):
        with pytest.raises(InputError, match=told):
            refuse()
    check_one_piece(table(tmp_path, 2047))
