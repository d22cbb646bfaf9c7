"""OpenVINO: what its processor plug-in quantizes dynamically, and what it does not."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from bitcliff.adapters.assembly import make_subject
from bitcliff.adapters.runtimes import load_runtime
from bitcliff.errors import InputError, MissingExtra
from bitcliff.export import float_onnx
from tests.small_networks import DigitsCNN

# OpenVINO quantizes dynamically only on processors that multiply int8 in one instruction.
INT8_PRODUCTS = not {"avx512_vnni", "avx_vnni", "avx512bw"}.isdisjoint(
    Path("/proc/cpuinfo").read_text().split()
)


def test_fully_connected_layers_are_dynamic_and_convolutions_are_reported_to_be_in_float() -> None:
    torch.manual_seed(0)
    subject = make_subject("cnn", DigitsCNN().eval(), None, None)
    x = torch.randn(20, 1, 8, 8)
    if not INT8_PRODUCTS:
        with pytest.raises(InputError, match="nothing of cnn is quantized dynamically on this pro"):
            load_runtime("openvino", subject, lambda: float_onnx(subject.module, x))
        return
    runtime = load_runtime("openvino", subject, lambda: float_onnx(subject.module, x))
    assert (runtime.quantized, runtime.in_float) == ({"MatMul": 2}, {"Conv": 3})
    expected = subject.module(x)
    assert torch.allclose(runtime.run_float(x), expected, atol=1e-5)
    found = runtime.run(x)
    assert not torch.allclose(found, expected, atol=1e-5)
    assert torch.allclose(found, expected, atol=0.05)


def test_weights_alone_are_not_passed_off_as_dynamic(capfd: pytest.CaptureFixture[str]) -> None:
    network = nn.Sequential(nn.Conv2d(1, 3, 8), nn.Flatten()).eval()
    subject = make_subject("convolution", network, None, None)
    x = torch.randn(2, 1, 8, 8)
    with pytest.raises(InputError, match="nothing of convolution is quantized dynamically"):
        load_runtime("openvino", subject, lambda: float_onnx(network, x))
    assert capfd.readouterr() == ("", "")  # NNCF draws a bar, and torch tells it of CUDA


@pytest.mark.parametrize("package", ["openvino", "nncf"])
def test_where_it_is_not_installed_the_extra_is_named(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    subject = make_subject("cnn", DigitsCNN().eval(), None, None)
    with pytest.raises(MissingExtra) as error:
        load_runtime("openvino", subject, bytes)
    assert str(error.value) == (
        f"--runtime openvino needs the package {package}: pip install 'bitcliff[openvino]'"
    )
