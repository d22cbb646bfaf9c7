"""A tensor as one row for each group that shares a scale, and back."""

from collections.abc import Callable

import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import Tensor

from bitcliff.errors import InputError
from bitcliff.types.numerics import Numerics

Restore = Callable[[Tensor], Tensor]


def as_groups(
    x: Float[Tensor, "batch *rest"], numerics: Numerics
) -> tuple[Float[Tensor, "groups k"], Restore]:
    """One row for each group, and the function that puts rows back into the shape of `x`.

    Tokens and blocks run along the last axis. A block that the axis cuts short is filled up with
    zeros, which change no largest magnitude.

    Raises:
        InputError: the format takes whole blocks only, and the axis has another length; or a scale
            for each channel of a tensor without tokens.
    """
    shape = x.shape
    match numerics.group:
        case "batch":
            return x.reshape(1, -1), lambda rows: rows.view(shape)
        case "example":
            return x.reshape(shape[0], -1), lambda rows: rows.view(shape)
        case "token":
            return x.reshape(-1, shape[-1]), lambda rows: rows.view(shape)
        case "channel" if x.ndim < 3:
            raise InputError(
                f"a scale for each channel is taken over the tokens of an example, and a tensor "
                f"{tuple(shape)} has none: give group token, example or block"
            )
        case "channel":
            rows = x.reshape(shape[0], -1, shape[-1]).transpose(1, 2)
            return (
                rows.reshape(-1, rows.shape[-1]),
                lambda done: done.view(rows.shape).transpose(1, 2).reshape(shape),
            )
    return _blocks(x, numerics)


def _blocks(
    x: Float[Tensor, "batch *rest"], numerics: Numerics
) -> tuple[Float[Tensor, "groups k"], Restore]:
    size, length = numerics.block, x.shape[-1]
    short = -length % size
    if short and numerics.ragged == "refuse":
        raise InputError(
            f"blocks of {size} do not divide an axis of {length}, and this format takes whole "
            "blocks only: its runtime refuses such a layer"
        )
    padded = F.pad(x, (0, short)) if short else x

    def restore(rows: Tensor) -> Tensor:
        return rows.view(padded.shape)[..., :length]

    return padded.reshape(-1, size), restore
