"""Rounding to small floats, held against ml_dtypes' casts."""

from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch

from bitcliff.quant.minifloat import exponent_of, power_of_two, round_to_float
from bitcliff.types.numerics import FLOATS

CASTS: dict[str, Any] = {
    "e4m3": ml_dtypes.float8_e4m3fn,
    "e5m2": ml_dtypes.float8_e5m2,
    "e3m2": ml_dtypes.float6_e3m2fn,
    "e2m3": ml_dtypes.float6_e2m3fn,
    "e2m1": ml_dtypes.float4_e2m1fn,
}


@pytest.mark.parametrize("name", CASTS)
def test_equals_a_cast(name: str) -> None:
    """At every value of the format, at the ties between neighbours, and just beside those."""
    element = FLOATS[name]
    codes = np.arange(2 ** (1 + element.exponent + element.mantissa), dtype=np.uint8)
    every = codes.view(CASTS[name]).astype(np.float32)
    every = np.unique(every[np.isfinite(every)])
    ties = (every[1:] + every[:-1]) / 2
    beside = [np.nextafter(ties, np.float32(end)) for end in (-np.inf, np.inf)]
    scattered = np.random.default_rng(0).normal(0, element.most / 3, 100_000).astype(np.float32)
    x = np.concatenate([every, ties, *beside, scattered, -scattered * 1e-3])
    x = np.clip(x, -element.most, element.most)
    found = round_to_float(torch.from_numpy(x), element).numpy()
    assert np.array_equal(found, x.astype(CASTS[name]).astype(np.float32))


def test_what_is_beyond_saturates_and_nan_stays() -> None:
    x = torch.tensor([1e9, -1e9, torch.inf, torch.nan])
    found = round_to_float(x, FLOATS["e2m1"])
    assert found[:3].tolist() == [6.0, -6.0, 6.0]
    assert found[3].isnan()


def test_powers_and_exponents_are_exact() -> None:
    exponents = torch.arange(-127.0, 128.0)
    assert power_of_two(exponents).tolist() == [2.0**e for e in range(-127, 128)]
    assert power_of_two(torch.tensor([torch.nan])).isnan().all()
    normal = torch.arange(-126.0, 128.0)
    assert torch.equal(exponent_of(power_of_two(normal)), normal)
    assert torch.equal(exponent_of(power_of_two(normal) * 1.999), normal)
    assert exponent_of(torch.tensor([0.0, 1e-40])).tolist() == [-127.0, -127.0]
    assert exponent_of(torch.tensor([torch.nan, torch.inf])).isnan().all()
