"""The file that ships, judged as it is."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import ModelProto, TensorProto, helper

from bitcliff.adapters.black_box.subject import load_black_box_subject, onnx_bytes
from bitcliff.adapters.runtimes import load_runtime, read_runtime
from bitcliff.errors import InputError
from bitcliff.types.runtime import Runtime
from tests.adapters.onnx.classifiers import X, classifier, quantized
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
