"""What a quantized pass shows of itself, against brute force."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from bitcliff.audit import AssessSettings
from bitcliff.audit.evaluator import Evaluator, Scores
from bitcliff.audit.prepare import prepare
from bitcliff.audit.signals import (
    AtPoints,
    Showing,
    Shown,
    named_signals,
    points_shown,
    run_quantized,
    shown,
)
from bitcliff.points.attach import Rounding
from bitcliff.policy.guard import score_signals
from bitcliff.quant import fake_quantize, round_shipped
from bitcliff.types.presets import preset
from bitcliff.types.subject import Examples, Subject, tensors_sha256


def evaluator_of(model: nn.Module, examples: Examples, numerics: str) -> Evaluator:
    subject = Subject("net", model, None, None, tensors_sha256(model.state_dict()))
    settings = AssessSettings(
        numerics=(numerics,), budgets=(), batch_size=16, include_stem=True, bits=(3, 4)
    )
    return prepare(subject, examples, settings).evaluator


@pytest.mark.parametrize("numerics", ["vllm-int8-token", "ort-uint8", "torchao-fp8-tensor"])
def test_who_looks_on_changes_no_bit(cnn: nn.Module, held_out: Examples, numerics: str) -> None:
    evaluator = evaluator_of(cnn, held_out, numerics)
    everyone, points = torch.arange(40), len(evaluator.attachment.plan)
    for quantized in ((preset(numerics),) * points, torch.arange(points) + 3):
        found = shown(evaluator, quantized)
        plain = run_quantized(evaluator, everyone, quantized)
        assert torch.equal(found.scores.logits, plain.logits)
        assert found.scores.failed_at == plain.failed_at
        assert found.at_points.peak.shape == (40, points)


def one_layer(rows: int = 12, width: int = 64) -> tuple[nn.Module, Examples]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(width, 3)).eval().requires_grad_(False)
    x = torch.randn(rows, width) * torch.linspace(0.1, 30, rows)[:, None]
    x[0, :40] = 5.0  # many at the end of the scale
    examples = Examples(
        name="rows",
        inputs=x,
        labels=None,
        ids=tuple(map(str, range(rows))),
        n_available=rows,
        sha256="0" * 64,
    )
    return model, examples


def by_hand(x: Tensor, rounded: Tensor, groups: int) -> AtPoints:
    """Value by value; scales are shared by so many equal parts of a row."""
    error, ends, peak = [], [], []
    for row, after in zip(x.double().tolist(), rounded.double().tolist(), strict=True):
        lost = sum((a - b) ** 2 for a, b in zip(row, after, strict=True))
        error.append(10 * math.log10(lost / sum(a * a for a in row)))
        size, count = len(row) // groups, 0
        for part in (after[start : start + size] for start in range(0, len(row), size)):
            most = max(abs(b) for b in part)
            count += sum(abs(b) == most > 0 for b in part)
        ends.append(count / len(row))
        peak.append(max(abs(a) for a in row))
    return AtPoints(*(torch.tensor(one).double()[:, None] for one in (error, ends, peak)))


@pytest.mark.parametrize(("numerics", "groups"), [("vllm-int8-token", 1), ("mxfp4-rceil", 2)])
def test_numbers_at_a_point_are_those_by_hand(numerics: str, groups: int) -> None:
    model, examples = one_layer()
    x = examples.inputs
    assert isinstance(x, Tensor)
    evaluator = replace(evaluator_of(model, examples, numerics), batch_size=5)
    found = shown(evaluator, (preset(numerics),)).at_points
    expected = by_hand(x, round_shipped(x, numerics), groups)
    for name in ("error_db", "ends", "peak"):
        torch.testing.assert_close(
            getattr(found, name), getattr(expected, name), rtol=1e-5, atol=1e-5
        )
    assert found.ends[0] > 0.5


def test_so_they_are_with_bits() -> None:
    model, examples = one_layer()
    x = examples.inputs
    assert isinstance(x, Tensor)
    evaluator = evaluator_of(model, examples, "vllm-int8-token")
    found = shown(evaluator, torch.tensor([3])).at_points
    rounded = fake_quantize(x, torch.full((12,), 3), evaluator.attachment.scheme)
    expected = by_hand(x, rounded, 1)
    torch.testing.assert_close(found.error_db, expected.error_db, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found.ends, expected.ends)


def test_signals_are_finite_and_look_only_where_something_arrives() -> None:
    model, examples = one_layer()
    found = shown(evaluator_of(model, examples, "mxfp4-rceil"), (preset("mxfp4-rceil"),))
    at = found.at_points
    wide = AtPoints(*(torch.cat([one, one, one], 1) for one in (at.error_db, at.ends, at.peak)))
    wide.error_db[:, 1] += 7  # not looked at
    wide.error_db[:, 2] += 4
    scores = replace(found.scores, failed_at=("output", *found.scores.failed_at[1:]))
    scores.logits[0, 0] = math.nan
    peaks = torch.tensor([float(at.peak[3]), 0.0, float(at.peak[5])]).double()
    signals = named_signals(Shown(scores, wide), peaks)
    assert all(bool(torch.isfinite(one).all()) for one in signals.values())
    torch.testing.assert_close(signals["error"], at.error_db[:, 0] + 2)
    torch.testing.assert_close(signals["worst error"], at.error_db[:, 0] + 4)
    octaves = (at.peak[:, 0] / peaks[0]).log2(), (at.peak[:, 0] / peaks[2]).log2()
    torch.testing.assert_close(signals["range"], torch.maximum(*octaves))
    margin = score_signals(found.scores.logits[1:])["margin"]
    torch.testing.assert_close(signals["margin"][1:], margin)
    assert signals["margin"][0] == math.log(1e-3)


def test_an_attack_can_follow_them_by_gradients() -> None:
    model, examples = one_layer()
    showing = Showing(evaluator_of(model, examples, "mxfp4-rceil").attachment)
    x = examples.inputs
    assert isinstance(x, Tensor)
    given = x.clone().requires_grad_()
    rounding = Rounding(formats=(preset("mxfp4-rceil"),), examples=len(given))
    with torch.enable_grad():
        scores = Scores(showing.run(given, rounding), (None,) * len(given))
        peaks = torch.ones(1, dtype=torch.float64)
        signals = named_signals(Shown(scores, points_shown(showing, len(given))), peaks)
        for name in ("margin", "entropy", "error", "range"):
            (gradient,) = torch.autograd.grad(signals[name].sum(), given, retain_graph=True)
            assert (gradient.abs().amax(1) > 0).all(), name
