"""An ONNX file as a subject that is not looked into."""

from pathlib import Path

import onnx
import pytest
import torch

from bitcliff.adapters import ModelOptions
from bitcliff.adapters.black_box.subject import load_black_box_subject, onnx_bytes
from bitcliff.adapters.runtimes import load_runtime
from bitcliff.errors import InputError
from bitcliff.types.runtime_choice import OrtOptions
from tests.adapters.black_box.networks import a_model, images, scores


@pytest.mark.parametrize("batch", ["batch", 1])
def test_it_gives_what_the_file_does(tmp_path: Path, batch: str | int) -> None:
    file = tmp_path / "network.onnx"
    onnx.save(a_model(batch), file)
    subject = load_black_box_subject(str(file))
    assert subject.black_box
    assert torch.allclose(subject.module(images(5)), scores(images(5)), atol=1e-5)
    assert list(subject.module.parameters()) == []
    # The file says nothing of how pixels become values, which is therefore asked for.
    assert subject.preprocessing is None
    assert subject.unnormalised is not None
    assert (subject.unnormalised.size, subject.unnormalised.channels) == ((2, 2), 3)


def test_the_user_says_how_images_are_normalised(tmp_path: Path) -> None:
    file = tmp_path / "network.onnx"
    onnx.save(a_model(), file)
    subject = load_black_box_subject(str(file), ModelOptions(mean=(0.5,), std=(0.25,)))
    assert subject.preprocessing is not None
    assert subject.preprocessing.mean == (0.5, 0.5, 0.5)


def test_a_fixed_batch_above_one_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "network.onnx"
    onnx.save(a_model(8), file)
    with pytest.raises(InputError, match=r"takes 8 examples at once and no other number"):
        load_black_box_subject(str(file))


def test_only_onnx_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"MODEL timm:resnet18: --black-box takes a network as"):
        load_black_box_subject("timm:resnet18")


def test_a_fixed_batch_of_one_takes_no_batches(tmp_path: Path) -> None:
    file = tmp_path / "network.onnx"
    model = a_model(1)
    del model.graph.node[3:], model.graph.output[1:]
    onnx.save(model, file)
    subject = load_black_box_subject(str(file))
    # Sums of signed weights saturate on some processors.
    unsigned = OrtOptions(weights="uint8")
    runtime = load_runtime("ort-dynamic", subject, lambda: onnx_bytes(str(file)), unsigned)
    assert runtime.quantized == {"MatMul": 1}
    assert runtime.batches is False
    assert torch.allclose(runtime.run(images(1)), scores(images(1)), atol=0.1)


@pytest.mark.parametrize("name", ["torch-dynamic", "torchao-dynamic"])
def test_runtimes_of_modules_say_so(tmp_path: Path, name: str) -> None:
    file = tmp_path / "network.onnx"
    onnx.save(a_model(), file)
    subject = load_black_box_subject(str(file))
    with pytest.raises(InputError, match=f"--runtime {name}: it takes modules, and .* black box"):
        load_runtime(name, subject, lambda: onnx_bytes(str(file)))
