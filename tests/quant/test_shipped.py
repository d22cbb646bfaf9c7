"""Shipped formats: worked by hand, grouped as they say, differentiable as identity."""

import pytest
import torch

from bitcliff.errors import InputError
from bitcliff.quant import fake_quantize, round_by_choice, round_shipped
from bitcliff.quant.groups import as_groups
from bitcliff.quant.shipped import Rounder
from bitcliff.types.numerics import Numerics

GROUPS: dict[str, dict[str, int | str]] = {
    "batch": {},
    "example": {},
    "token": {},
    "channel": {},
    "block": {"block": 4},
}


def numerics(group: str, **more: object) -> Numerics:
    fields = {"element": "int8", "group": group, "scale": "amax", "divisor": 127, **more}
    return Numerics.model_validate(fields)


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_shares_its_scale_and_nothing_else_does(group: str) -> None:
    """Against loops: the largest magnitude that each entry is rounded by."""
    x = torch.randn(2, 3, 6, generator=torch.Generator().manual_seed(0))
    asked = numerics(group, **GROUPS[group])
    rows, restore = as_groups(x, asked)
    assert torch.equal(restore(rows), x)
    shared = restore(rows.abs().amax(1, keepdim=True).repeat(1, rows.shape[1]))
    for b in range(2):
        for t in range(3):
            for k in range(6):
                own = {
                    "batch": x,
                    "example": x[b],
                    "token": x[b, t],
                    "channel": x[b, :, k],
                    "block": x[b, t, 4 * (k // 4) : 4 * (k // 4) + 4],
                }[group]
                assert shared[b, t, k] == own.abs().max()


def test_worked_by_hand() -> None:
    """amax 12.7, so s = 0.1: a tie goes to even; with ties away and 1/s another code is found."""
    x = torch.tensor([[12.7, 0.25, -0.25, 0.0, 0.16]])
    found = round_shipped(x, numerics("token"))
    assert found.tolist()[0] == pytest.approx([12.7, 0.2, -0.2, 0.0, 0.2])
    # e2m1 with RCEIL: 12.7 / 6 = 2.1, so s = 4: 3.175, 0.0625, -0.0625, 0, 0.04 on the grid.
    block = torch.zeros(1, 32)
    block[0, :5] = x
    assert round_shipped(block, "mxfp4-rceil")[0, :5].tolist() == [12.0, 0.0, -0.0, 0.0, 0.0]
    # FLOOR: 2^(3 - 2) = 2: 6.35 saturates at 6, 0.125 stays below the tie at a quarter.
    assert round_shipped(block, "mxfp4-floor")[0, :5].tolist() == [12.0, 0.0, -0.0, 0.0, 0.0]


def test_formats_of_one_name_differ_as_published() -> None:
    """MXFP4 FLOOR and RCEIL on some 15 % of heavy-tailed values, int8 by 127 and 127.5 on 2 %."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4096, 512, generator=generator)
    x *= torch.exp(torch.randn(4096, 512, generator=generator))
    floor, rceil = (round_shipped(x, f"mxfp4-{rule}") for rule in ("floor", "rceil"))
    assert 0.1 < (floor != rceil).float().mean() < 0.25
    codes = [
        (
            round_shipped(x, numerics("token", divisor=d)) / (x.abs().amax(1, keepdim=True) / d)
        ).round()
        for d in (127, 127.5)
    ]
    assert 0.01 < (codes[0] != codes[1]).float().mean() < 0.05


def test_the_gradient_is_the_identity() -> None:
    x = torch.randn(4, 32, requires_grad=True)
    weights = torch.arange(128.0).view(4, 32)
    (round_shipped(x, "mxfp4-rceil") * weights).sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, weights)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_type_is_kept(dtype: torch.dtype) -> None:
    x = torch.randn(3, 64).to(dtype)
    assert round_shipped(x, "vllm-int8-token").dtype == dtype
    assert round_shipped(x[:0], "vllm-int8-token").shape == (0, 64)


def test_an_axis_that_blocks_do_not_divide_is_filled_up_or_refused() -> None:
    x = torch.randn(2, 33)
    padded = torch.nn.functional.pad(x, (0, 31))
    assert torch.equal(round_shipped(x, "gguf-q8_0"), round_shipped(padded, "gguf-q8_0")[:, :33])
    with pytest.raises(InputError, match="blocks of 32 do not divide an axis of 33"):
        round_shipped(x, "mxfp4-rceil")


def test_a_row_of_zeros_is_not_a_number_in_torchaos_fp8() -> None:
    """As its own tensor has it: zero by zero. Others spare such rows."""
    x = torch.zeros(1, 32)
    assert round_shipped(x, "torchao-fp8-row").isnan().all()
    assert (round_shipped(x, "vllm-fp8-token") == 0).all()


def test_fake_quantize_takes_bits_or_numerics() -> None:
    x = torch.randn(2, 32)
    found = fake_quantize(x, numerics="mxfp4-rceil")
    assert torch.equal(found, round_shipped(x, "mxfp4-rceil"))
    for more in ({}, {"bits": 8, "numerics": "nvfp4"}):
        with pytest.raises(InputError, match="one of the two"):
            fake_quantize(x, **more)  # type: ignore[arg-type]


def test_what_cannot_be_rounded_is_refused() -> None:
    with pytest.raises(InputError, match="lists what is"):
        round_shipped(torch.zeros(2, 3), "bits")


def test_a_choice_of_rounders_has_a_gradient_for_each() -> None:
    x = torch.randn(3, 8, dtype=torch.float64, requires_grad=True)
    rounders: list[Rounder] = [lambda v: v.round(), lambda v: (2 * v).round() / 2, lambda v: v]
    choice = torch.tensor([0.0, 1.0, 0.0], requires_grad=True)
    weights = torch.randn(3, 8, dtype=torch.float64)
    rounded = round_by_choice(x, choice, rounders)
    torch.testing.assert_close(rounded, (2 * x).round() / 2)
    (rounded * weights).sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, weights)
    expected = [(weights * (rounder(x.detach()) - x.detach())).sum() for rounder in rounders]
    assert choice.grad is not None
    torch.testing.assert_close(choice.grad, torch.stack(expected).float())
    for wrong in ([0.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.5, 0.5, 0.0], [1.0, 0.0]):
        with pytest.raises(InputError, match="choice must be one-hot over 3 options"):
            round_by_choice(x, torch.tensor(wrong), rounders)
