"""What is not in float, or not in eval mode, is no baseline: with and without a look inside."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bitcliff.adapters import load_model
from bitcliff.adapters.black_box.subject import load_black_box_subject
from bitcliff.adapters.onnx.baseline import check_baseline
from bitcliff.errors import InputError
from tests.adapters.onnx.classifiers import WEIGHTS, classifier, node, quantized
from tests.adapters.onnx.networks import save

LOADERS = (load_model, load_black_box_subject)


def refusals(spec: str) -> list[str]:
    """Of the white box and of the black box."""
    texts = []
    for load in LOADERS:
        with pytest.raises(InputError) as caught:
            load(spec)
        texts.append(str(caught.value))
    assert not any("\n" in text or "another runtime" in text for text in texts)
    return texts


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("dynamic", "2 MatMulInteger, 2 DynamicQuantizeLinear"),
        ("QDQ", "DequantizeLinear"),
        ("QOperator", "2 QLinearMatMul"),
    ],
)
def test_a_quantized_file_is_named_as_such(tmp_path: Path, how: str, told: str) -> None:
    save(classifier(), tmp_path / "net.onnx")
    for text in refusals(str(quantized(tmp_path / "net.onnx", how))):
        assert f"net-{how}.onnx: already quantized: " in text
        assert told in text
        assert "--runtime file:FILE.onnx" in text


def test_weights_alone_may_be_quantized() -> None:
    scale = node("DequantizeLinear", ["q", "s"], ["w"])
    product = node("MatMul", ["a", "w"], ["f"])
    weights: dict[str, Any] = {"q": np.ones((16, 16), np.int8), "s": np.array(0.1, np.float32)}
    with pytest.raises(InputError, match="already quantized: 1 DequantizeLinear"):
        check_baseline(classifier(scale, product, more=weights))


def test_quantized_operators_inside_a_branch_are_found() -> None:
    inner = helper.make_graph(
        [node("DynamicQuantizeLinear", ["a"], ["q", "s", "z"]),
         node("DequantizeLinear", ["q", "s", "z"], ["g"])],
        "inner", [], [helper.make_tensor_value_info("g", TensorProto.FLOAT, None)],
    )  # fmt: skip
    branch = node("If", ["yes"], ["f"], then_branch=inner, else_branch=inner)
    with pytest.raises(InputError, match="already quantized: 2 DequantizeLinear, 2 Dynamic"):
        check_baseline(classifier(branch, more={"yes": np.array(True)}))


def test_float16_weights_are_told_as_such(tmp_path: Path) -> None:
    narrow = classifier(
        node("Cast", ["a"], ["h"], to=TensorProto.FLOAT16),
        node("MatMul", ["h", "w"], ["p"]),
        node("Cast", ["p"], ["f"], to=TensorProto.FLOAT),
        more={"w": WEIGHTS["w1"].astype(np.float16)},
    )
    for text in refusals(save(narrow, tmp_path / "net.onnx")):
        assert text.endswith("weights are float16: 1 of its tensors; export the network in float32")


def test_one_float16_number_is_no_weight() -> None:
    half = numpy_helper.from_array(np.array(0.5, np.float16), "half")
    check_baseline(
        classifier(
            node("Constant", [], ["half"], value=half),
            node("Cast", ["half"], ["whole"], to=TensorProto.FLOAT),
            node("Mul", ["a", "whole"], ["f"]),
        )
    )


def test_batchnorm_of_training_takes_no_part(tmp_path: Path) -> None:
    ones, zeros = np.ones(16, np.float32), np.zeros(16, np.float32)
    norm = node(
        "BatchNormalization", ["a", "s", "z", "z", "s"], ["f", "mean", "var"], training_mode=1
    )
    model = classifier(norm, more={"s": ones, "z": zeros})
    for text in refusals(save(model, tmp_path / "net.onnx")):
        assert "takes its statistics from the batch; export the network in eval mode" in text


@pytest.mark.parametrize("as_node", [False, True])
def test_dropout_counts_where_it_is_switched_on(tmp_path: Path, as_node: bool) -> None:
    ratio = np.array(0.5, np.float32)

    def model(on: bool) -> onnx.ModelProto:
        dropout, flag = node("Dropout", ["a", "r", "t"], ["f"]), np.array(on)
        if not as_node:
            return classifier(dropout, more={"r": ratio, "t": flag})
        constant = node("Constant", [], ["t"], value=numpy_helper.from_array(flag))
        return classifier(constant, dropout, more={"r": ratio})

    for text in refusals(save(model(on=True), tmp_path / "net.onnx")):
        assert "it drops values at random; export the network in eval mode" in text
    for load in LOADERS:
        load(save(model(on=False), tmp_path / "net.onnx"))
