"""Gradients of both networks, held against differences."""

import pytest
import torch

from bitcliff.audit.evaluator import margins
from bitcliff.questions.provocation.rivals import Rivals
from bitcliff.types.numerics import Numerics
from bitcliff.types.presets import PRESETS, Format
from tests.questions.provocation.networks import FOUR, prepared


def formats() -> list[Format]:
    by_token = Numerics(element="int4", group="token", scale="amax", divisor=7.0)
    by_block = Numerics(element="int4", group="block", block=16, scale="amax", divisor=7.0)
    return [
        FOUR,
        Format(activations=by_token),
        Format(activations=by_block),
        PRESETS["ort-uint8"],
    ]


def test_a_batch_of_many_is_seen_as_so_many_batches_of_one() -> None:
    network, shipped = prepared(0), PRESETS["ort-uint8"]
    inputs = network.evaluator.inputs
    assert isinstance(inputs, torch.Tensor)
    wanted = torch.zeros(len(inputs), dtype=torch.int64)
    look = Rivals(network.evaluator, shipped).look(inputs, inputs, wanted, "none")
    formats = (shipped,) * len(network.points)
    one_by_one = network.evaluator.format_scores(network.everyone, formats, 1)
    together = network.evaluator.format_scores(network.everyone, formats, len(inputs))
    expected = margins(one_by_one.logits, wanted)
    assert look.quantized.tolist() == pytest.approx(expected.tolist(), abs=1e-4)
    assert not torch.allclose(margins(together.logits, wanted), expected, atol=1e-3)


@pytest.mark.parametrize("shipped", formats(), ids=["example", "token", "block", "batch"])
def test_no_gradient_changes_what_is_seen(shipped: Format) -> None:
    network = prepared(0)
    rivals, inputs = Rivals(network.evaluator, shipped), network.examples.inputs[:1]  # type: ignore[index]
    wanted = torch.zeros(1, dtype=torch.int64)
    plain = rivals.look(inputs, inputs, wanted, "none")
    assert plain.up is None
    assert plain.in_float.tolist() == pytest.approx(
        [float(network.in_float.logits[0, 0] - network.in_float.logits[0, 1])]
    )
    format_scores = network.evaluator.format_scores(
        torch.arange(1), (shipped,) * len(network.points), 1
    )
    expected = format_scores.logits[0, 0] - format_scores.logits[0, 1]
    assert plain.quantized.tolist() == pytest.approx([float(expected)])
    for slopes in ("straight", "scale", "width"):
        look = rivals.look(inputs, inputs, wanted, slopes)
        assert torch.equal(look.in_float, plain.in_float)
        assert torch.equal(look.quantized, plain.quantized)
        assert look.up is not None
        assert look.down is not None
        assert look.up.shape == look.down.shape == inputs.shape


def test_the_gradient_of_the_width_is_that_of_the_ranges() -> None:
    """Of the mean log of the largest magnitude at each point, by central differences."""
    network = prepared(1)
    chance = torch.Generator().manual_seed(0)
    # No two values are the largest, where there would be a kink.
    x = 0.8 * network.examples.inputs[:2].double() + 0.1 * torch.rand(  # type: ignore[index]
        2, 1, 8, 8, generator=chance, dtype=torch.float64
    )
    module = network.subject.module

    def widths(images: torch.Tensor) -> float:
        first = images.flatten(1)
        found = first @ module.first.weight.double().T + module.first.bias.double()  # type: ignore[operator,union-attr]
        second = torch.cat([found[:, :1], found[:, 1:].relu()], 1)
        return float(sum(v.abs().amax(1).log().sum() for v in (first, second)))

    sixteen = Numerics(element="uint16", group="example", scale="minmax-zero")
    rivals = Rivals(network.evaluator, Format(activations=sixteen, everywhere=True))
    look = rivals.look(x.float(), x.float(), torch.zeros(2, dtype=torch.int64), "width")
    assert look.down is not None
    for _ in range(5):
        way = torch.randn(x.shape, generator=chance, dtype=torch.float64)
        step = 1e-5
        expected = (widths(x + step * way) - widths(x - step * way)) / (2 * step)
        assert -float((look.down.double() * way).sum()) == pytest.approx(expected, rel=0.01)


def test_the_scales_gradient_sees_what_widens_a_range_at_no_cost_to_float() -> None:
    network = prepared(0)
    inputs = network.examples.inputs
    sides = network.subject.module.first.weight[1].detach().view(1, 1, 8, 8)  # type: ignore[union-attr,index]
    rivals = Rivals(network.evaluator, FOUR)
    wanted = torch.zeros(len(network.examples), dtype=torch.int64)
    along = {}
    for slopes in ("straight", "scale"):
        look = rivals.look(inputs, inputs, wanted, slopes)  # type: ignore[arg-type]
        along[slopes] = (look.down * sides).flatten(1).sum(1).abs().max()  # type: ignore[operator]
    assert float(along["straight"]) < 1e-3
    assert float(along["scale"]) > 0.1


def test_what_shares_a_scale_in_two_levels_is_looked_at_one_by_one() -> None:
    evaluator = prepared(0).evaluator
    assert Rivals(evaluator, PRESETS["nvfp4"]).rows == 1
    assert Rivals(evaluator, PRESETS["ort-uint8"]).rows == 4
    assert Rivals(evaluator, FOUR).rows == evaluator.batch_size == 4
    assert Rivals(evaluator, None).rows == 4
