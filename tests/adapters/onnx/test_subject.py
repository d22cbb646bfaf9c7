from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import ModelProto, TensorProto, helper

from bitcliff.adapters import ModelOptions, load_examples, load_model
from bitcliff.adapters.black_box.subject import load_black_box_subject, onnx_bytes
from bitcliff.adapters.onnx.agreement import check_agreement
from bitcliff.adapters.onnx.subject import is_onnx
from bitcliff.adapters.weights import file_sha256
from bitcliff.errors import InputError
from bitcliff.points import logits_of
from bitcliff.types.subject import NamedInput, in_parts
from tests.adapters.onnx.classifiers import X, Y, classifier
from tests.adapters.onnx.networks import by_hand, export, images, perceptron, save, small


def test_a_subject_is_frozen_and_hashed_by_its_file(tmp_path: Path) -> None:
    spec = export(small(), tmp_path / "net.onnx")
    subject = load_model(spec)
    assert (subject.name, subject.weights_sha256) == (spec, file_sha256(Path(spec)))
    assert subject.preprocessing is None
    assert not subject.runs_user_code
    assert not any(p.requires_grad for p in subject.module.parameters())
    assert torch.allclose(subject.module(images(4)), small()(images(4)), atol=1e-5)


def test_weights_beside_the_file_are_part_of_the_hash(tmp_path: Path) -> None:
    spec = export(small(), tmp_path / "net.onnx", dynamo=True, external=True)
    data = tmp_path / "net.onnx.data"
    before = load_model(spec)
    assert torch.allclose(before.module(images(4)), small()(images(4)), atol=1e-5)
    data.write_bytes(data.read_bytes()[:-4] + b"\0\0\0\0")
    assert load_model(spec).weights_sha256 != before.weights_sha256


def test_of_several_outputs_the_scores_are_taken_and_the_others_named(tmp_path: Path) -> None:
    spec = save(classifier(outputs=("f", "logits")), tmp_path / "net.onnx")
    for load in (load_model, load_black_box_subject):
        subject = load(spec)
        assert (subject.output, subject.other_outputs) == ("logits", ("f (batch, 16)",))
        found = subject.module(torch.from_numpy(X)).argmax(1)
        assert found.tolist() == Y.tolist()


def test_where_no_name_tells_the_user_says_which(tmp_path: Path) -> None:
    spec = save(classifier(outputs=("f", "m")), tmp_path / "net.onnx")
    told = r"net\.onnx: 2 of its outputs could be the class scores, f \(batch, 16\), m .*--output m"
    for load in (load_model, load_black_box_subject):
        with pytest.raises(InputError, match=told):
            load(spec)
        with pytest.raises(InputError, match=r"net\.onnx: no output y; it has f, m"):
            load(spec, options=ModelOptions(output="y"))
        for asked in ("m", "1"):
            subject = load(spec, options=ModelOptions(output=asked))
            assert subject.output == "m"
            assert subject.module(torch.from_numpy(X)).shape == (64, 4)
    # Runtimes are asked for the first output: it is the only one that is left.
    (left,) = onnx.load_from_string(onnx_bytes(spec, "m")).graph.output
    assert left.name == "m"


def test_inputs_may_be_called_as_no_keyword_of_a_module_is(tmp_path: Path) -> None:
    model = by_hand([helper.make_node("Sub", ["x", "self"], ["y"])])
    model.graph.input.append(helper.make_tensor_value_info("self", TensorProto.FLOAT, ["batch", 4]))
    spec, own, x = save(model, tmp_path / "net.onnx"), torch.randn(3, 4), torch.randn(3, 4)
    np.savez(tmp_path / "data.npz", self=own.numpy(), x=x.numpy())
    for load in (load_model, load_black_box_subject):
        subject = load(spec)
        examples = load_examples(str(tmp_path / "data.npz"), subject=subject)
        assert torch.equal(logits_of(subject.module, next(in_parts(examples.inputs))), x - own)
    with pytest.raises(InputError, match="takes x, self, each by its name"):
        logits_of(load_model(spec).module, {"x": x})


@pytest.mark.parametrize("shape", [(5, 3), (5, 4, 4), (5, 4, 1)])
def test_another_shape_than_the_file_declares_is_refused_at_the_door(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    spec = save(by_hand([helper.make_node("Relu", ["x"], ["y"])]), tmp_path / "net.onnx")
    np.savez(tmp_path / "data.npz", x=np.ones(shape, np.float32))
    for load in (load_model, load_black_box_subject):
        with pytest.raises(InputError) as caught:
            load_examples(str(tmp_path / "data.npz"), subject=load(spec))
        told = f"{tmp_path / 'data.npz'}: the input has shape {shape}; {spec} takes (n, 4)"
        assert str(caught.value) == told


def test_images_need_one_option_and_get_the_files_size(tmp_path: Path) -> None:
    spec = export(small(), tmp_path / "net.onnx")
    found = load_model(spec, options=ModelOptions(mean=(0.5,), std=(0.25,))).preprocessing
    assert found is not None
    assert (found.size, found.channels) == ((8, 8), 3)
    assert (found.mean, found.std) == ((0.5,) * 3, (0.25,) * 3)
    declared = f"the input that {spec} declares (pixels / 255)"
    assert found.source == f"{declared}, with --mean, --std from the options"
    without = load_model(spec, options=ModelOptions(image_size=8))
    assert without.preprocessing is None
    assert without.unnormalised is not None
    assert without.unnormalised.size == (8, 8)
    with pytest.raises(InputError, match="takes images of 8 x 8; leave --image-size out"):
        load_model(spec, options=ModelOptions(image_size=16))


def test_a_file_whose_input_is_longer_than_images_are(tmp_path: Path) -> None:
    model = by_hand([helper.make_node("Flatten", ["x"], ["y"])], shape=["n", 1, 16000, 1])
    assert load_model(save(model, tmp_path / "net.onnx")).preprocessing is None


def test_a_file_that_leaves_the_size_open(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["y"]),
    ]
    spec = save(by_hand(nodes, shape=("n", 1, "h", "w")), tmp_path / "net.onnx")
    with pytest.raises(InputError, match="need --image-size"):
        load_model(spec, options=ModelOptions(mean=(0.5,)))
    found = load_model(spec, options=ModelOptions(image_size=20)).unnormalised
    assert found is not None
    assert (found.size, found.channels) == ((20, 20), 1)


def test_options_that_a_file_leaves_no_room_for(tmp_path: Path) -> None:
    spec = save(perceptron(), tmp_path / "net.onnx")
    with pytest.raises(InputError, match="can be assessed, but not changed"):
        load_model(spec, options=ModelOptions(num_classes=5))
    torch.save({"a": torch.zeros(1)}, tmp_path / "w.pt")
    with pytest.raises(InputError, match="holds its own weights; leave --weights out"):
        load_model(spec, weights=tmp_path / "w.pt")


def with_input(kind: int, shape: list[int | str]) -> ModelProto:
    model = perceptron()
    model.graph.input.append(helper.make_tensor_value_info("mask", kind, shape))
    return model


def test_several_inputs_are_declared_by_name(tmp_path: Path) -> None:
    assert load_model(save(perceptron(), tmp_path / "net.onnx")).named_inputs is None
    model = with_input(TensorProto.INT64, ["batch", 7, "words"])
    subject = load_model(save(model, tmp_path / "net.onnx"), options=ModelOptions(image_size=8))
    assert subject.named_inputs == {
        "x": NamedInput(torch.float32, (None, 4)),
        "mask": NamedInput(torch.int64, (None, 7, None)),
    }
    assert subject.preprocessing is not None  # which no array uses, so that the option is refused


def test_one_input_of_whole_numbers_has_a_name_too(tmp_path: Path) -> None:
    model = perceptron()
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    model.graph.input[0].type.tensor_type.ClearField("shape")
    subject = load_model(save(model, tmp_path / "net.onnx"))
    assert subject.named_inputs == {"x": NamedInput(torch.int64, None)}


def test_inputs_that_cannot_be_given(tmp_path: Path) -> None:
    model = with_input(TensorProto.STRING, ["batch"])
    with pytest.raises(InputError, match="its input 'mask': tensors of type string cannot be"):
        load_model(save(model, tmp_path / "net.onnx"))


def with_a_rate() -> ModelProto:
    """Sound's own sampling rate comes first, one number for a whole batch."""
    model = perceptron()
    rate = helper.make_tensor_value_info("sr", TensorProto.FLOAT, [])
    model.graph.input.insert(0, rate)
    model.graph.node.insert(0, helper.make_node("Mul", ["x", "sr"], ["scaled"]))
    model.graph.node[1].input[0] = "scaled"
    return model


@pytest.mark.parametrize("load", [load_model, load_black_box_subject])
def test_one_number_for_a_whole_batch_is_given_once(tmp_path: Path, load: Any) -> None:
    spec, data = save(with_a_rate(), tmp_path / "net.onnx"), tmp_path / "data.npz"
    subject = load(spec)
    assert subject.named_inputs["sr"] == NamedInput(torch.float32, ())
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    np.savez(data, x=x, sr=np.float32(0.5))
    examples = load_examples(str(data), subject=subject, limit=3)
    assert isinstance(examples.inputs, dict)
    assert examples.inputs["sr"].tolist() == [0.5] * 3
    half = load_model(save(perceptron(), tmp_path / "plain.onnx"))
    expected = logits_of(half.module, examples.inputs["x"] * 0.5)
    assert torch.allclose(logits_of(subject.module, examples.inputs), expected, atol=1e-6)
    if load is load_model:
        assert check_agreement(spec, subject.module, examples.inputs).largest < 1e-5
    np.savez(data, x=x, sr=np.full(5, 0.5, np.float32))
    told = r"sr has shape \(5,\); .*net\.onnx takes one number for all examples: save it so"
    with pytest.raises(InputError, match=told):
        load_examples(str(data), subject=subject)


def test_numbers_for_a_whole_batch_alone_are_no_examples(tmp_path: Path) -> None:
    model = perceptron()
    del model.graph.input[0].type.tensor_type.shape.dim[:]
    with pytest.raises(InputError, match="its inputs are one number for a whole batch"):
        load_model(save(model, tmp_path / "net.onnx"))


def test_no_input_at_all(tmp_path: Path) -> None:
    model = by_hand([helper.make_node("Constant", [], ["y"], value_float=1.0)])
    del model.graph.input[:]
    with pytest.raises(InputError, match="has no input"):
        load_model(save(model, tmp_path / "net.onnx"))


def test_which_names_are_files() -> None:
    assert is_onnx("dir/NET.ONNX")
    assert not is_onnx("timm:resnet18")
