"""Every operator against the cases that the onnx package gives for it."""

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from bitcliff.adapters.onnx.build import build_network
from bitcliff.adapters.onnx.file import OnnxFile
from bitcliff.adapters.onnx.operators import OPERATORS
from bitcliff.adapters.onnx.tensors import TYPES
from bitcliff.errors import InputError

# What is refused when it is met, by a pattern of the case's name: never wrong outputs.
REFUSED = {
    r"averagepool_.*dilations": "a dilated window is not given",
    r"batchnorm_.*_training_mode": "takes its statistics from the batch",
    r"training_dropout": "drops values at random",
    r"maxpool_with_argmax": "positions of the largest values",
    r"reduce_(max|min)_empty_set": "non-zero size",
    r"^test_not_[234]d$": "is of opset 1",
    r"scatternd_(multiply|max|min)": "scatters with reduction",
    r"resize_.*(nearest|tf_crop|antialias|exclude_outside|symmetric|cubic_asymmetric)": "resizes",
    r"resize_downsample_scales_(linear|cubic)_align_corners": "resizes in a way",
    r"resize_downsample_sizes_linear_pytorch_half_pixel": "resizes in a way",
    r"^test_constant$": "does not depend on its input",
}
# Rounded to half precision at other steps than in the reference: 5e-4 apart.
COARSE = r"attention_.*fp16"
CHECKED: set[str] = set()  # one is enough, however many operators a case has


@pytest.fixture(scope="module")
def cases() -> list[Any]:
    """All that onnx has, which takes half a minute to make."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        return [case for case in collect_testcases(None) if case.model is not None]


def is_of_our_types(case: Any) -> bool:
    """Whether all its inputs and outputs are plain tensors of types that are supported.

    Left out are strings, sequences, complex numbers, bfloat16, the types of 8 bits or fewer that
    are no integers, and unsigned ones above 8 bits, with which PyTorch hardly computes.
    """
    values = [*case.model.graph.input, *case.model.graph.output]
    return all(
        value.type.HasField("tensor_type") and value.type.tensor_type.elem_type in TYPES
        for value in values
    )


def as_array(value: Any) -> Any:
    """Of some cases, the values are those of a file."""
    if isinstance(value, onnx.TensorProto):
        return onnx.numpy_helper.to_array(value).copy()
    return np.array(value)


def check(case: Any) -> None:
    """Each output, of a network that is built for it."""
    file = OnnxFile(Path(case.name), case.model, "", 0)
    names = [output.name for output in case.model.graph.output]
    networks = {name: build_network(file, output=name) for name in names}
    for inputs, outputs in case.data_sets:
        given = [torch.from_numpy(as_array(value)) for value in inputs]
        found: dict[str, Any] = {}
        for name, network in networks.items():
            with torch.no_grad():
                for step, values in network.values(*given):
                    made = dict(zip(step.outputs, values, strict=False))
                    found.update({name: made[name]} if name in made else {})
        tolerance = 1e-3 if re.search(COARSE, case.name) else case.atol
        for output, expected in zip(case.model.graph.output, map(as_array, outputs), strict=True):
            value = found[output.name].numpy()
            assert (value.shape, value.dtype) == (expected.shape, expected.dtype), case.name
            np.testing.assert_allclose(
                value, expected, rtol=case.rtol, atol=tolerance, err_msg=case.name
            )


def of_operator(cases: list[Any], keep: Callable[[set[str]], bool]) -> list[Any]:
    named = [(case, {node.op_type for node in case.model.graph.node}) for case in cases]
    return [case for case, names in named if names <= OPERATORS.keys() and keep(names)]


@pytest.mark.parametrize("operator", sorted(OPERATORS))
def test_an_operator_gives_what_onnx_says(operator: str, cases: list[Any]) -> None:
    checked = 0
    for case in of_operator(cases, lambda names: operator in names):
        if not is_of_our_types(case):
            continue
        why = [text for name, text in REFUSED.items() if re.search(name, case.name)]
        if why:
            with pytest.raises(InputError, match=why[0]):
                check(case)
        elif case.name not in CHECKED:
            check(case)
            CHECKED.add(case.name)
        checked += not why
    assert checked, f"no case of {operator} was checked"


def test_how_many_cases_count(cases: list[Any]) -> None:
    mine = [case for case in of_operator(cases, lambda _: True) if is_of_our_types(case)]
    refused = [c for c in mine if any(re.search(name, c.name) for name in REFUSED)]
    assert len(mine) - len(refused) > 1000
