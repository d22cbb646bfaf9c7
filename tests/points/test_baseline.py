"""Modules that are quantized already, or narrower than float32, are no baseline."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.ao.quantization import quantize_dynamic
from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_

from bitcliff.adapters.assembly import make_subject
from bitcliff.adapters.optional import quiet
from bitcliff.audit import Audit
from bitcliff.errors import InputError
from bitcliff.points.baseline import check_baseline
from tests.small_networks import chain

X = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))


def by_torch() -> nn.Module:
    with quiet():  # it says that it is deprecated
        made: nn.Module = quantize_dynamic(chain(), {nn.Linear}, dtype=torch.qint8)
    return made


def by_torchao() -> nn.Module:
    made = copy.deepcopy(chain())
    quantize_(made, Int8DynamicActivationInt8WeightConfig(set_inductor_config=False))
    return made


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (by_torch, "already quantized: 6 Linear; give the network in float"),
        (by_torchao, "already quantized: 6 Linear; give the network in float"),
        (lambda: chain().half(), "weights are float16: 12 of its 12 parameters"),
        (lambda: chain().bfloat16(), "weights are bfloat16: 12 of its 12 parameters"),
    ],
)
def test_it_is_refused_by_name_and_in_python(make: Callable[[], nn.Module], told: str) -> None:
    with pytest.raises(InputError, match=told):
        Audit(make(), [X])
    with pytest.raises(InputError, match=f"py:a:b: {told}"):
        make_subject("py:a:b", make(), None, None)


def test_float_is_a_baseline() -> None:
    for network in (chain(), chain().double(), nn.Sequential(nn.Embedding(3, 3), nn.Dropout())):
        check_baseline(network)
