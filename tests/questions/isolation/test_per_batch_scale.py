"""One scale for several examples, against the plain quantizer on the flattened batch."""

import torch

from bitcliff.points import Attachment, Selection, discover
from bitcliff.quant import fake_quantize, fake_quantize_weight
from bitcliff.questions.isolation.per_batch_scale import SCHEME, SharedScale, eight_bits
from tests.small_networks import chain

STEM = Selection(include_stem=True)


def test_two_mates_are_rounded_as_one_row() -> None:
    layer = torch.nn.Linear(6, 3).eval().requires_grad_(False)
    inputs = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
    network = SharedScale(layer, discover(layer, inputs, STEM), mates=2)
    found = network.shared_scores(inputs)
    rounded = fake_quantize(inputs.reshape(4, 12), 8, "onnx").reshape(8, 6)
    expected = rounded @ fake_quantize_weight(layer.weight, 8).T + layer.bias
    assert torch.allclose(found, expected, atol=1e-6)
    assert not torch.allclose(found, layer(inputs), atol=1e-4)
    pairs = inputs.reshape(4, 12)
    assert torch.equal(network.ranges[0], torch.stack([pairs.amin(1), pairs.amax(1)], 1))


def test_without_mates_it_is_the_path_of_an_assessment_to_the_bit() -> None:
    model = chain()
    inputs = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    plan = discover(model, inputs, STEM)
    alone = SharedScale(model, plan, mates=1).shared_scores(inputs)
    usual = Attachment(model, plan, SCHEME, weight_bits=8).run(inputs, eight_bits(plan, 6))
    assert torch.equal(alone, usual)


def test_a_companion_has_a_gradient_through_the_scale_and_only_at_the_ends_of_the_range() -> None:
    layer = torch.nn.Linear(4, 2).eval().requires_grad_(False)
    inputs = torch.tensor([[0.2, 0.53, 0.1, 0.4], [0.0, 3.0, 1.0, -0.7]])
    network = SharedScale(layer, discover(layer, inputs, STEM), mates=2)
    given = inputs.clone().requires_grad_()
    victim = network.shared_scores(given)[0]
    (gradient,) = torch.autograd.grad(victim[0], given)
    error = fake_quantize(inputs.flatten()[None], 8, "onnx").reshape(2, 4)[0] - inputs[0]
    weight = fake_quantize_weight(layer.weight, 8)
    through_width = float(error @ weight[0]) / 3.7
    expected = torch.tensor([0.0, through_width, 0.0, -through_width])
    assert torch.allclose(gradient[1], expected, atol=1e-6)
    assert torch.allclose(gradient[0], weight[0], atol=1e-6)
