"""Every preset rounds as the program that ships it, bit for bit."""

import pytest
import torch

from bitcliff.adapters.oracles import VALUES, check, values_of
from bitcliff.adapters.oracles.libraries import torchao_rounds
from bitcliff.quant import round_shipped
from bitcliff.types.presets import PRESETS

# Integers have no negative zero; a program that keeps them as floats does.
KEEP_SIGNS = {"vllm-int8-token", "ct-int8-token", "ort-nbits-32", "gguf-q8_0"}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_equals_its_oracle(name: str) -> None:
    found = list(check(name, 150_000))
    assert found
    for one in found:
        assert one.mismatches == 0, one.worst
        assert one.values >= 150_000
        assert one.signs == 0 or name in KEEP_SIGNS


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_equals_its_oracle_on_ten_million_values(name: str) -> None:
    for one in check(name, 10_000_000, seed=1):
        assert one.mismatches == 0, one.worst
        assert one.values >= 10_000_000


def test_another_rule_under_the_same_name_would_be_noticed() -> None:
    """The check can fail: MXFP4 by FLOOR held against torchao's RCEIL, int8 by 127 against its."""
    x = values_of("heavy-tailed", 1 << 16, 256, torch.float32)
    for ours, theirs in (("mxfp4-floor", "mxfp4-rceil"), ("vllm-int8-token", "torchao-int8-row")):
        assert (round_shipped(x, ours) != torchao_rounds(theirs)(x)).float().mean() > 0.01


def test_values_reach_the_corners() -> None:
    subnormal = values_of("subnormal", 1 << 12, 64, torch.float32)
    tiny = torch.finfo(torch.float32).tiny
    assert ((subnormal.abs() < tiny) & (subnormal != 0)).any()
    zeros = values_of("zeros of either sign", 1 << 12, 64, torch.float32)
    assert (zeros == 0).all(1).any()
    assert ((zeros == 0) & zeros.signbit()).any()
    for kind in VALUES:
        for dtype in (torch.float32, torch.float16, torch.bfloat16):
            assert torch.isfinite(values_of(kind, 1 << 10, 64, dtype)).all()
