"""Against forward hooks on a thin ResNet, and by hand on planted networks."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor, nn

from bitcliff.adapters import DataOptions, load_examples, load_model
from bitcliff.quant import fake_quantize, fake_quantize_weight
from bitcliff.questions.activations.observe import observe_activations
from bitcliff.questions.activations.record import (
    COLUMNS,
    ActivationsObserved,
    PointActivations,
    PointObserved,
)
from bitcliff.questions.activations.row_statistics import STEPS
from bitcliff.questions.activations.statistics import figures
from bitcliff.questions.context import Context
from bitcliff.record import Record
from bitcliff.types.subject import Examples, Subject
from tests.questions.activations.cases import (
    TwoPoints,
    context_of,
    measured,
    normal,
    points_of,
    shuffled,
)
from tests.small_networks import Overflowing

N = 10


@pytest.fixture(scope="module")
def digits_bits() -> Tensor:
    """Any bits, other ones for each example."""
    return torch.randint(3, 9, (N, 20), generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def brittle() -> tuple[Subject, Examples]:
    subject = load_model("brittle-digits")
    options = DataOptions(split="test")
    return subject, load_examples("digits", subject=subject, limit=N, seed=0, options=options)


@pytest.fixture(scope="module")
def explained(
    brittle: tuple[Subject, Examples], digits_bits: Tensor, record: Record
) -> tuple[Context, ActivationsObserved]:
    context = context_of(*brittle, {"any": digits_bits}, record, batch_size=N)
    return context, observe_activations(context)


@pytest.fixture(scope="module")
def hooked(
    brittle: tuple[Subject, Examples],
    explained: tuple[Context, ActivationsObserved],
    digits_bits: Tensor,
) -> dict[str, dict[str, Tensor]]:
    """Values at each point by plain hooks: float, arriving in the quantized run, and rounded."""
    subject, examples = load_model("brittle-digits"), brittle[1]
    inputs = explained[0].test.evaluator.inputs
    assert isinstance(inputs, Tensor)
    assert len(examples) == N
    names = [point.name for point in explained[1].policies[0].points]
    seen: dict[str, dict[str, Tensor]] = {name: {} for name in names}

    def look(name: str, quantized: bool) -> Callable[..., Any]:
        def hook(_module: nn.Module, args: tuple[Tensor]) -> tuple[Tensor] | None:
            if not quantized:
                seen[name]["float"] = args[0].clone()
                return None
            rounded = fake_quantize(args[0], digits_bits[:, names.index(name)], "onnx")
            seen[name] |= {"arriving": args[0].clone(), "rounded": rounded.clone()}
            return (rounded,)

        return hook

    for quantized in (False, True):
        handles = []
        for name, module in subject.module.named_modules():
            if quantized and isinstance(module, nn.Conv2d | nn.Linear):
                module.weight.data = fake_quantize_weight(module.weight.data, 16)
            if name in seen:
                handles.append(module.register_forward_pre_hook(look(name, quantized)))
        with torch.no_grad():
            subject.module(inputs)
        for handle in handles:
            handle.remove()
    return seen


def pairs_of(
    explained: tuple[Context, ActivationsObserved],
) -> list[tuple[PointActivations, PointObserved]]:
    """The figures of each point, and what was observed there."""
    context, observed = explained
    found = figures(context.record, observed)
    return list(zip(found.policies[0].points, observed.policies[0].points, strict=True))


def flat(values: Tensor) -> np.ndarray:
    return values.flatten(1).double().numpy()


def decibels(signal: np.ndarray, error: np.ndarray) -> np.ndarray:
    return 10 * np.log10((signal**2).sum(1) / (error**2).sum(1))  # type: ignore[no-any-return]


def test_ratios_are_those_of_forward_hooks(
    explained: tuple[Context, ActivationsObserved],
    hooked: dict[str, dict[str, Tensor]],
    digits_bits: Tensor,
) -> None:
    totals: list[np.ndarray] = []
    for index, (point, _) in enumerate(pairs_of(explained)):
        x, arriving, after = (flat(hooked[point.name][k]) for k in ("float", "arriving", "rounded"))
        local = flat(fake_quantize(hooked[point.name]["float"], digits_bits[:, index], "onnx"))
        total = decibels(x, after - x)
        for name, expected in (
            ("local_db", decibels(x, local - x)),
            ("arriving_db", decibels(x, arriving - x)),
            ("total_db", total),
        ):
            # What arrives at the first point differs from float by the last bits of weights.
            close = pytest.approx(np.median(expected), abs=0.5 if index == 0 else 1e-3)
            assert getattr(point.median, name) == close
            close = pytest.approx(expected.min(), abs=0.5 if index == 0 else 1e-3)
            assert getattr(point.worst, name) == close
        if totals:
            expected = np.median(np.min(totals, axis=0))
            assert point.median.earlier_db == pytest.approx(expected, abs=1e-3)
        else:
            assert point.median.earlier_db is None
        totals.append(total)
    assert totals[-1].min() < 10 < totals[0].min()


def test_tails_are_those_of_forward_hooks(
    explained: tuple[Context, ActivationsObserved],
    hooked: dict[str, dict[str, Tensor]],
    digits_bits: Tensor,
) -> None:
    for index, (point, _) in enumerate(pairs_of(explained)):
        x = flat(hooked[point.name]["float"])
        kurtosis = scipy.stats.kurtosis(x, axis=1)
        assert point.median.kurtosis == pytest.approx(np.median(kurtosis), rel=1e-4)
        assert point.worst.kurtosis == pytest.approx(kurtosis.max(), rel=1e-4)
        peak = x.max(1) / np.percentile(x, 99.9, axis=1, method="lower")
        assert point.median.peak == pytest.approx(np.median(peak), rel=1e-4)
        assert point.worst.peak == pytest.approx(peak.max(), rel=1e-4)
        assert point.median.bits == np.median(digits_bits[:, index])
        assert point.worst.bits == digits_bits[:, index].min()
        assert point.median.offset == 0


def test_histograms_and_sparsity_are_literal_counts(
    explained: tuple[Context, ActivationsObserved], hooked: dict[str, dict[str, Tensor]]
) -> None:
    for point, observed in pairs_of(explained):
        x = flat(hooked[point.name]["float"])
        width = x.max() / STEPS
        assert observed.first_bin == 0
        assert observed.bin_width == pytest.approx(width, rel=1e-5)
        edges = (np.arange(len(observed.before.counts) + 1) - 0.5) * width
        for key, found in (("float", observed.before), ("rounded", observed.after)):
            values = flat(hooked[point.name][key])
            assert sum(found.counts) == values.size
            counts = np.histogram(values.clip(edges[0], np.nextafter(edges[-1], 0)), edges)[0]
            # Another kernel's last bit may carry a value over an edge.
            assert np.abs(counts - found.counts).sum() <= 4 + values.size // 2000
            assert found.exactly_zero == pytest.approx((values == 0).sum(), abs=4)
        shares = [
            (flat(hooked[point.name][key]) < width / 2).mean() for key in ("float", "rounded")
        ]
        assert [point.sparsity_before, point.sparsity_after] == pytest.approx(shares, abs=2e-3)
    assert any(
        (point.sparsity_after or 0) > (point.sparsity_before or 0) + 0.05
        for point, _ in pairs_of(explained)
    )


@pytest.mark.parametrize("batch_size", [1, 3, 4])
def test_the_batch_size_changes_nothing(batch_size: int, record: Record) -> None:
    images = shuffled(normal(), 6)
    bits = torch.tensor([[3, 8], [4, 8], [5, 8], [3, 6], [4, 6], [5, 6]])

    def packed(size: int) -> dict[str, object]:
        context = context_of(TwoPoints([[1.0]]), images, {"p": bits}, record, batch_size=size)
        return observe_activations(context).model_dump()

    assert packed(batch_size) == packed(6)


def test_padding_does_not_count(record: Record) -> None:
    images = shuffled(normal(), 5)
    bits = torch.full((5, 2), 6)
    context = context_of(TwoPoints([[1.0]]), images, {"p": bits}, record, batch_size=4)
    for point in observe_activations(context).policies[0].points:
        assert point.columns.shape == (len(COLUMNS), 5)
        assert sum(point.before.counts) == sum(point.after.counts) == images.numel()


def test_each_policy_is_measured_by_itself(record: Record) -> None:
    images = shuffled(normal(), 3)
    bits = {"coarse": torch.full((3, 2), 2), "fine": torch.full((3, 2), 10)}
    context = context_of(TwoPoints([[1.0]]), images, bits, record)
    both = measured(context)
    assert [found.policy for found in both.policies] == ["coarse", "fine"]
    for name, found in zip(bits, both.policies, strict=True):
        alone = context_of(TwoPoints([[1.0]]), images, {name: bits[name]}, record)
        assert measured(alone).policies == [found]


def test_the_network_is_left_as_it_was(explained: tuple[Context, ActivationsObserved]) -> None:
    side = explained[0].test
    assert side.evaluator.attachment.on_point is None
    again = side.evaluator.float_scores(side.everyone)
    assert torch.equal(again.logits, side.prepared.in_float.logits)


def test_examples_that_fail_are_left_out_from_there_on(record: Record) -> None:
    x = torch.tensor([[0.5, 0.2, 0.1], [0.6, 0.97, 0.1], [0.4, 0.2, 0.9]])
    # Rounding at two bits lifts the second one over the limit, beyond which it is infinite.
    bits = torch.tensor([[8, 8], [2, 8], [8, 8]])
    context = context_of(Overflowing(limit=0.62).eval(), x, {"p": bits}, record)
    points = observe_activations(context).policies[0].points
    assert [point.columns.shape[1] for point in points] == [3, 2]
    assert sum(points[1].after.counts) == 6


def test_nothing_finite_is_said_to_be_unmeasured(record: Record) -> None:
    x = torch.tensor([[5.0, 0.2, 0.1], [0.5, 0.2, 0.1]])
    context = context_of(Overflowing().eval(), x, {"p": torch.full((2, 2), 8)}, record)
    context.test.evaluator.inputs = x[:1].expand(2, -1)
    _, head = points_of(context)
    assert (head.n, head.cause, head.causes) == (0, None, {})
    assert head.sparsity_before is None
    assert head.median.kurtosis is None
    assert head.harmed.value is None


class Detour(nn.Module):
    """Takes another layer where a value is large, which rounding may make it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.hidden, self.detour, self.head = (nn.Linear(3, 3) for _ in range(4))
        for layer in (self.stem, self.hidden):
            nn.init.eye_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.hidden(self.stem(x))
        if bool((x[:, 0] > 0.62).any()):
            x = self.detour(x)
        return self.head(x)  # type: ignore[no-any-return]


def test_a_point_that_float_does_not_reach_is_not_measured(record: Record) -> None:
    large, small = torch.tensor([[0.9, 0.97, 0.1]] * 3), torch.tensor([[0.6, 0.97, 0.1]] * 3)
    large, small = (x + torch.tensor([[0.0], [0.0], [0.001]]) for x in (large, small))
    bits = torch.tensor([[2, 8, 8]] * 3)
    context = context_of(Detour().eval(), large, {"p": bits}, record)
    context.test.evaluator.inputs = small
    points = points_of(context)
    assert [(point.name, point.n) for point in points] == [
        ("hidden", 3),
        ("detour", 0),
        ("head", 3),
    ]


class Named(nn.Module):
    """Takes named tensors, some of them tokens, as text models do."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Embedding(50, 8)
        self.layer = nn.Linear(8, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        x = self.layer(self.words(ids)).relu() * mask[..., None]
        return self.head(x.mean(1))  # type: ignore[no-any-return]


def test_a_text_model_is_measured(record: Record) -> None:
    drawn = torch.Generator().manual_seed(0)
    ids = torch.randint(0, 50, (5, 7), generator=drawn)
    inputs = {"ids": ids, "mask": torch.ones(5, 7)}
    context = context_of(Named().eval(), inputs, {"p": torch.full((5, 2), 8)}, record, batch_size=2)
    points = observe_activations(context).policies[0].points
    assert [point.columns.shape[1] for point in points] == [5, 5]
    assert sum(points[0].before.counts) == 5 * 7 * 8
