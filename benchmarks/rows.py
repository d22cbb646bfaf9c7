"""What is timed: rounding, scores, the budget, networks, and what others take for the same."""

from collections.abc import Callable, Iterator
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.harness import Row, Work
from bitcliff.budget import solve
from bitcliff.points import Attachment, discover, logits_of
from bitcliff.points.attach import Rounding, rounding_to
from bitcliff.quant import Scheme, choice_gradient, fake_quantize, round_shipped
from bitcliff.types.presets import PRESETS, preset
from bitcliff.types.settings import Selection

SHAPES = ((64, 64, 56, 56), (64, 128, 16, 16), (64, 512, 7, 7), (20, 1152, 7, 7), (8, 128, 768))
OPTIONS = torch.arange(3, 11)
# The compiled loops are not loaded before so many elements were rounded without them.
WARM_UP = 1 << 28
NETWORKS = (
    ("torchvision", "resnet18", 64, 1.05),
    ("timm", "regnetx_016", 96, 1.10),
    ("timm", "vit_tiny_patch16_224", 224, 1.15),
    ("timm", "tf_efficientnet_lite0", 224, 1.20),
    ("timm", "mobilenetv3_large_100", 96, 1.25),
    ("timm", "mobilenetv4_conv_small", 96, 1.25),
)


def rows() -> Iterator[Row]:
    """All of them, the quickest first."""
    yield from _rounding()
    yield from _budget()
    yield from _networks()
    yield Row("language model of 135 M, 128 tokens, vllm-int8-token", "float", 1.15, _language, 7)
    yield Row("audit of a language model, even and random bits", "its passes", 1.5, _audit, 5)


@cache
def compiled() -> None:
    """Round so much that the compiled loops are there."""
    for _ in range(WARM_UP >> 22):
        fake_quantize(torch.zeros(64, 1 << 16), 8)


def _copy(x: Tensor) -> Work:
    held = torch.empty_like(x)
    return lambda: held.copy_(x)


def _rounding() -> Iterator[Row]:
    for shape in SHAPES:
        yield Row(f"round {shape}, a range each", "copy", 1.3, partial(_ours, shape))
        yield Row(f"score {shape}, eight options", "dot", 3.0, partial(_scores, shape))
    peers = {"torch's fake_quantize": _by_torch, "plain PyTorch": _plainly}
    others = {"brevitas": _by_brevitas, "NNCF": _by_nncf}
    # These two are no part of what development needs: pip install brevitas nncf.
    peers |= {name: work for name, work in others.items() if find_spec(name.lower())}
    for peer, work in peers.items():
        for shape in SHAPES:
            made = partial(_peer, shape, work)
            yield Row(f"round {shape}, {peer}", "copy", None, made)
    for name, one in PRESETS.items():
        if one.activations is not None:
            yield Row(f"round (8, 128, 768), {name}", "copy", 1.5, partial(_format, name))
    made = partial(_peer, (8, 128, 768), _by_torchao)
    yield Row("round (8, 128, 768), torchao-int8-row by torchao", "copy", None, made)


def _ours(shape: tuple[int, ...]) -> tuple[Work, Work]:
    compiled()
    x, bits = torch.randn(shape), torch.randint(3, 11, shape[:1])
    return lambda: fake_quantize(x, bits, "onnx"), _copy(x)


def _scores(shape: tuple[int, ...]) -> tuple[Work, Work]:
    compiled()
    x, g = torch.randn(shape), torch.randn(shape)
    a, b, scheme = x.view(-1), g.view(-1), Scheme("onnx")
    return lambda: choice_gradient(x, g, OPTIONS, scheme), lambda: torch.dot(a, b)


def _format(name: str) -> tuple[Work, Work]:
    compiled()
    x = torch.randn(8, 128, 768)
    return lambda: round_shipped(x, name), _copy(x)


def _peer(shape: tuple[int, ...], work: Callable[[Tensor], object]) -> tuple[Work, Work]:
    x = torch.randn(shape)
    return lambda: work(x), _copy(x)


def _by_torch(x: Tensor) -> Tensor:
    """Eight bits by example with torch's own kernel, which takes a scale for each index of an
    axis."""
    rows = x.flatten(1)
    low, high = rows.amin(1).clamp(max=0), rows.amax(1).clamp(min=0)
    scale = (high - low) / 255
    zero = (-low / scale).round().clamp(0, 255).to(torch.int32)
    return torch.fake_quantize_per_channel_affine(x, scale, zero, 0, 0, 255)


def _plainly(x: Tensor) -> Tensor:
    """The paper's formula, as one writes it down."""
    axes = tuple(range(1, x.ndim))
    low, high = x.amin(axes, keepdim=True), x.amax(axes, keepdim=True)
    scale = (high - low) / 255
    zero = (-low / scale).round()
    return (((x / scale).round() + zero).clamp(0, 255) - zero) * scale


def _by_brevitas(x: Tensor) -> Tensor:
    """Its integers, handed a scale for each example."""
    core, wrappers = map(import_module, ("brevitas.core.quant", "brevitas.core.function_wrapper"))
    integers = core.IntQuant(
        narrow_range=False,
        signed=False,
        float_to_int_impl=wrappers.RoundSte(),
        tensor_clamp_impl=wrappers.TensorClamp(),
        input_view_impl=wrappers.Identity(),
    )
    low, high = _ends(x)
    scale = (high - low) / 255
    rounded: Tensor = integers(scale, (-low / scale).round(), torch.tensor(8.0), x)
    return rounded


def _by_nncf(x: Tensor) -> Tensor:
    """Its asymmetric integers, handed a range for each example; their zero lies elsewhere."""
    functions = import_module("nncf.torch.quantization.quantize_functions")
    low, high = _ends(x)
    quantize = functions.QuantizeAsymmetricTorch.apply
    rounded: Tensor = quantize(x, x.shape, low, high - low, 0, 255, 256)
    return rounded


def _ends(x: Tensor) -> tuple[Tensor, Tensor]:
    axes = tuple(range(1, x.ndim))
    low, high = x.amin(axes, keepdim=True), x.amax(axes, keepdim=True)
    return low.clamp(max=0), high.clamp(min=0)


def _by_torchao(x: Tensor) -> Tensor:
    from torchao.quantization.quant_primitives import (
        MappingType,
        choose_qparams_affine,
        dequantize_affine,
        quantize_affine,
    )

    block = (1, 1, x.shape[-1])
    scale, zero = choose_qparams_affine(
        x, MappingType.SYMMETRIC, block, torch.int8, scale_dtype=torch.float32
    )
    q = quantize_affine(x, block, scale, zero, torch.int8)
    return dequantize_affine(q, block, scale, zero, torch.int8)  # type: ignore[no-any-return]


def _budget() -> Iterator[Row]:
    for mean in (4.0, 5.5, 7.0):
        for peer, work in (("CP-SAT", _by_cp_sat), ("HiGHS", _by_highs)):
            made = partial(_solving, mean, work)
            name = f"budget of 64 examples, 84 points, mean {mean:g}, against one by {peer}"
            # Sixty-four examples for one of the other's: a thousand times faster is 0.064.
            yield Row(name, peer, 0.064, made, 5)


def _solving(mean: float, other: Callable[[Any, int], object]) -> tuple[Work, Work]:
    compiled()
    values = torch.randn(64, 84, 8, generator=torch.Generator().manual_seed(0))
    total, one = round(mean * 84), values[0].double().numpy()
    return lambda: solve(values, range(3, 11), total), lambda: other(one, total)


def _by_cp_sat(values: Any, total: int) -> float:
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    chosen = [[model.new_bool_var("") for _ in row] for row in values]
    for row in chosen:
        model.add_exactly_one(row)
    model.add(sum((3 + o) * one for row in chosen for o, one in enumerate(row)) == total)
    model.maximize(sum(float(v) * c for a, b in zip(values, chosen, strict=True)
                       for v, c in zip(a, b, strict=True)))  # fmt: skip
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.solve(model)
    return solver.objective_value


def _by_highs(values: Any, total: int) -> float:
    import numpy as np
    from scipy.optimize import LinearConstraint, milp

    points, options = values.shape
    each = np.kron(np.eye(points), np.ones(options))
    cost = np.tile(np.arange(3, 3 + options), points)
    limits = [LinearConstraint(each, 1, 1), LinearConstraint(cost[None], total, total)]
    found = milp(-values.ravel(), constraints=limits, integrality=np.ones(points * options),
                 bounds=(0, 1))  # fmt: skip
    return float(found.fun)


def _networks() -> Iterator[Row]:
    for origin, name, size, goal in NETWORKS:
        yield Row(
            f"evaluate {name}, {size} px", "float", goal, partial(_network, origin, name, size), 9
        )


def _network(origin: str, name: str, size: int) -> tuple[Work, Work]:
    compiled()
    torch.manual_seed(0)
    if origin == "timm":
        import timm

        model: nn.Module = timm.create_model(name).eval().requires_grad_(False)
    else:
        import torchvision

        model = getattr(torchvision.models, name)().eval().requires_grad_(False)
    x = torch.randn(16, 3, size, size).contiguous(memory_format=torch.channels_last)
    return _evaluations(model, x, None)


def _language() -> tuple[Work, Work]:
    compiled()
    model = _language_model(576, 1536, 30, 49152)
    return _evaluations(model, torch.randint(0, 49152, (2, 128)), "vllm-int8-token")


def _audit() -> tuple[Work, Work]:
    """All of `Audit.assess`, from finding the points to the figures, against as many passes in
    float over batches of the same sizes. Nothing is searched but what the first gradient gives."""
    from bitcliff.audit import AssessSettings, Audit

    compiled()
    model, tokens = _language_model(288, 768, 4, 2048), torch.randint(0, 2048, (8, 64))
    settings = AssessSettings(
        budgets=(8.0,), bits=tuple(range(4, 13)), uniform=(8,), draws=20, rounds=0, exchanges=0,
        evaluations=0,
    )  # fmt: skip
    sizes: list[int] = []
    with model.register_forward_pre_hook(lambda _module, given: sizes.append(len(given[0]))):
        Audit(model, [tokens], settings=settings).assess()

    def passes() -> None:
        with torch.no_grad():
            for size in sizes:
                model(tokens[:size])

    return lambda: Audit(model, [tokens], settings=settings).assess(), passes


def _language_model(width: int, inner: int, layers: int, words: int) -> nn.Module:
    """Of SmolLM2's kind with random weights; it gives the scores of the next token."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig.from_dict(
        {
            "hidden_size": width,
            "intermediate_size": inner,
            "num_hidden_layers": layers,
            "num_attention_heads": 9,
            "num_key_value_heads": 3,
            "vocab_size": words,
            "tie_word_embeddings": True,
        }
    )
    whole = LlamaForCausalLM(config)
    whole.requires_grad_(False)

    class LastToken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.whole = whole

        def forward(self, tokens: Tensor) -> Tensor:
            return self.whole(tokens, use_cache=False).logits[:, -1]  # type: ignore[no-any-return]

    return LastToken().eval()


def _evaluations(model: nn.Module, x: Tensor, name: str | None) -> tuple[Work, Work]:
    plan = discover(model, x[:2], Selection(include_stem=True))
    attachment = Attachment(model, plan, "onnx")
    rounding = rounding_to(torch.randint(3, 11, (len(x), len(plan))))
    if name is not None:
        rounding = Rounding(formats=(preset(name),) * len(plan), examples=len(x))

    def quantized() -> None:
        with torch.no_grad():
            attachment.run(x, rounding)

    def in_float() -> None:
        with torch.no_grad():
            logits_of(model, x)

    return quantized, in_float
