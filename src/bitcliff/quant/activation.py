"""Fake-quantization of activations, per example, with a straight-through gradient."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from bitcliff.errors import InputError
from bitcliff.quant.compiled import array, loops_for
from bitcliff.quant.grid import Grid, OnBroken, clamp_to_ends, make_grid, round_rows
from bitcliff.quant.loops import LANES, PIECE
from bitcliff.quant.rows import as_rows, from_rows, row_range
from bitcliff.quant.shipped import round_shipped
from bitcliff.types.numerics import Numerics
from bitcliff.types.scheme import MAX_BITS, MIN_BITS, Scheme


def fake_quantize(
    x: Float[Tensor, "batch *rest"],
    bits: "Int[Tensor, ' batch'] | int | None" = None,
    scheme: str | Scheme = "paper",
    on_broken: OnBroken | None = None,
    numerics: str | Numerics | None = None,
) -> Float[Tensor, "batch *rest"]:
    """Round each example to its own number of bits and back, asymmetric (paper section 2, eq. 1-2).

    Or to a shipped format, with `numerics` in place of `bits`: see `round_shipped`.

    Args:
        x: activations; float32 or float64 are worked in as they are, narrower types in float32.
        bits: bit-width of each example, or one for all; 2 to 16.
        scheme: "paper", "onnx" or "percentile(p)".
        on_broken: called with which examples hold a NaN or infinity, if any do.
        numerics: a shipped format, or its name.

    Returns:
        A tensor like `x`. Constant rows pass unchanged; so do rows with NaN or infinity, which the
        caller must count as numeric failures. The gradient in `x` is the identity.

    Raises:
        InputError: `x` has no batch dimension or no float type, `bits` does not fit, or not one of
            `bits` and `numerics` is given.
    """
    if (bits is None) == (numerics is None):
        raise InputError("give bits or numerics, one of the two")
    if numerics is not None:
        return round_shipped(x, numerics)
    assert bits is not None  # noqa: S101  (as was just checked)
    _check_activations(x)
    widths = check_bits(bits, x.shape[0]).to(x.device)
    scheme = Scheme.parse(scheme)
    if not (torch.is_grad_enabled() and x.requires_grad):
        return _quantize(x, widths, scheme, on_broken)
    result: Tensor = _StraightThrough.apply(x, widths, scheme, on_broken)
    return result


def fake_quantize_choice(
    x: Float[Tensor, "batch *rest"],
    choice: Float[Tensor, "batch options"],
    options: Int[Tensor, " options"],
    scheme: str | Scheme = "paper",
    on_broken: OnBroken | None = None,
    through_scale: bool = False,
) -> Float[Tensor, "batch *rest"]:
    """Fake-quantize by a one-hot choice among bit-widths, differentiable in the choice.

    The gradient in `x` is the identity; in choice[b, o] it is <g_b, Q_o(x_b) - x_b>, which leaves
    out a term constant over o (DESIGN: canonical mathematics; paper section 3.4). With
    `through_scale` only the chosen option c is tried, and an option's error is taken to grow with
    its step: <g_b, Q_c(x_b) - x_b> * (2^c - 1) / (2^o - 1), as in learned step sizes (Esser et al.
    2020, section 2.1).

    Raises:
        InputError: the shapes do not fit, or a row of `choice` is not one-hot.
    """
    _check_activations(x)
    if choice.shape != (x.shape[0], len(options)):
        raise InputError(f"choice must be (batch, options), not {tuple(choice.shape)}")
    if not bool(((choice == 1).sum(1) == 1).all()) or not bool(((choice != 0).sum(1) == 1).all()):
        raise InputError("choice must be one-hot: one 1 in each row, 0 elsewhere")
    check_bits(options, len(options))
    result: Tensor = _StraightThroughChoice.apply(
        x, choice, options, Scheme.parse(scheme), on_broken, through_scale
    )
    return result


def check_bits(bits: "Int[Tensor, ' batch'] | int", batch: int) -> Int[Tensor, " batch"]:
    """Bit-widths as an int64 tensor (batch,); InputError unless each lies in 2..16."""
    if isinstance(bits, int):
        bits = torch.full((batch,), bits)
    if not isinstance(bits, Tensor):
        raise InputError(f"bits must be an int or an integer tensor, not {type(bits).__name__}")
    if bits.is_floating_point() or bits.shape != (batch,):
        raise InputError(
            f"bits must be an int or an integer tensor ({batch},), "
            f"not {bits.dtype} {tuple(bits.shape)}"
        )
    # As Python's numbers: for so few, each operation on tensors would cost more.
    widths = bits.tolist()
    if batch and not MIN_BITS <= min(widths) <= max(widths) <= MAX_BITS:
        raise InputError(f"bits must lie in {MIN_BITS}..{MAX_BITS}, not {bits.unique().tolist()}")
    return bits.long()


def _check_activations(x: Tensor) -> None:
    if x.ndim == 0 or not x.is_floating_point():
        raise InputError(
            f"x must be a floating tensor (batch, *rest), not {x.dtype} {tuple(x.shape)}"
        )


def _quantize(
    x: Float[Tensor, "batch *rest"],
    bits: Int[Tensor, " batch"],
    scheme: Scheme,
    on_broken: OnBroken | None,
) -> Float[Tensor, "batch *rest"]:
    if x.numel() == 0:
        return x.clone()
    with torch.no_grad():
        rows, order = as_rows(_wide(x.detach()))
        return from_rows(round_rows(rows, bits, scheme, on_broken), x, order).to(x.dtype)


def _wide(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx, x: Tensor, bits: Tensor, scheme: Scheme, on_broken: OnBroken | None
    ) -> Tensor:
        return _quantize(x, bits, scheme, on_broken)

    @staticmethod
    def backward(ctx: FunctionCtx, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        return grads[0], None, None, None


class _StraightThroughChoice(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        x: Tensor,
        choice: Tensor,
        options: Tensor,
        scheme: Scheme,
        on_broken: OnBroken | None,
        through_scale: bool,
    ) -> Tensor:
        widths = options.to(choice.device)[choice.argmax(1)].to(x.device)
        rounded = _quantize(x, widths, scheme, on_broken)
        ctx.save_for_backward(x, options, *((rounded, widths) if through_scale else ()))
        ctx.scheme = scheme  # type: ignore[attr-defined]
        return rounded

    @staticmethod
    @once_differentiable
    def backward(ctx, *grads):  # type: ignore[no-untyped-def]
        x, options, *chosen = ctx.saved_tensors
        in_choice = None
        if ctx.needs_input_grad[1]:
            in_choice = (
                scale_gradient(x, grads[0], options, *chosen)
                if chosen
                else choice_gradient(x, grads[0], options, ctx.scheme)
            )
        return grads[0], in_choice, None, None, None, None


def scale_gradient(
    x: Float[Tensor, "batch *rest"],
    gradient: Float[Tensor, "batch *rest"],
    options: Int[Tensor, " options"],
    rounded: Float[Tensor, "batch *rest"],
    widths: Int[Tensor, " batch"],
) -> Float[Tensor, "batch options"]:
    """The first-order stand-in for `choice_gradient`, exact for the option that was chosen."""
    # Infinity less infinity is not a number, though such a row passes unchanged.
    error = (rounded - x).nan_to_num(nan=0.0)
    products = (error * gradient).flatten(1).sum(1)
    levels = [torch.exp2(bits.to(products)) - 1 for bits in (widths, options)]
    return products[:, None] * levels[0][:, None] / levels[1]


def choice_gradient(
    x: Float[Tensor, "batch *rest"],
    gradient: Float[Tensor, "batch *rest"],
    options: Int[Tensor, " options"],
    scheme: Scheme,
) -> Float[Tensor, "batch options"]:
    """<gradient_b, Q_o(x_b) - x_b> for every example b and option o; 0 where x_b is not finite."""
    if x.numel() == 0:
        return x.new_zeros(x.shape[0], len(options))
    with torch.no_grad():
        rows, order = as_rows(_wide(x.detach()))
        gradients = gradient.detach().to(rows.dtype).permute(order).reshape(rows.shape)
        low, high = (end.repeat_interleave(len(options)) for end in row_range(rows, scheme))
        grid = make_grid(low, high, options.to(x.device).repeat(len(rows)), scheme)
        found = _projected_errors(rows, gradients, grid, len(options), scheme)
        for row in (~grid.plain.view_as(found).all(1)).nonzero().flatten().tolist():
            tried = rows[row].expand(len(options), -1)
            error = _quantize(tried, options.to(x.device), scheme, None) - tried
            # Infinity less infinity is not a number, though such a row passes unchanged.
            found[row] = torch.mv(error.nan_to_num(nan=0.0), gradients[row])
        return found


def _projected_errors(
    rows: Float[Tensor, "r k"],
    gradients: Float[Tensor, "r k"],
    grid: Grid,
    count: int,
    scheme: Scheme,
) -> Float[Tensor, "r o"]:
    """<g, Q(x) - x> of each row on its `count` grids, as s <g, level - x / s>.

    In an order of summing that anyone can follow to the last bit: within a piece of a row products
    are dealt out to lanes, in turn; lanes are added up by halves, and pieces in float64.

    A block at a time, so that all grids of its values stay in the cache, in the same buffers for
    all blocks: fresh memory each time would cost more than the arithmetic.
    """
    shape = (len(rows), count, 1)
    scale, bottom, top = (part.view(shape) for part in (grid.scale, grid.bottom, grid.top))
    errors = rows.new_zeros(len(rows), count, dtype=torch.float64)
    if (loops := loops_for(rows)) is not None:
        grids = (array(part[:, :, 0]) for part in (scale, bottom, top))
        loops.projected_errors(array(rows), array(gradients), *grids, array(errors))
        return (errors * scale[:, :, 0]).to(rows.dtype)
    long, at_once = min(rows.shape[1], PIECE), max(1, PIECE // rows.shape[1] // 2)
    buffers = rows.new_empty(2, min(at_once, len(rows)), count, -(-long // LANES) * LANES)
    for start in range(0, rows.shape[1], long):
        piece = slice(start, start + long)
        columns = (rows[:, None, piece], gradients[:, None, piece], scale, bottom, top, errors)
        blocks = zip(*(column.split(at_once) for column in columns), strict=True)
        for x, g, step, low, high, error in blocks:
            exact, levels = buffers[:, : len(x), :, : x.shape[2]]
            torch.div(x, step, out=exact)
            clamp_to_ends(torch.round(exact, out=levels), low, high, scheme)
            levels.sub_(exact).mul_(g)
            buffers[1, :, :, x.shape[2] :] = 0
            error += _sum_of_lanes(buffers[1, : len(x), :, : -(-x.shape[2] // LANES) * LANES])
    return (errors * scale[:, :, 0]).to(rows.dtype)


def _sum_of_lanes(products: Float[Tensor, "r o k"]) -> Float[Tensor, "r o"]:
    """Overwrites `products`."""
    sums, *others = products.split(LANES, dim=2)
    for other in others:
        sums += other
    half = LANES // 2
    while half:
        sums[:, :, :half] += sums[:, :, half : 2 * half]
        half //= 2
    total: Tensor = sums[:, :, 0].double()
    return total
