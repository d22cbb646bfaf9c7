import math
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto

from bitcliff.adapters.black_box import BlackBoxSettings, load_black_box
from bitcliff.adapters.weights import file_sha256
from bitcliff.errors import InputError
from tests.adapters.black_box.networks import (
    a_model,
    images,
    save,
    save_with_weights_at,
    scores,
    weight_bytes,
)
from tests.adapters.subjects import damaged


@pytest.mark.parametrize("batch", ["batch", 1, 4])
def test_gives_what_the_network_does(tmp_path: Path, batch: str | int) -> None:
    spec = save(a_model(batch), tmp_path / "net.onnx")
    box = load_black_box(spec, BlackBoxSettings(batch=3, num_classes=4))
    assert torch.allclose(box.ask(images(7)), scores(images(7)), atol=1e-5)
    assert (box.name, box.identity) == (spec, file_sha256(Path(spec)))


def test_another_output_by_name(tmp_path: Path) -> None:
    spec = save(a_model(), tmp_path / "net.onnx")
    classes = load_black_box(spec, BlackBoxSettings(output="classes")).ask(images(7))
    assert torch.equal(classes, scores(images(7)).argmax(dim=1))
    with pytest.raises(InputError, match="no output logits; it has scores, classes, words"):
        load_black_box(spec, BlackBoxSettings(output="logits"))
    with pytest.raises(InputError, match=r"output words is tensor\(string\), not scores"):
        load_black_box(spec, BlackBoxSettings(output="words"))


def test_weights_in_a_file_of_their_own_are_part_of_the_identity(tmp_path: Path) -> None:
    spec = save_with_weights_at("net.data", tmp_path / "net.onnx")
    with pytest.raises(InputError, match=r"its weights are in .*net\.data, which is missing"):
        load_black_box(spec)
    (tmp_path / "net.data").write_bytes(weight_bytes())
    box = load_black_box(spec)
    assert torch.allclose(box.ask(images(2)), scores(images(2)), atol=1e-5)
    (tmp_path / "net.data").write_bytes(bytes(len(weight_bytes())))
    assert load_black_box(spec).identity != box.identity


@pytest.mark.parametrize("location", ["../secret.data", "{}/secret.data", "link.data"])
def test_weights_outside_the_folder_are_refused(tmp_path: Path, location: str) -> None:
    (tmp_path / "secret.data").write_bytes(weight_bytes())
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "link.data").symlink_to(tmp_path / "secret.data")
    spec = save_with_weights_at(location.format(tmp_path), tmp_path / "net" / "net.onnx")
    with pytest.raises(InputError, match=r"net\.onnx: refused: has weights outside its own folder"):
        load_black_box(spec)


def test_other_inputs_are_refused(tmp_path: Path) -> None:
    spec = save(a_model(input_type=TensorProto.DOUBLE), tmp_path / "net.onnx")
    with pytest.raises(InputError, match=r"one input, of float32; it has images tensor"):
        load_black_box(spec)
    model = a_model()
    second = onnx.helper.make_tensor_value_info("mask", TensorProto.FLOAT, ("batch",))
    model.graph.input.append(second)
    with pytest.raises(InputError, match=r"it has images tensor\(float\), mask tensor\(float\)"):
        load_black_box(save(model, tmp_path / "net.onnx"))


def test_operators_that_are_not_known(tmp_path: Path) -> None:
    spec = save(a_model(operator="Frobnicate"), tmp_path / "net.onnx")
    with pytest.raises(InputError, match=r"ONNX Runtime cannot run it .*Frobnicate") as caught:
        load_black_box(spec)
    assert "\n" not in str(caught.value)


def test_images_of_another_shape(tmp_path: Path) -> None:
    box = load_black_box(save(a_model(), tmp_path / "net.onnx"))
    with pytest.raises(InputError, match=r"takes inputs of shape \(3, 2, 2\), not \(1, 2, 2\)"):
        box.ask(torch.zeros(2, 1, 2, 2))


def test_a_network_that_fails_on_what_it_declares(tmp_path: Path) -> None:
    model = a_model()
    for size in model.graph.input[0].type.tensor_type.shape.dim:
        size.dim_param = "any"
    box = load_black_box(save(model, tmp_path / "net.onnx"))
    with pytest.raises(InputError, match="ONNX Runtime failed") as caught:
        box.ask(torch.zeros(2, 3, 5, 5))
    assert "\n" not in str(caught.value)


def test_nan_is_no_output(tmp_path: Path) -> None:
    box = load_black_box(save(a_model(), tmp_path / "net.onnx"))
    with pytest.raises(InputError, match="gave NaN or infinity"):
        box.ask(torch.full((2, 3, 2, 2), math.nan))


def test_missing_and_damaged_files_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    with pytest.raises(InputError, match=r"net\.onnx: no such file"):
        load_black_box(str(path))
    refused: list[str] = []
    for data in [b"no network at all", *damaged(a_model().SerializeToString())]:
        path.write_bytes(data)
        try:
            load_black_box(str(path)).ask(images(2))
        except InputError as error:
            refused.append(str(error))
    assert len(refused) > 30  # a changed bit of a weight is no damage that shows
    assert all(text.startswith(str(path)) and "\n" not in text for text in refused)
