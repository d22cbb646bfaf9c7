"""Running quantized and leaving no trace."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules import module as global_state

from bitcliff.points import Attachment, Plan, discover
from bitcliff.points.attach import FLOAT, WEIGHTS_ONLY, Rounding, rounding_to
from bitcliff.quant import fake_quantize, fake_quantize_weight
from tests.points.test_real_networks import Functional, images, timm_model


@pytest.fixture(scope="module")
def resnet() -> tuple[nn.Module, Plan]:
    """ResNet18 and its points. Not to be changed."""
    model = timm_model("resnet18")
    return model, discover(model, images(64, 4))


def hooks_of(model: nn.Module) -> list[Any]:
    mine = [
        (dict(m._forward_hooks), dict(m._forward_pre_hooks), dict(m._backward_hooks), m.training)
        for m in model.modules()
    ]
    everyones = (global_state._global_forward_hooks, global_state._global_forward_pre_hooks)
    return [*mine, *map(dict, everyones)]


def literal(x: Tensor, bits: Tensor) -> Tensor:
    """The onnx preset, word for word, in float32."""
    flat = x.reshape(len(x), -1)
    low, high = flat.amin(1).clamp(max=0), flat.amax(1).clamp(min=0)
    levels = 2.0 ** bits.float() - 1
    shape = (-1, *[1] * (x.ndim - 1))
    scale = ((high - low) / levels).view(shape)
    zero = torch.minimum((-low.view(shape) / scale).round().clamp(min=0), levels.view(shape))
    integers = torch.minimum(((x / scale).round() + zero).clamp(min=0), levels.view(shape))
    return torch.where(scale > 0, (integers - zero) * scale, x)


def test_float_is_the_plain_model_to_the_bit(resnet: tuple[nn.Module, Plan]) -> None:
    (model, plan), x = resnet, images(64, 4)
    attachment = Attachment(model, plan)
    with torch.no_grad():
        assert torch.equal(attachment.run(x, FLOAT), model(x))


def test_resnet18_equals_hooks_and_the_literal_formula(resnet: tuple[nn.Module, Plan]) -> None:
    (shared, plan), x = resnet, images(64, 4)
    model = copy.deepcopy(shared)
    bits = torch.randint(3, 11, (4, len(plan)), generator=torch.Generator().manual_seed(0))
    attachment = Attachment(model, plan, "onnx", weight_bits=8)
    with torch.no_grad():
        found = attachment.run(x, rounding_to(bits))
        assert not torch.equal(found, model(x))
    by_name = {point.name: index for index, point in enumerate(plan.points)}
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.weight.data = fake_quantize_weight(layer.weight.data, 8)
        if name in by_name:
            column = bits[:, by_name[name]]
            layer.register_forward_pre_hook(lambda _m, args, b=column: (literal(args[0], b),))
    with torch.no_grad():
        assert torch.equal(found, model(x))


def test_fused_and_plain_attention_quantize_alike() -> None:
    found = []
    for fused in (True, False):
        model = timm_model("vit_tiny_patch16_224", depth=2)
        for block in model.blocks:  # type: ignore[union-attr]
            block.attn.fused_attn = fused
        x = images(224, 2)
        plan = discover(model, x)
        with torch.no_grad():
            attachment = Attachment(model, plan)
            found.append(attachment.run(x, rounding_to(torch.full((2, len(plan)), 14))))
    # Not equal to the bit: plain attention scales before its product, fused attention within.
    assert torch.allclose(found[0], found[1], atol=2e-2)


@pytest.mark.parametrize("mates", ["others", "poison"])
@pytest.mark.parametrize("network", ["resnet18", "functional"])
def test_an_example_depends_on_no_batch_mate(network: str, mates: str) -> None:
    torch.manual_seed(0)
    model = timm_model("resnet18") if network == "resnet18" else Functional().eval()
    x = images(32, 8)
    plan = discover(model, x)
    bits = torch.randint(3, 11, (8, len(plan)), generator=torch.Generator().manual_seed(0))
    attachment = Attachment(model, plan)
    order = torch.tensor([3, 1, 7, 0, 5, 2, 6, 4])
    with torch.no_grad():
        base = attachment.run(x, rounding_to(bits))
        other = x[order].clone()
        if mates == "poison":
            other[1:] = torch.nan
        again = attachment.run(other, rounding_to(bits[order]))
    count = 1 if mates == "poison" else 8
    assert torch.equal(again[:count], base[order][:count])


def test_nothing_is_left_behind_also_after_an_exception() -> None:
    model, x = timm_model("resnet18"), images(64, 2)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    hooks = hooks_of(model)
    plan = discover(model, x)
    attachment = Attachment(model, plan)
    with torch.no_grad():
        plain = model(x)
        attachment.run(x, rounding_to(torch.full((2, len(plan)), 4)))
        attachment.run(x, WEIGHTS_ONLY)
        with pytest.raises(RuntimeError):
            attachment.run(x[:, :1], rounding_to(torch.full((2, len(plan)), 4)))
        assert hooks_of(model) == hooks
        assert torch.equal(model(x), plain)
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in state.items())


def test_a_failure_names_its_point_and_its_example(resnet: tuple[nn.Module, Plan]) -> None:
    (model, plan), x = resnet, images(64, 4)
    attachment = Attachment(model, plan)
    x[2, 0, 5, 5] = torch.inf
    with torch.no_grad():
        attachment.run(x, rounding_to(torch.full((4, len(plan)), 6)))
    assert attachment.incidents.failed == {2: plan.points[0].name}


def test_a_call_met_only_after_discovery_is_reported() -> None:
    class Moody(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.rare = (nn.Linear(4, 4) for _ in range(3))

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.second(self.first(x).relu())
            return self.rare(out) if bool((x > 100).any()) else out

    model, x = Moody().eval(), torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    attachment = Attachment(model, discover(model, x))
    with torch.no_grad():
        attachment.run(x + 1000, rounding_to(torch.full((4, 1), 6)))
    assert attachment.incidents.strays == {"rare"}


def test_in_training_weights_are_rounded_anew_and_learn_straight_through() -> None:
    torch.manual_seed(0)
    stem, head, x = nn.Linear(4, 6), nn.Linear(6, 3), torch.randn(5, 4)
    model = nn.Sequential(stem, nn.ReLU(), head).eval()
    plan = discover(model, x)
    attachment = Attachment(model, plan, "onnx", weight_bits=3, in_training=True)
    last = head.weight
    attachment.run(x, WEIGHTS_ONLY).sum().backward()
    assert last.grad is not None
    # The identity: what the rounded weight would get.
    with torch.no_grad():
        hidden = (x @ fake_quantize_weight(stem.weight, 3).T + stem.bias).relu()
    torch.testing.assert_close(last.grad, hidden.sum(0).expand(3, -1))
    before = attachment.run(x, WEIGHTS_ONLY).detach()
    with torch.no_grad():
        last.mul_(2)
    expected = Attachment(model, plan, "onnx", weight_bits=3).run(x, WEIGHTS_ONLY)
    assert torch.equal(attachment.run(x, WEIGHTS_ONLY), expected)
    assert not torch.equal(before, expected)


def test_an_observer_sees_each_point_and_says_what_goes_on(
    resnet: tuple[nn.Module, Plan],
) -> None:
    (model, plan), x = resnet, images(64, 3)
    attachment = Attachment(model, plan, "onnx")
    bits = torch.full((3, len(plan)), 4)
    seen: dict[int, tuple[Tensor, Tensor]] = {}

    def pass_in_float(index: int, values: Tensor, rounded: Tensor) -> Tensor:
        seen[index] = (values.clone(), rounded)
        return values

    attachment.on_point = pass_in_float
    with torch.no_grad():
        found = attachment.run(x, Rounding(bits=bits, weights=False))
        torch.testing.assert_close(found, model(x))
    assert list(seen) == list(range(len(plan)))
    for values, rounded in seen.values():
        assert torch.equal(rounded, literal(values, bits[:, 0]))
    attachment.on_point = lambda _index, _values, rounded: rounded
    with torch.no_grad():
        observed = attachment.run(x, rounding_to(bits))
        attachment.on_point = None
        assert torch.equal(observed, attachment.run(x, rounding_to(bits)))


def test_points_that_are_not_active_stay_in_float() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(*(nn.Linear(6, 6) for _ in range(4))).eval().requires_grad_(False)
    x = torch.randn(5, 6)
    attachment = Attachment(model, discover(model, x), "onnx", weight_bits=None)
    bits = torch.tensor([[3, 4, 5]] * 5)
    hidden = model[1](model[0](x))
    rounded = fake_quantize(hidden, bits[:, 1], attachment.scheme)
    found = attachment.run(x, rounding_to(bits, frozenset({1})))
    assert torch.equal(found, model[3](model[2](rounded)))
    assert torch.equal(attachment.run(x, rounding_to(bits, frozenset())), model(x))
    everything = attachment.run(x, rounding_to(bits, frozenset({0, 1, 2})))
    assert torch.equal(everything, attachment.run(x, rounding_to(bits)))
    assert not torch.equal(everything, found)
