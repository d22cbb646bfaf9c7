"""Where values go, counted by a second writing in numpy, and by hand."""

import numpy as np
import pytest
import torch
from torch import Tensor

from bitcliff.quant import RoundingLoss, round_shipped, rounding_loss
from bitcliff.types.numerics import Numerics
from bitcliff.types.presets import PRESETS, preset


def loss_of(x: Tensor, numerics: Numerics) -> RoundingLoss:
    return rounding_loss(x, round_shipped(x, numerics), numerics)


def activations(name: str) -> Numerics:
    found = preset(name).activations
    assert found is not None
    return found


def heavy(*shape: int) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.randn(shape, generator=draw) * torch.randn(shape, generator=draw).exp()


def test_int8_by_127_5_saturates_each_positive_peak() -> None:
    x = heavy(400, 24)
    found = loss_of(x, activations("torchao-int8-row"))
    rows = x.numpy()
    scale = np.abs(rows).max(1, keepdims=True) / np.float32(127.5)
    levels = np.rint(rows * (np.float32(1) / scale))
    after = np.clip(levels, -128, 127) * scale
    assert found.saturated == int((levels > 127).sum() + (levels < -128).sum())
    assert 100 < found.saturated < 300  # half of the 400 peaks, about
    assert (found.values, found.groups, found.floored) == (9600, 400, 0)
    assert (found.nonzero, found.underflowed) == (9600, int((after == 0).sum()))
    assert found.signal == pytest.approx((rows.astype(float) ** 2).sum())
    error = after.astype(float) - rows
    assert found.error == pytest.approx((error**2).sum())
    assert loss_of(x, activations("vllm-int8-token")).saturated == 0


def test_mx_floor_saturates_where_the_power_of_two_is_too_small_and_rceil_nowhere() -> None:
    x = heavy(50, 64)
    blocks = x.reshape(-1, 32).numpy().astype(float)
    scale = 2 ** (np.floor(np.log2(np.abs(blocks).max(1, keepdims=True))) - 8)
    found = loss_of(x, activations("mxfp8-floor"))
    # Between e4m3's values of 416 and 448 the step is 32.
    assert found.saturated == int((np.abs(blocks) / scale > 448 + 16).sum()) > 0
    assert found.groups == 100
    assert loss_of(x, activations("mxfp8-rceil")).saturated == 0


def test_a_block_of_mixed_magnitude_loses_its_small_values() -> None:
    x = torch.full((1, 32), 0.2)
    x[0, 0], x[0, 1] = 6.0, 0.0
    found = loss_of(x, activations("mxfp4-rceil"))
    # e2m1's least step is a half: below a quarter all is zero.
    assert (found.nonzero, found.underflowed, found.saturated) == (31, 30, 0)
    assert found.error == pytest.approx(30 * 0.04)


def test_a_scale_at_its_floor_is_counted_and_a_group_of_zeros_is_none() -> None:
    x = torch.tensor([[1e-9, -1e-9], [0.0, 0.0], [1.0, 2.0]])
    # Its scale is at least 1/(448 * 512).
    found = loss_of(x, activations("vllm-fp8-token"))
    assert (found.groups, found.floored, found.underflowed) == (3, 1, 2)
    # Without a floor the same values are held.
    assert loss_of(x, activations("vllm-int8-token")).floored == 0
    tiny = torch.full((1, 32), 2.0**-130)
    assert loss_of(tiny, activations("mxfp8-floor")).floored == 1


def test_of_two_level_scales_the_floor_is_in_units_of_the_tensors_own() -> None:
    x = torch.ones(2, 16)
    x[1] *= 1e-6
    found = loss_of(x, activations("nvfp4"))
    assert (found.groups, found.floored, found.underflowed) == (2, 1, 16)


def test_what_fills_up_a_block_is_no_value() -> None:
    numerics = activations("vllm-fp8-group128")
    found = loss_of(heavy(3, 130), numerics)
    assert (found.values, found.groups) == (390, 6)
    assert loss_of(torch.zeros(0, 4), numerics) == RoundingLoss()


@pytest.mark.parametrize(
    "name", [name for name, one in PRESETS.items() if one.isolated and one.activations]
)
def test_parts_add_up_to_the_whole_where_groups_lie_in_one_part(name: str) -> None:
    x, numerics = heavy(6, 128), activations(name)
    parts = loss_of(x[:2], numerics) + loss_of(x[2:], numerics)
    whole = loss_of(x, numerics)
    assert parts.error == pytest.approx(whole.error)
    assert parts.signal == pytest.approx(whole.signal)
    counts = ("values", "saturated", "nonzero", "underflowed", "groups", "floored")
    assert [getattr(parts, key) for key in counts] == [getattr(whole, key) for key in counts]
