"""torchao's int8 weights with int8 dynamic activations."""

import sys

import pytest
import torch

from bitcliff.adapters import load_model
from bitcliff.adapters.assembly import make_subject
from bitcliff.adapters.runtimes import load_runtime
from bitcliff.errors import MissingExtra
from tests.small_networks import chain


def test_linear_layers_run_in_integers_and_the_subject_stays_as_it_is() -> None:
    subject = make_subject("chain", chain(width=16), None, None)
    x = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
    expected = subject.module(x)
    kinds = [type(value) for value in subject.module.parameters()]
    runtime = load_runtime("torchao-dynamic", subject, bytes)
    assert (runtime.quantized, runtime.in_float) == ({"Linear": 6}, {})
    found = runtime.run(x)
    assert not torch.equal(found, expected)
    assert (found.argmax(1) == expected.argmax(1)).float().mean() > 0.8
    assert torch.equal(subject.module(x), expected)
    assert [type(value) for value in subject.module.parameters()] == kinds


def test_each_row_has_a_scale_of_its_own() -> None:
    runtime = load_runtime("torchao-dynamic", make_subject("chain", chain(), None, None), bytes)
    torch.manual_seed(0)
    small, large = torch.randn(1, 4), 1000 * torch.randn(1, 4)
    together = runtime.run(torch.cat([small, large]))
    assert torch.allclose(runtime.run(small)[0], together[0], atol=1e-6)


def test_convolutions_stay_in_float_and_are_reported() -> None:
    runtime = load_runtime("torchao-dynamic", load_model("base-digits"), bytes)
    assert runtime.quantized == {"Linear": 1}
    assert runtime.in_float == {"Conv2d": 20, "BatchNorm2d": 20}


def test_a_plans_layers_stay_in_float() -> None:
    subject = make_subject("chain", chain(width=16), None, None)
    runtime = load_runtime("torchao-dynamic", subject, bytes, in_float=("2", "6"))
    assert runtime.kept == {"2", "6"}
    assert (runtime.quantized, runtime.in_float) == ({"Linear": 4}, {"Linear": 2})


def test_where_it_is_not_installed_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchao", None)
    with pytest.raises(MissingExtra) as error:
        load_runtime("torchao-dynamic", make_subject("chain", chain(), None, None), bytes)
    assert str(error.value) == (
        "--runtime torchao-dynamic needs the package torchao: pip install 'bitcliff[torchao]'"
    )
