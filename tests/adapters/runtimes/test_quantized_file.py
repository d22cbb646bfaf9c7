"""The file that ships, judged as it is."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import ModelProto, TensorProto, helper, numpy_helper

from bitcliff.adapters.black_box.subject import load_black_box_subject, onnx_bytes
from bitcliff.adapters.runtimes import load_runtime, read_runtime
from bitcliff.errors import InputError
from bitcliff.types.runtime import Runtime
from tests.adapters.onnx.classifiers import CLASSES, WIDTH, X, classifier, node, quantized
from tests.adapters.onnx.networks import save


def beside(folder: Path, file: Path, model: ModelProto | None = None) -> Runtime:
    """Loaded for the classifier in float."""
    spec = save(model or classifier(), folder / "net.onnx")
    subject = load_black_box_subject(spec)
    return load_runtime(f"file:{file}", subject, lambda: onnx_bytes(spec, subject.output))


@pytest.mark.parametrize("how", ["dynamic", "QDQ", "QOperator"])
def test_it_answers_as_the_file_does(tmp_path: Path, how: str) -> None:
    save(classifier(), tmp_path / "net.onnx")
    file = quantized(tmp_path / "net.onnx", how)
    runtime = beside(tmp_path, file)
    session = onnxruntime.InferenceSession(file)
    assert np.array_equal(runtime.run(torch.from_numpy(X)), session.run(None, {"x": X})[0])
    in_float = onnxruntime.InferenceSession(tmp_path / "net.onnx").run(None, {"x": X})[0]
    assert np.allclose(runtime.run_float(torch.from_numpy(X)), in_float, atol=1e-5)
    assert (runtime.quantized, runtime.in_float) == ({"MatMul": 2}, {})
    assert runtime.name == f"file:{file}"
    assert "MatMul" in runtime.description or "QuantizeLinear" in runtime.description


def of_products(how: str, values: type, largest: int) -> ModelProto:
    """One product as a file that ships may hold it: values in 0..1, weights up to `largest`."""
    weight = np.linspace(largest - 9, largest, WIDTH * CLASSES).astype(np.int8)
    zero = 0 if values is np.uint8 else -128
    constants: dict[str, Any] = {
        "s": np.float32(1 / 255),
        "z": values(zero),
        "w": weight.reshape(WIDTH, CLASSES),
        "sw": np.float32(1 / largest),
        "zw": np.int8(0),
        "sy": np.float32(WIDTH / 255),
    }
    quantize = node("QuantizeLinear", ["x", "s", "z"], ["q"])
    scaled = [
        node("DequantizeLinear", ["q", "s", "z"], ["xs"]),
        node("DequantizeLinear", ["w", "sw", "zw"], ["ws"]),
    ]
    made = ["q", "s", "z", "w", "sw", "zw"]
    back = node("DequantizeLinear", ["o", "sy", "z"], ["logits"])
    domain = {"domain": "com.microsoft"}
    steps = {
        "QDQ": [quantize, *scaled, node("MatMul", ["xs", "ws"], ["logits"])],
        "weights alone": [scaled[1], node("MatMul", ["x", "ws"], ["logits"])],
        "QLinearMatMul": [quantize, node("QLinearMatMul", [*made, "sy", "z"], ["o"]), back],
        "QGemm": [quantize, node("QGemm", [*made, "", "sy", "z"], ["o"], **domain), back],
        "MatMulIntegerToFloat": [
            quantize,
            node("MatMulIntegerToFloat", ["q", "w", "s", "sw", "z", "zw"], ["logits"], **domain),
        ],
    }[how]
    used = {name for step in steps for name in step.input}
    graph = helper.make_graph(
        steps,
        "products",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", WIDTH])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", CLASSES])],
        [numpy_helper.from_array(np.array(v), k) for k, v in constants.items() if k in used],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


@pytest.mark.parametrize("external", [False, True])
@pytest.mark.parametrize(
    ("how", "values", "largest", "may"),
    [
        ("QDQ", np.uint8, 127, True),
        ("QDQ", np.int8, 127, True),
        ("QDQ", np.uint8, 64, False),
        ("weights alone", np.uint8, 127, False),
        ("QLinearMatMul", np.uint8, 127, True),
        ("QLinearMatMul", np.int8, 127, False),
        ("QGemm", np.uint8, 127, True),
        ("MatMulIntegerToFloat", np.uint8, 127, True),
        ("MatMulIntegerToFloat", np.int8, 127, False),
    ],
)
def test_it_says_where_sums_may_saturate_and_they_do_nowhere_else(
    how: str, values: type, largest: int, may: bool, external: bool, tmp_path: Path
) -> None:
    file, model = tmp_path / "shipped.onnx", of_products(how, values, largest)
    weight = numpy_helper.to_array(next(t for t in model.graph.initializer if t.name == "w"))
    onnx.save(
        model,
        file,
        save_as_external_data=external,
        location="shipped.weights",
        size_threshold=0,
    )
    assert (tmp_path / "shipped.weights").exists() is external
    runtime = beside(tmp_path, file)
    assert (runtime.sums is not None) is may
    x = torch.from_numpy(np.linspace(0.9, 1, 5 * WIDTH, dtype=np.float32).reshape(5, WIDTH))
    expected = x @ torch.from_numpy(weight.astype(np.float32) / largest)
    apart = float((runtime.run(x) - expected).abs().max() / expected.abs().max())
    flags = set(Path("/proc/cpuinfo").read_text().split())
    if not may or not flags.isdisjoint({"avx512_vnni", "avx_vnni"}):
        assert apart < 0.02
    elif "avx2" in flags:
        assert apart > 0.2


def test_another_file_has_another_version(tmp_path: Path) -> None:
    save(classifier(), tmp_path / "net.onnx")
    files = [quantized(tmp_path / "net.onnx", how) for how in ("dynamic", "QDQ")]
    assert len({beside(tmp_path, file).version for file in files}) == 2


def test_of_several_outputs_it_takes_the_same(tmp_path: Path) -> None:
    both = classifier(outputs=("f", "logits"))
    save(both, tmp_path / "net.onnx")
    runtime = beside(tmp_path, quantized(tmp_path / "net.onnx", "dynamic"), both)
    assert runtime.run(torch.from_numpy(X)).shape == (64, 4)


def test_what_is_not_quantized_is_refused(tmp_path: Path) -> None:
    save(classifier(), tmp_path / "other.onnx")
    with pytest.raises(InputError, match="is not quantized: 2 MatMul in float; give the file that"):
        beside(tmp_path, tmp_path / "other.onnx")


def test_another_network_is_told_by_what_differs(tmp_path: Path) -> None:
    save(classifier(), tmp_path / "net.onnx")
    file = quantized(tmp_path / "net.onnx", "dynamic")
    wider, fewer = classifier(), classifier()
    wider.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["n", 16]))
    wider.graph.node.insert(0, helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT))
    wider.graph.node[1].input[0] = "y"
    del fewer.graph.node[-1]
    fewer.graph.output[0].CopyFrom(helper.make_tensor_value_info("a", TensorProto.FLOAT, ["n", 16]))
    for model, told in (
        (wider, r"it takes x tensor\(float\) \(batch, 16\), and that x tensor\(double\) \(batch"),
        (fewer, r"it gives logits tensor\(float\) \(batch, 4\), and that a tensor\(float\) \(batc"),
    ):
        with pytest.raises(InputError, match=rf"is not the same network as .*net\.onnx: {told}"):
            beside(tmp_path, file, model)


def test_names_without_a_network(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"file:net\.tflite: takes a quantized network as file:F"):
        read_runtime("file:net.tflite")
    with pytest.raises(InputError, match=r"missing\.onnx: no such file"):
        beside(tmp_path, tmp_path / "missing.onnx")
