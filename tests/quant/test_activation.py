"""fake_quantize against the formula in numpy, and the gradients against their definitions."""

from collections.abc import Callable, Iterator

import jaxtyping
import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import Tensor, nn

from bitcliff.errors import InputError
from bitcliff.quant import Scheme, check_bits, choice_gradient, fake_quantize, fake_quantize_choice
from tests.quant.literal import literal, literal_row
from tests.quant.rows_to_round import far_rows, ordinary_rows

EVERY_WIDTH = range(2, 17)
FROM_ENDS = ("paper", "onnx")
SCHEMES = (*FROM_ENDS, "percentile(90)")


def same_bits(x: Tensor, y: Tensor) -> bool:
    """Equal to the last bit, the sign of zero and the payload of NaN included."""
    width = {2: torch.int16, 4: torch.int32, 8: torch.int64}[x.element_size()]
    return x.dtype == y.dtype and torch.equal(
        x.contiguous().view(width), y.contiguous().view(width)
    )


def random_bits(n: int, seed: int = 0) -> Tensor:
    return torch.randint(2, 17, (n,), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("scheme", FROM_ENDS)
@pytest.mark.parametrize("bits", EVERY_WIDTH)
def test_ordinary_rows_are_the_literal_float32_formula_to_the_bit(bits: int, scheme: str) -> None:
    rows = np.stack([row for seed in range(4) for row in ordinary_rows(seed).values()])
    expected = literal(rows, [bits] * len(rows), scheme)
    assert same_bits(
        fake_quantize(torch.from_numpy(rows), bits, scheme), torch.from_numpy(expected)
    )


@pytest.mark.parametrize("scheme", FROM_ENDS)
@pytest.mark.parametrize("bits", EVERY_WIDTH)
def test_float64_is_the_literal_float64_formula_to_the_bit(bits: int, scheme: str) -> None:
    rows = np.stack([row.astype(np.float64) for row in ordinary_rows(9).values()])
    expected = literal(rows, [bits] * len(rows), scheme)
    assert same_bits(
        fake_quantize(torch.from_numpy(rows), bits, scheme), torch.from_numpy(expected)
    )


@pytest.mark.parametrize("scheme", FROM_ENDS)
@pytest.mark.parametrize("name", list(ordinary_rows(0)))
def test_float32_leaves_the_exact_level_only_near_a_half(name: str, scheme: str) -> None:
    row = ordinary_rows(1, 4000)[name]
    exact = row.astype(np.float64)
    for bits in EVERY_WIDTH:
        expected = literal_row(exact, bits, scheme)
        found = fake_quantize(torch.from_numpy(row)[None], bits, scheme)[0].numpy()
        lo, hi = exact.min(), exact.max()
        if scheme == "onnx":
            lo, hi = min(lo, 0.0), max(hi, 0.0)
        step = (hi - lo) / (2**bits - 1)
        # Levels may shift by one where x / s, or the zero point, lies next to a half.
        near = np.abs(np.abs(exact / step) % 1 - 0.5) < 1 / 32
        shifted = abs(abs(lo / step) % 1 - 0.5) < 1 / 32
        rounding = 4 * np.finfo(np.float32).eps * np.abs(exact).max()
        assert np.abs(found - expected).max() <= 1.001 * step + rounding
        if not shifted:
            assert np.abs(found - expected)[~near].max(initial=0) <= rounding


@pytest.mark.parametrize("name", list(far_rows(0)))
@pytest.mark.parametrize("scheme", ["paper", "percentile(90)"])
def test_rows_float32_would_spoil_are_as_exact_as_float64(name: str, scheme: str) -> None:
    row = far_rows(2)[name]
    exact = row.astype(np.float64)
    for bits in EVERY_WIDTH:
        expected = literal_row(exact, bits, scheme).astype(np.float32)
        found = fake_quantize(torch.from_numpy(row)[None], bits, scheme)[0].numpy()
        if scheme == "paper" and name != "tiny":
            assert np.array_equal(found, expected), bits
        else:
            step = (exact.max() - exact.min()) / (2**bits - 1)
            assert np.abs(found.astype(np.float64) - expected).max() <= 1e-3 * step + 2e-45


@pytest.mark.parametrize("name", list(far_rows(0)))
def test_no_grid_point_leaves_the_range_by_more_than_half_a_step(name: str) -> None:
    row = far_rows(3)[name]
    lo, hi = float(row.min()), float(row.max())
    for bits in EVERY_WIDTH:
        found = fake_quantize(torch.from_numpy(row)[None], bits)[0].double()
        assert torch.isfinite(found).all()
        half = 0.5001 * (hi - lo) / (2**bits - 1) + 2e-45
        ulp = float(np.spacing(np.float32(max(abs(lo), abs(hi)))))
        assert lo - half - ulp <= float(found.min())
        assert float(found.max()) <= hi + half + ulp
        assert len(found.unique()) <= 2**bits


@settings(max_examples=150, deadline=None)
@given(
    row=arrays.arrays(
        np.float32,
        st.integers(1, 40),
        elements=st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=True),
    ),
    bits=st.integers(2, 16),
    scheme=st.sampled_from(FROM_ENDS),
)
def test_any_finite_row_comes_within_half_a_step(
    row: np.ndarray[tuple[int], np.dtype[np.float32]], bits: int, scheme: str
) -> None:
    found = fake_quantize(torch.from_numpy(row)[None], bits, scheme)[0].double().numpy()
    exact = row.astype(np.float64)
    lo, hi = exact.min(), exact.max()
    if scheme == "onnx":
        lo, hi = min(lo, 0.0), max(hi, 0.0)
    step = (hi - lo) / (2**bits - 1)
    # One step and not half of one: the zero point is rounded, so the ends may be clipped.
    slack = 2.0**-22 * max(abs(lo), abs(hi)) + 2e-45
    assert np.abs(found - exact).max() <= 1.02 * step + slack


def test_halves_are_rounded_to_even() -> None:
    for bits in range(2, 13):
        top = 2**bits - 1
        halves = torch.arange(top, dtype=torch.float32) + 0.5
        row = torch.cat([torch.tensor([0.0, float(top)]), halves])[None]
        expected = torch.from_numpy(np.round(row.numpy()))
        assert torch.equal(fake_quantize(row, bits), expected)
        assert torch.equal(fake_quantize(-row, bits), -expected)


def test_division_is_true_and_not_by_a_reciprocal() -> None:
    rng = np.random.default_rng(0)
    apart = 0
    for high in rng.uniform(1, 2, 200).astype(np.float32):
        s = high / np.float32(255)
        # Next to the ties, where the last bit of the quotient decides.
        row = np.append((np.arange(255) + 0.5) * s, [0.0, high]).astype(np.float32)
        found = fake_quantize(torch.from_numpy(row)[None], 8)[0].numpy()
        assert np.array_equal(found, np.round(row / s) * s)
        apart += int((found != np.round(row * (np.float32(1) / s)) * s).sum())
    assert apart > 100


def test_each_example_has_its_own_width_and_range() -> None:
    rows = np.stack(list(ordinary_rows(5).values()))
    bits = random_bits(len(rows), 3)
    expected = literal(rows, bits.tolist(), "paper")
    assert same_bits(fake_quantize(torch.from_numpy(rows), bits), torch.from_numpy(expected))


@pytest.mark.parametrize("value", [0.0, 1.0, -3.25, 1e-42, 3e38, 1e-30])
@pytest.mark.parametrize("scheme", ["paper", "percentile(99)"])
def test_constant_rows_pass_unchanged(value: float, scheme: str) -> None:
    row = torch.full((1, 37), value)
    assert same_bits(fake_quantize(row, 4, scheme), row)


def test_the_onnx_range_holds_zero_even_for_a_constant_row() -> None:
    assert fake_quantize(torch.zeros(1, 5), 8, "onnx").eq(0).all()
    expected = literal(np.full((1, 5), 0.3, np.float32), [3], "onnx")
    assert same_bits(fake_quantize(torch.full((1, 5), 0.3), 3, "onnx"), torch.from_numpy(expected))


def test_a_percentile_range_of_width_zero_clips_onto_it() -> None:
    row = torch.zeros(1, 1000)
    row[0, 7] = 5.0
    assert torch.equal(fake_quantize(row, 8, "percentile(99)"), torch.zeros(1, 1000))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_one_number_an_example(scheme: str) -> None:
    x = torch.tensor([1.5, -2.0, 0.0])
    found = fake_quantize(x, 8, scheme)
    assert found.shape == (3,)
    assert torch.allclose(found, x)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_row_that_is_not_finite_passes_unchanged_and_is_reported(bad: float, scheme: str) -> None:
    x = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(0))
    healthy = fake_quantize(x, 3, scheme)
    x[1, 2, 1] = bad
    x[4, 0, 0] = -bad
    reported: list[list[int]] = []
    found = fake_quantize(
        x, 3, scheme, lambda rows: reported.append(rows.nonzero().flatten().tolist())
    )
    assert reported == [[1, 4]]
    assert same_bits(found[[1, 4]], x[[1, 4]])
    assert same_bits(found[[0, 2, 3]], healthy[[0, 2, 3]])


def test_finite_rows_are_not_reported_however_large() -> None:
    rows = torch.from_numpy(np.stack(list(far_rows(4).values())))

    def refuse(_rows: Tensor) -> None:
        raise AssertionError("called")

    for scheme in SCHEMES:
        fake_quantize(rows, 8, scheme, refuse)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_narrow_types_are_worked_in_float32(dtype: torch.dtype, scheme: str) -> None:
    x = torch.randn(8, 3, 5, 5, generator=torch.Generator().manual_seed(1)).to(dtype)
    bits = random_bits(8)
    expected = fake_quantize(x.float(), bits, scheme).to(dtype)
    assert same_bits(fake_quantize(x, bits, scheme), expected)


def _in_other_layouts(x: Tensor) -> Iterator[tuple[str, Tensor]]:
    yield "channels last", x.contiguous(memory_format=torch.channels_last)
    yield "batch innermost", x.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2)
    yield "transposed", x.transpose(2, 3).contiguous().transpose(2, 3)
    wide = torch.full((x.shape[0] * 2, x.shape[1] + 3, *x.shape[2:]), 7.0, dtype=x.dtype)
    wide[::2, 1 : 1 + x.shape[1]] = x
    yield "a strided slice", wide[::2, 1 : 1 + x.shape[1]]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_memory_layout_changes_no_bit(dtype: torch.dtype, scheme: str) -> None:
    x = torch.randn(6, 5, 7, 4, generator=torch.Generator().manual_seed(2)).to(dtype)
    bits = random_bits(6)
    expected = fake_quantize(x, bits, scheme)
    for name, other in _in_other_layouts(x):
        assert same_bits(fake_quantize(other, bits, scheme), expected), name


def test_an_expanded_tensor_is_no_special_case() -> None:
    x = torch.randn(6, 5, 1, generator=torch.Generator().manual_seed(3)).expand(6, 5, 9)
    assert same_bits(fake_quantize(x, 3), fake_quantize(x.contiguous(), 3))


def test_channels_last_stays_channels_last() -> None:
    x = torch.randn(2, 8, 5, 5).contiguous(memory_format=torch.channels_last)
    assert fake_quantize(x, 4).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_input_is_left_alone(scheme: str) -> None:
    x = torch.randn(3, 10, generator=torch.Generator().manual_seed(4))
    x[0] = 2.0
    x[1, 3] = float("inf")
    before = x.clone()
    found = fake_quantize(x, 3, scheme)
    found += 1
    assert same_bits(x, before)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("poison", [float("nan"), float("inf"), 3e38, 1e-45, -0.0, 1e6])
def test_batch_mates_change_no_bit(poison: float, scheme: str) -> None:
    rows = torch.from_numpy(np.stack([*ordinary_rows(6, 300).values(), *far_rows(6, 300).values()]))
    bits = random_bits(len(rows), 5)
    expected = fake_quantize(rows, bits, scheme)
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(7))
    assert same_bits(fake_quantize(rows[order], bits[order], scheme), expected[order])
    for index in range(len(rows)):
        poisoned = torch.full_like(rows, poison)
        poisoned[index] = rows[index]
        others = torch.full_like(bits, 16)
        others[index] = bits[index]
        assert same_bits(fake_quantize(poisoned, others, scheme)[index], expected[index])


def test_more_elements_than_torch_quantile_takes() -> None:
    size = 2**24 + 17
    x = torch.randn(1, size, generator=torch.Generator().manual_seed(8))
    found = fake_quantize(x, 2, "percentile(99)")[0]
    lo, hi = np.quantile(x.numpy(), [0.005, 0.995])
    s = (hi - lo) / 3
    z = np.round(-lo / s)
    assert torch.allclose(found.unique(), torch.tensor((np.arange(4) - z) * s, dtype=torch.float32))


def test_nothing_in_nothing_out() -> None:
    assert fake_quantize(torch.zeros(0, 4), 4).shape == (0, 4)
    assert fake_quantize(torch.zeros(3, 0), 4).shape == (3, 0)
    options = torch.tensor([2, 3])
    assert choice_gradient(
        torch.zeros(0, 4), torch.zeros(0, 4), options, Scheme("paper")
    ).shape == (
        0,
        2,
    )


class TwoConvolutions(nn.Module):
    """A small network with a rounding before each of its three layers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [nn.Conv2d(3, 8, 3), nn.Conv2d(8, 6, 3, stride=2), nn.Linear(6, 4)]
        )

    def stages(self) -> list[Callable[[Tensor], Tensor]]:
        first, second, last = self.layers
        return [
            lambda x: F.relu(first(x)),
            lambda x: F.gelu(second(x)).mean((2, 3)),
            lambda x: last(x),
        ]


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_straight_through_a_whole_network(memory: torch.memory_format, scheme: str) -> None:
    torch.manual_seed(0)
    net = TwoConvolutions().to(memory_format=memory)
    x = torch.randn(4, 3, 12, 12).contiguous(memory_format=memory).requires_grad_()
    bits = [random_bits(4, seed) for seed in range(3)]

    value = x
    for stage, width in zip(net.stages(), bits, strict=True):
        value = stage(fake_quantize(value, width, scheme))
    found = torch.autograd.grad(value.square().sum(), [x, *net.parameters()])

    # By hand: every rounding is cut out of the graph, and its gradient handed over as it is.
    given, leaf, leaves, results = x.detach(), x, [], []
    for stage, width in zip(net.stages(), bits, strict=True):
        leaf = fake_quantize(given, width, scheme).requires_grad_()
        leaves.append(leaf)
        results.append(stage(leaf))
        given = results[-1].detach()
    assert same_bits(results[-1].detach(), value.detach())
    gradient = 2 * given
    expected: list[Tensor] = []
    for layer, leaf, result in zip(
        reversed(net.layers), reversed(leaves), reversed(results), strict=True
    ):
        gradient, *weights = torch.autograd.grad(result, [leaf, *layer.parameters()], gradient)
        expected = [*weights, *expected]
    for mine, theirs in zip(found, [gradient, *expected], strict=True):
        assert same_bits(mine, theirs)


def _naive_choice_gradient(x: Tensor, g: Tensor, options: list[int], scheme: str) -> Tensor:
    rows, gradients = x.double().flatten(1).numpy(), g.double().flatten(1).numpy()
    return torch.tensor(
        [
            [gradient @ (literal_row(row, option, scheme) - row) for option in options]
            for row, gradient in zip(rows, gradients, strict=True)
        ]
    )


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_choice_gradient_is_its_definition(memory: torch.memory_format, scheme: str) -> None:
    torch.manual_seed(1)
    # In float64 both sides take the same levels; large enough for several chunks.
    x = torch.randn(3, 4, 110, 100, dtype=torch.float64).contiguous(memory_format=memory)
    weight = torch.randn_like(x)
    options = torch.tensor([2, 3, 5, 8, 16])
    hot = F.one_hot(torch.tensor([1, 4, 0]), 5).double().requires_grad_()
    x.requires_grad_()
    result = fake_quantize_choice(x, hot, options, scheme)
    assert same_bits(result.detach(), fake_quantize(x.detach(), torch.tensor([3, 16, 2]), scheme))
    in_x, in_choice = torch.autograd.grad((result * weight).sum(), [x, hot])
    assert same_bits(in_x, weight)
    expected = _naive_choice_gradient(x.detach(), weight, options.tolist(), scheme)
    assert torch.allclose(in_choice, expected, rtol=1e-9, atol=1e-9)


def test_choice_gradient_in_float32_and_on_rows_of_every_kind() -> None:
    rows = torch.from_numpy(np.stack([*ordinary_rows(7).values()]))
    gradients = torch.randn(rows.shape, generator=torch.Generator().manual_seed(2))
    options = [3, 4, 6, 9]
    found = choice_gradient(rows, gradients, torch.tensor(options), Scheme("paper")).double()
    quantized = torch.stack([fake_quantize(rows, option) for option in options], 1).double()
    expected = ((quantized - rows.double()[:, None]) * gradients.double()[:, None]).sum(2)
    # The bound is on the terms' sum, which cancellation cannot enlarge, and on what float32 makes
    # of values that lie on their levels.
    size = ((quantized - rows.double()[:, None]).abs() * gradients.double().abs()[:, None]).sum(2)
    size += 0.01 * (rows.double().abs() * gradients.double().abs()).sum(1, keepdim=True)
    assert ((found - expected).abs() <= 1e-5 * size + 1e-12).all()


def test_choice_gradient_is_zero_where_a_row_is_not_finite() -> None:
    x = torch.randn(3, 20, generator=torch.Generator().manual_seed(3))
    clean = choice_gradient(x, torch.ones_like(x), torch.tensor([2, 4]), Scheme("paper"))
    x[1, 3], x[1, 4] = float("inf"), float("nan")
    found = choice_gradient(x, torch.ones_like(x), torch.tensor([2, 4]), Scheme("paper"))
    assert found[1].eq(0).all()
    assert torch.equal(found[[0, 2]], clean[[0, 2]])


def test_no_gradient_no_graph() -> None:
    x = torch.randn(2, 5, requires_grad=True)
    with torch.no_grad():
        assert not fake_quantize(x, 4).requires_grad
    assert fake_quantize(x, 4).requires_grad


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As users run it, without shape checks in front."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("x", "bits", "scheme", "message"),
    [
        (torch.zeros(2, 3), 1, "paper", r"bits must lie in 2\.\.16, not \[1\]"),
        (torch.zeros(2, 3), 17, "paper", r"bits must lie in 2\.\.16"),
        (torch.zeros(2, 3), torch.tensor([4, 0]), "paper", r"bits must lie in 2\.\.16"),
        (torch.zeros(2, 3), torch.tensor([4, 4, 4]), "paper", r"tensor \(2,\), not torch.int64"),
        (torch.zeros(2, 3), torch.tensor([4.0, 4.0]), "paper", "not torch.float32"),
        (torch.zeros(2, 3), 4.0, "paper", "bits must be an int or an integer tensor, not float"),
        (torch.zeros(2, 3, dtype=torch.int64), 4, "paper", "x must be a floating tensor"),
        (torch.tensor(1.0), 4, "paper", "x must be a floating tensor"),
        (torch.zeros(2, 3), 4, "minmax", "use paper, onnx or percentile"),
    ],
)
def test_bad_arguments_are_named(x: Tensor, bits: int, scheme: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fake_quantize(x, bits, scheme)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (torch.eye(2), "choice must be \\(batch, options\\)"),
        (torch.tensor([[0.5, 0.5, 0.0]] * 2), "one-hot"),
        (torch.tensor([[1.0, 1.0, 0.0]] * 2), "one-hot"),
        (torch.tensor([[1.0, 0.5, 0.0]] * 2), "one-hot"),
        (torch.zeros(2, 3), "one-hot"),
    ],
)
def test_a_choice_must_be_one_hot(choice: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fake_quantize_choice(torch.randn(2, 5), choice, torch.tensor([2, 3, 4]))


def test_check_bits_gives_one_width_an_example() -> None:
    assert check_bits(5, 3).tolist() == [5, 5, 5]
    assert check_bits(torch.tensor([2, 16], dtype=torch.int8), 2).dtype == torch.int64


def test_through_the_scale_the_chosen_option_is_exact_and_others_grow_with_their_step() -> None:
    torch.manual_seed(3)
    x, gradients = torch.randn(5, 40), torch.randn(5, 40)
    options, chosen = torch.tensor([3, 4, 6, 9]), torch.tensor([0, 1, 2, 3, 1])
    found = []
    for through_scale in (False, True):
        choice = torch.eye(4)[chosen].requires_grad_(True)
        rounded = fake_quantize_choice(x, choice, options, "paper", through_scale=through_scale)
        (rounded * gradients).sum().backward()
        assert choice.grad is not None
        found.append(choice.grad)
    rows = torch.arange(5)
    assert torch.allclose(found[0][rows, chosen], found[1][rows, chosen], rtol=1e-5, atol=1e-6)
    steps = 1 / (2.0**options - 1)
    expected = found[1][rows, chosen][:, None] * steps / steps[chosen][:, None]
    assert torch.allclose(found[1], expected, rtol=1e-5)


def test_through_the_scale_a_row_of_infinity_has_no_gradient() -> None:
    x = torch.tensor([[1.0, float("inf")], [0.3, 0.7]])
    choice = torch.eye(2).requires_grad_(True)
    rounded = fake_quantize_choice(x, choice, torch.tensor([2, 3]), through_scale=True)
    rounded.sum().backward()
    assert choice.grad is not None
    assert choice.grad.isfinite().all()
    assert (choice.grad[0] == 0).all()
