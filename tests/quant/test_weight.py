"""fake_quantize_weight against the formula in numpy."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from bitcliff.errors import InputError
from bitcliff.quant import fake_quantize_weight


def reference(w: npt.NDArray[np.float32], bits: int) -> npt.NDArray[np.float32]:
    top = np.float32(2 ** (bits - 1) - 1)
    s = np.abs(w).max() / top
    return np.asarray(np.clip(np.round(w / s), -top, top) * s, dtype=np.float32)


@pytest.fixture(params=[(6, 5, 3, 3), (4, 7), (5,), (3, 2, 5)])
def weight(request: pytest.FixtureRequest) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    w: Tensor = torch.randn(request.param, generator=generator) * torch.rand(
        request.param[0], *[1] * (len(request.param) - 1), generator=generator
    )
    return w


@pytest.mark.parametrize("bits", range(2, 17))
def test_one_scale_a_tensor(weight: Tensor, bits: int) -> None:
    assert torch.equal(
        fake_quantize_weight(weight, bits), torch.from_numpy(reference(weight.numpy(), bits))
    )


@pytest.mark.parametrize("bits", [2, 3, 8, 16])
def test_one_scale_a_channel(weight: Tensor, bits: int) -> None:
    for axis in range(-weight.ndim, weight.ndim):
        found = fake_quantize_weight(weight, bits, axis)
        for mine, channel in zip(found.unbind(axis), weight.unbind(axis), strict=True):
            expected = reference(np.atleast_1d(channel.numpy()), bits)
            assert torch.equal(mine, torch.from_numpy(expected).reshape(mine.shape))


@pytest.mark.parametrize("bits", range(2, 17))
def test_levels_are_symmetric_and_never_beyond_the_range(bits: int) -> None:
    top = 2 ** (bits - 1) - 1
    for seed in range(30):
        w = torch.randn(500, generator=torch.Generator().manual_seed(seed)).double()
        levels = fake_quantize_weight(w, bits) / (w.abs().max() / top)
        assert torch.allclose(levels, levels.round(), atol=1e-6)
        assert levels.abs().max() <= top + 1e-6
        assert torch.equal(fake_quantize_weight(-w, bits), -fake_quantize_weight(w, bits))


def test_zeros_and_zero_channels_pass() -> None:
    w = torch.randn(3, 4)
    w[1] = 0
    assert fake_quantize_weight(torch.zeros(3, 4)).eq(0).all()
    assert fake_quantize_weight(w, 4, 0)[1].eq(0).all()
    assert torch.isfinite(fake_quantize_weight(w, 4, 0)).all()
    assert fake_quantize_weight(torch.zeros(0, 4)).shape == (0, 4)


def test_what_has_no_scale_passes_as_it_is() -> None:
    w = torch.tensor([[1.0, float("inf")], [1.0, 0.3], [1.0, float("nan")], [1e-45, 0.0]])
    found = fake_quantize_weight(w, 3, 0)
    assert torch.equal(found[[0, 3]], w[[0, 3]])
    assert torch.equal(found[2].isnan(), w[2].isnan())
    assert torch.equal(found[1], torch.from_numpy(reference(w[1].numpy(), 3)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_narrow_types_are_worked_in_float32(dtype: torch.dtype) -> None:
    w = torch.randn(8, 9, generator=torch.Generator().manual_seed(1)).to(dtype)
    assert torch.equal(fake_quantize_weight(w, 8), fake_quantize_weight(w.float(), 8).to(dtype))


@pytest.mark.parametrize("axis", [None, 0])
def test_the_gradient_is_the_identity(axis: int | None) -> None:
    w = torch.randn(4, 5, requires_grad=True)
    gradient = torch.randn(4, 5)
    found = fake_quantize_weight(w, 3, axis)
    assert torch.equal(found.detach(), fake_quantize_weight(w.detach(), 3, axis))
    assert torch.equal(torch.autograd.grad((found * gradient).sum(), w)[0], gradient)


def test_the_weight_is_left_alone() -> None:
    w = torch.randn(4, 5)
    before = w.clone()
    fake_quantize_weight(w, 2).add_(1)
    assert torch.equal(w, before)


@pytest.mark.parametrize(
    ("bits", "axis", "message"),
    [
        (1, None, "weight bits must lie in 2"),
        (17, None, "weight bits must lie in 2"),
        (8, 2, "channel_axis 2 does not exist"),
        (8, -3, "channel_axis -3 does not exist"),
    ],
)
def test_bad_arguments_are_named(bits: int, axis: int | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fake_quantize_weight(torch.zeros(2, 3), bits, axis)
