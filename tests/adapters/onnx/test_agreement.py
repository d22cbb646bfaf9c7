from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import ModelProto, TensorProto, helper
from onnxruntime import InferenceSession

from bitcliff.adapters import ModelOptions, load_model
from bitcliff.adapters.onnx import operators
from bitcliff.adapters.onnx.agreement import check_agreement
from bitcliff.errors import InputError
from bitcliff.tasks import judge_as, task_of
from bitcliff.tasks.against_float import AgainstFloat
from tests.adapters.onnx.networks import by_hand, export, images, perceptron, save, small

PLANTED: dict[str, tuple[str, Callable[..., Any]]] = {
    "relu": ("Relu", lambda x: x.clamp(-0.01)),
    "mean": ("ReduceMean", lambda x, *_, **__: x.amax((2, 3))),
    "tiny": ("Relu", lambda x: x.relu() + 0.02),
}


@pytest.mark.parametrize("batch", [None, 1, 3])
@pytest.mark.parametrize("dynamo", [False, True])
def test_what_is_right_agrees(tmp_path: Path, dynamo: bool, batch: int | None) -> None:
    spec = export(small(), tmp_path / "net.onnx", dynamo=dynamo, batch=batch)
    agreed = check_agreement(spec, load_model(spec).module, images(70))
    assert agreed.examples == 64
    assert agreed.largest < 1e-5


@pytest.mark.parametrize("planted", PLANTED)
def test_an_operator_that_is_wrong_is_found_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, planted: str
) -> None:
    spec = export(small(), tmp_path / "net.onnx", dynamo=True)
    name, wrong = PLANTED[planted]
    monkeypatch.setitem(operators.OPERATORS, name, wrong)
    with pytest.raises(InputError, match="gives other outputs than ONNX Runtime") as caught:
        check_agreement(spec, load_model(spec).module, images(20))
    text = str(caught.value)
    assert text.startswith(f"{spec}: ")
    assert "\n" not in text
    assert text.endswith(f"({name}) is the first that differs")
    assert " of 20 examples change class, scores differ by " in text


def test_a_wrong_operator_among_constants_is_named_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = [
        helper.make_node("Neg", ["w"], ["minus"], "turn"),
        helper.make_node("MatMul", ["x", "minus"], ["y"], "product"),
    ]
    weights = {"w": np.eye(4, dtype=np.float32)}
    spec = save(by_hand(nodes, weights), tmp_path / "net.onnx")
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    assert check_agreement(spec, load_model(spec).module, x).examples == 5
    monkeypatch.setitem(operators.OPERATORS, "Neg", torch.abs)
    with pytest.raises(InputError, match=r"node turn \(Neg\) is the first that differs"):
        check_agreement(spec, load_model(spec).module, x)


def test_weights_in_a_file_beside_it_agree_and_can_be_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = export(small(), tmp_path / "net.onnx", dynamo=True, external=True)
    assert check_agreement(spec, load_model(spec).module, images(4)).largest < 1e-5
    monkeypatch.setitem(operators.OPERATORS, "Relu", torch.abs)
    with pytest.raises(InputError, match=r"\(Relu\) is the first that differs"):
        check_agreement(spec, load_model(spec).module, images(4))


def test_a_graph_that_mixes_a_larger_batch_is_no_a_wrong_operator(tmp_path: Path) -> None:
    # Each row of two takes the other: a batch that the file knows gives what ONNX Runtime does.
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["m"], keepdims=1, axes=[0]),
        helper.make_node("Sub", ["x", "m"], ["y"]),
    ]
    spec = save(by_hand(nodes, shape=(1, 4), opset=13), tmp_path / "net.onnx")
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    with pytest.raises(InputError, match="fixed the batch at 1; export it with"):
        check_agreement(spec, load_model(spec).module, x)


def test_ties_may_fall_either_way(tmp_path: Path) -> None:
    nodes = [helper.make_node("Concat", ["x", "x"], ["y"], axis=1)]
    spec = save(by_hand(nodes), tmp_path / "net.onnx")
    x = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))
    module = load_model(spec).module

    class Turned(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = module(x)
            return out + torch.linspace(0, 1e-6, 8)

    assert check_agreement(spec, Turned(), x).largest < 1e-5


def nearly_nothing(path: Path) -> tuple[str, torch.nn.Module, torch.Tensor]:
    """A segmenter that finds one pixel of each map, of which nothing is wanted, and is so sure of
    the others that kernels write e^-28 otherwise; with inputs."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["scores"], "look"),
        helper.make_node("Sigmoid", ["scores"], ["y"], "squash"),
    ]
    weights = {"w": -np.ones((1, 1, 1, 1), np.float32)}
    spec = save(by_hand(nodes, weights, shape=("batch", 1, 4, 4)), path / "net.onnx")
    module = load_model(spec, options=ModelOptions(task="positions:0.1")).module
    x = torch.linspace(28, 29, 6 * 16).view(6, 1, 4, 4)
    x[:, 0, 1, 2] = -3
    task = task_of(module)
    assert isinstance(task, AgainstFloat)
    task.tell(x, torch.zeros(6, 4, 4, dtype=torch.long))
    return spec, module, x


def test_probabilities_of_nearly_nothing_are_compared_as_they_are_given(tmp_path: Path) -> None:
    spec, module, x = nearly_nothing(tmp_path)
    theirs = InferenceSession(spec).run(None, {"x": x.numpy()})[0]
    assert (torch.from_numpy(theirs).log() - module(x).log()).abs().max() > 1
    agreed = check_agreement(spec, module, x)
    assert agreed.examples == 6
    assert agreed.largest < 1e-5


def test_a_map_that_is_another_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, module, x = nearly_nothing(tmp_path)
    monkeypatch.setitem(operators.OPERATORS, "Sigmoid", lambda x: (x + 30).sigmoid())
    wrong = load_model(spec, options=ModelOptions(task="positions:0.1")).module
    judge_as(wrong, task_of(module))
    with pytest.raises(InputError, match=r"6 of 6 examples change class.*squash \(Sigmoid\)"):
        check_agreement(spec, wrong, x)


def test_outputs_that_are_no_scores(tmp_path: Path) -> None:
    chosen = helper.make_node("ArgMax", ["x"], ["y"], axis=1, keepdims=0)
    spec = save(by_hand([chosen]), tmp_path / "net.onnx")
    with pytest.raises(InputError, match=r"net\.onnx: the model must give class scores"):
        check_agreement(spec, load_model(spec).module, torch.zeros(3, 4))


def test_inputs_that_the_file_does_not_have_are_refused(tmp_path: Path) -> None:
    spec = save(perceptron(), tmp_path / "net.onnx")
    with pytest.raises(InputError, match="takes x, each by its name"):
        check_agreement(
            spec, load_model(spec).module, {"ids": torch.zeros(2, 4), "mask": torch.zeros(2, 4)}
        )


def several() -> tuple[ModelProto, dict[str, torch.Tensor]]:
    """Rows of a table by whole numbers, times what a mask of truths leaves; and inputs."""
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"], "look up"),
        helper.make_node("Where", ["mask", "x", "zero"], ["left"], "mask out"),
        helper.make_node("Add", ["rows", "left"], ["y"], "add"),
    ]
    table = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    model = by_hand(nodes, {"table": table, "zero": np.zeros(1, np.float32)})
    model.graph.input.extend(
        [
            helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch"]),
            helper.make_tensor_value_info("mask", TensorProto.BOOL, ["batch", 4]),
        ]
    )
    generator = torch.Generator().manual_seed(0)
    return model, {
        "mask": torch.rand(20, 4, generator=generator) < 0.5,
        "ids": torch.randint(9, (20,), generator=generator),
        "x": torch.randn(20, 4, generator=generator),
    }


def test_several_inputs_agree_by_their_names(tmp_path: Path) -> None:
    model, inputs = several()
    spec = save(model, tmp_path / "net.onnx")
    assert check_agreement(spec, load_model(spec).module, inputs).examples == 20


def test_a_wrong_operator_is_named_with_several_inputs_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, inputs = several()
    spec = save(model, tmp_path / "net.onnx")
    monkeypatch.setitem(operators.OPERATORS, "Where", lambda mask, x, _: mask.logical_not() * x)
    with pytest.raises(InputError, match=r"node mask out \(Where\) is the first that differs"):
        check_agreement(spec, load_model(spec).module, inputs)


def test_several_inputs_of_a_fixed_batch_are_asked_so(tmp_path: Path) -> None:
    model, inputs = several()
    for given in model.graph.input:
        given.type.tensor_type.shape.dim[0].dim_value = 3
    spec = save(model, tmp_path / "net.onnx")
    assert check_agreement(spec, load_model(spec).module, inputs).examples == 20
