"""How numbers in a float network are spread: tails of weights and activations, margins."""

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

# Of the range ratio, percent.
_PERCENTILE = 99.9
# A margin is small below this share of the usual one.
_SMALL = 0.25


def kurtosis(rows: Float[Tensor, "batch *rest"]) -> Float64[Tensor, " batch"]:
    """Fourth moment about the mean over the squared second, less 3, for each row: a normal's is 0.

    NaN for a row whose values are all the same.
    """
    flat = rows.flatten(1).double()
    centred = flat - flat.mean(1, keepdim=True)
    variance = centred.square().mean(1)
    # Equal values may miss their own mean by a rounding.
    level = flat.abs().amax(1) * torch.finfo(rows.dtype).eps
    found = centred.pow(4).mean(1) / variance.square() - 3
    return torch.where(variance.sqrt() > level, found, torch.nan)


def range_ratio(rows: Float[Tensor, "batch *rest"]) -> Float64[Tensor, " batch"]:
    """Largest magnitude over the 99.9th percentile of magnitudes, for each row; at least 1.

    In rows of a thousand values or fewer that percentile lies between the two largest. NaN where it
    is 0.
    """
    sizes = rows.flatten(1).abs().double()
    high = torch.from_numpy(np.percentile(sizes.numpy(), _PERCENTILE, axis=1))
    return torch.where(high > 0, sizes.amax(1) / high, torch.nan)


def margin_ratio(margins: Float[Tensor, " n"]) -> float:
    """Median margin over the distance between its quartiles: how far ahead, and how evenly."""
    low, middle, high = np.percentile(margins.double().numpy(), (25, 50, 75))
    return float(middle / (high - low)) if high > low else float("nan")


def small_margins(margins: Float[Tensor, " n"]) -> float:
    """Percent of the margins that are below a quarter of the median one."""
    usual = float(np.median(margins.double().numpy()))
    return 100 * float((margins < _SMALL * usual).double().mean())
