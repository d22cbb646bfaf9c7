"""Every product of activations becomes a point or is named as missed."""

import re
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence

from bitcliff.errors import InputError
from bitcliff.points import Plan, Selection, discover
from bitcliff.points.layout import Layout
from tests.points.by_hand import state_of
from tests.points.networks import (
    InPlaceBlock,
    SmallConvNet,
    WindowAttention,
    Wired,
    frozen,
    images,
    matrix,
    on_tokens,
    tokens,
)


def names(plan: Plan) -> list[str]:
    return [point.name for point in plan.points]


def on_image(wiring: Callable[[Any, Tensor], Tensor], **parts: Any) -> nn.Module:
    def whole(self: Any, x: Tensor) -> Tensor:
        return self.head(wiring(self, self.stem(x)).flatten(2).mean(2))  # type: ignore[no-any-return]

    return frozen(Wired(whole, stem=nn.Conv2d(3, 4, 3), head=nn.Linear(4, 3), **parts))


def dynamic_convolution(self: Any, x: Tensor) -> Tensor:
    """A kernel of its own for each image, by way of groups (as CondConv and its like do)."""
    kernels = self.make(x.mean((2, 3))).reshape(-1, 4, 3, 3)
    folded = x.reshape(1, -1, *x.shape[2:])
    return F.conv2d(folded, kernels, groups=len(x)).reshape(len(x), 4, *[x.shape[2] - 2] * 2)


FOUND: dict[str, tuple[Callable[[], nn.Module], Callable[[], Tensor], list[str]]] = {
    "modules": (
        lambda: frozen(SmallConvNet()),
        images,
        ["first", "second", "down", "hidden", "head"],
    ),
    "a function with a parameter of its own": (
        lambda: on_image(lambda s, x: F.conv2d(x, s.kernel, padding=1), kernel=matrix(4, 4, 3, 3)),
        images,
        ["conv2d", "head"],
    ),
    "keywords": (
        lambda: on_image(
            lambda s, x: F.conv2d(weight=s.kernel, input=x), kernel=matrix(4, 4, 3, 3)
        ),
        images,
        ["conv2d", "head"],
    ),
    "a module used three times": (
        lambda: on_image(lambda s, x: s.conv(s.conv(s.conv(x))), conv=nn.Conv2d(4, 4, 1)),
        images,
        ["conv", "conv@2", "conv@3", "head"],
    ),
    "a module used twice under two names": (
        lambda: (lambda conv: on_image(lambda s, x: s.b(s.a(x)), a=conv, b=conv))(
            nn.Conv2d(4, 4, 1)
        ),
        images,
        ["a", "a@2", "head"],
    ),
    "a kernel that is an activation": (
        lambda: on_image(dynamic_convolution, make=nn.Linear(4, 144)),
        images,
        ["make", "conv2d:input", "conv2d:weight", "head"],
    ),
    "transposed and one-dimensional convolutions": (
        lambda: on_image(
            lambda s, x: s.narrow(s.up(x).flatten(2)),
            up=nn.ConvTranspose2d(4, 4, 2, stride=2),
            narrow=nn.Conv1d(4, 4, 3),
        ),
        images,
        ["up", "narrow", "head"],
    ),
    "three-dimensional convolutions": (
        lambda: on_image(
            lambda s, x: s.back(s.deep(x[:, :, None])),
            deep=nn.Conv3d(4, 4, (1, 3, 3)),
            back=nn.ConvTranspose3d(4, 4, (1, 3, 3)),
        ),
        images,
        ["deep", "back", "head"],
    ),
    "@": (lambda: on_tokens(lambda s, x: x @ s.w, w=matrix(16, 16)), tokens, ["matmul", "head"]),
    "two activations": (
        lambda: on_tokens(lambda s, x: x @ x.mT @ x),
        tokens,
        ["matmul:lhs", "matmul:rhs", "matmul@2:lhs", "matmul@2:rhs", "head"],
    ),
    "bmm": (
        lambda: on_tokens(lambda s, x: torch.bmm(x, x.mT), width=6),
        tokens,
        ["matmul:lhs", "matmul:rhs", "head"],
    ),
    "mm and addmm, as function, method and in place": (
        lambda: on_tokens(
            lambda s, x: (
                torch.addmm(s.b, x[:, 0].mm(s.w), s.w)
                + torch.zeros(len(x), 16).addmm_(x[:, 1], s.w)
                + torch.zeros(len(x), 16).addmm(mat1=x[:, 2], mat2=s.w)
            ),
            w=matrix(16, 16),
            b=matrix(16),
        ),
        tokens,
        ["matmul", "matmul@2", "matmul@3", "matmul@4", "head"],
    ),
    "baddbmm": (
        lambda: on_tokens(
            lambda s, x: (
                torch.baddbmm(x, x @ s.w, s.w.expand(len(x), 16, 16))
                + x.baddbmm(x, s.w.expand(len(x), 16, 16))
            ),
            w=matrix(16, 16),
        ),
        tokens,
        ["matmul", "matmul@2:lhs", "matmul@2:rhs", "matmul@3:lhs", "matmul@3:rhs", "head"],
    ),
    "einsum": (
        lambda: on_tokens(
            lambda s, x: (
                torch.einsum("bij,jk->bik", x, s.w) + torch.einsum("bij,bkj->bik", [x, x]) @ x
            ),
            w=matrix(16, 16),
        ),
        tokens,
        ["einsum", "einsum@2:lhs", "einsum@2:rhs", "matmul:lhs", "matmul:rhs", "head"],
    ),
    "tensordot": (
        lambda: on_tokens(lambda s, x: torch.tensordot(x, s.w, dims=1), w=matrix(16, 16)),
        tokens,
        ["tensordot", "head"],
    ),
    "matrix times vector": (
        lambda: on_tokens(
            lambda s, x: x[:, 0] + (torch.mv(x[:, 1], s.w) + x[:, 2].mv(s.w))[:, None],
            w=matrix(16),
        ),
        tokens,
        ["matmul", "matmul@2", "head"],
    ),
    "an array on the left": (
        lambda: on_tokens(lambda s, x: torch.Tensor.__rmatmul__(s.w, x), w=matrix(16, 16)),
        tokens,
        ["matmul", "head"],
    ),
    "bilinear": (
        lambda: on_tokens(lambda s, x: s.two(x[:, 0], x[:, 1]), two=nn.Bilinear(16, 16, 16)),
        tokens,
        ["two:input1", "two:input2", "head"],
    ),
    "fused attention": (
        lambda: on_tokens(lambda s, x: F.scaled_dot_product_attention(x, 2 * x, x + 1)),
        tokens,
        ["attention:query", "attention:key", "attention:probabilities", "attention:value", "head"],
    ),
    "attention with a learned query": (
        lambda: on_tokens(
            lambda s, x: F.scaled_dot_product_attention(s.q, x, x), q=matrix(1, 2, 16)
        ),
        tokens,
        ["attention:key", "attention:probabilities", "attention:value", "head"],
    ),
    "products of constants alone": (
        lambda: on_tokens(lambda s, x: x @ (s.w @ s.w), w=matrix(16, 16)),
        tokens,
        ["matmul@2", "head"],
    ),
    "weights made anew in each pass": (
        lambda: on_tokens(
            lambda s, x: s.a(s.b(x)),
            a=nn.utils.parametrizations.spectral_norm(nn.Linear(16, 16)),
            b=nn.utils.parametrizations.weight_norm(nn.Linear(16, 16)),
        ),
        tokens,
        ["b", "a", "head"],
    ),
    "a module made in the pass": (
        lambda: on_tokens(
            lambda s, x: nn.Identity()(nn.Flatten(1)(x)[:, :16]) @ s.w, w=matrix(16, 16)
        ),
        tokens,
        ["matmul", "head"],
    ),
    "autocast": (
        lambda: on_tokens(
            lambda s, x: torch.autocast("cpu", torch.bfloat16)(lambda y: s.a(y).float())(x),
            a=nn.Linear(16, 16),
        ),
        tokens,
        ["a", "head"],
    ),
    "inference mode": (
        lambda: on_tokens(
            lambda s, x: torch.inference_mode()(lambda y: s.a(y))(x), a=nn.Linear(16, 16)
        ),
        tokens,
        ["a", "head"],
    ),
    "windows folded into the batch": (
        lambda: frozen(WindowAttention()),
        tokens,
        ["qkv", "matmul:lhs", "matmul:rhs", "matmul@2:lhs", "matmul@2:rhs", "proj", "head"],
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_every_product_is_found(name: str) -> None:
    make, inputs, expected = FOUND[name]
    torch.manual_seed(0)
    plan = discover(make(), inputs())
    assert names(plan) == expected
    assert plan.missed == ()


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("need_weights", [True, False])
def test_multi_head_attention_is_opened(batch_first: bool, need_weights: bool) -> None:
    def attend(self: Any, x: Tensor) -> Tensor:
        x = x if batch_first else x.transpose(0, 1)
        x, _ = self.attn(x, x, x, need_weights=need_weights)
        return x if batch_first else x.transpose(0, 1)

    model = on_tokens(attend, attn=nn.MultiheadAttention(16, 2, batch_first=batch_first))
    plan = discover(model, tokens())
    inside = (
        [f"attn.matmul{which}" for which in (":lhs", ":rhs", "@2:lhs", "@2:rhs")]
        if need_weights
        else [f"attn.attention:{role}" for role in ("query", "key", "probabilities", "value")]
    )
    assert names(plan) == ["attn", *inside, "attn.out_proj", "head"]
    assert plan.missed == ()
    # Positions come before the batch in what is projected last.
    layouts = {point.name: point.layout for point in plan.points}
    assert layouts["attn.out_proj"] == Layout(0, outer=6, inner=1)
    assert layouts["attn"].axis == 1, "sequence first, inside, whatever it is outside"


def test_an_encoder_with_a_fast_path_is_walked_layer_by_layer() -> None:
    layer = nn.TransformerEncoderLayer(16, 2, 24, batch_first=True)
    model = on_tokens(lambda s, x: s.encoder(x), encoder=nn.TransformerEncoder(layer, 2))
    plan = discover(model, tokens())
    assert plan.missed == ()
    kinds = [point.name.rpartition("layers.")[2] for point in plan.points]
    one = ["self_attn", *[f"self_attn.attention:{r}" for r in ("query", "key", "probabilities")]]
    one += ["self_attn.attention:value", "self_attn.out_proj", "linear1", "linear2"]
    assert kinds == [*[f"{layer}.{name}" for layer in (0, 1) for name in one], "head"]


def scripted(module: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.script(module.eval())


def traced(module: nn.Module, x: Tensor) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.trace(module.eval(), x)  # type: ignore[no-any-return]


class Attend(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(x, x, x)


@torch.library.custom_op("bitcliff_tests::product", mutates_args=())
def product(x: Tensor, w: Tensor) -> Tensor:
    return x @ w


def without_modes(self: Any, x: Tensor) -> Tensor:
    with torch._C.DisableTorchFunction():
        return x @ self.w  # type: ignore[no-any-return]


MISSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "packed sequences": (
        lambda: on_tokens(
            lambda s, x: s.rnn(pack_sequence([*x]))[1][0], rnn=nn.LSTM(16, 16, batch_first=True)
        ),
        "rnn",
    ),
    "TorchScript": (
        lambda: on_tokens(lambda s, x: s.part(x), part=scripted(nn.Linear(16, 16))),
        "part",
    ),
    "TorchScript attention": (
        lambda: on_tokens(lambda s, x: s.part(x), part=scripted(Attend())),
        "part",
    ),
    "TorchScript in inference mode": (
        lambda: on_tokens(
            lambda s, x: torch.inference_mode()(lambda y: s.part(y))(x),
            part=scripted(nn.Linear(16, 16)),
        ),
        "part",
    ),
    "a traced part": (
        lambda: on_tokens(lambda s, x: s.part(x), part=traced(nn.Linear(16, 16), tokens())),
        "part",
    ),
    "a custom operator": (
        lambda: on_tokens(lambda s, x: product(x, s.w), w=matrix(16, 16)),
        "product",
    ),
    "an overload called by name": (
        lambda: on_tokens(lambda s, x: torch.ops.aten.mm(x[:, 0], s.w), w=matrix(16, 16)),
        "mm",
    ),
    "an einsum of three": (
        lambda: on_tokens(
            lambda s, x: torch.einsum("bij,jk,kl->bil", x, s.w, s.w), w=matrix(16, 16)
        ),
        "bmm",
    ),
    "a chain of products": (
        lambda: on_tokens(
            lambda s, x: torch.linalg.multi_dot([x[:, 0], s.w, s.w]), w=matrix(16, 16)
        ),
        "mm",
    ),
    "distances": (
        lambda: on_tokens(lambda s, x: torch.cdist(x, s.w), w=matrix(16, 16)),
        "dist",  # _euclidean_dist or _cdist_forward, by torch's version and the sizes
    ),
    "a transform": (
        lambda: on_tokens(lambda s, x: torch.vmap(lambda y: y @ s.w)(x), w=matrix(16, 16)),
        "mm",
    ),
    "an operator that takes functions": (
        lambda: on_tokens(
            lambda s, x: torch.ops.higher_order.cond(
                x.sum() > 1e9, lambda y: y @ s.w, lambda y: 2 * y @ s.w, (x,)
            ),
            w=matrix(16, 16),
        ),
        "cond",
    ),
    "modes switched off": (lambda: on_tokens(without_modes, w=matrix(16, 16)), "mm"),
    "a product over the batch": (
        lambda: on_tokens(lambda s, x: torch.addbmm(torch.zeros(16, 16), x.mT, x) + x[:, :1]),
        "(output)",
    ),
    "similarities between examples": (
        lambda: on_tokens(lambda s, x: x[:, 0] + (x[:, 0] @ x[:, 0].T).mean()),
        "mixed",
    ),
    "attention between examples": (
        lambda: on_tokens(
            lambda s, x: (lambda y: F.scaled_dot_product_attention(y, y, y))(
                x.transpose(0, 1)
            ).transpose(0, 1)
        ),
        "attention over the batch's own dimension",
    ),
    "an example used as a weight": (
        lambda: on_tokens(lambda s, x: x @ x[0].T, width=6),
        "does not carry the batch",
    ),
    "the last example used as a weight": (
        lambda: on_tokens(lambda s, x: x @ x[-1].T, width=6),
        "does not carry the batch",
    ),
    "statistics of the batch": (
        lambda: on_tokens(
            lambda s, x: s.a(s.norm(x.mT).mT),
            a=nn.Linear(16, 16),
            norm=nn.BatchNorm1d(16, track_running_stats=False),
        ),
        "batch-mates",
    ),
    "a faint trace of the batch": (
        lambda: on_tokens(lambda s, x: s.a(x - 1e-4 * x.mean(0)), a=nn.Linear(16, 16)),
        "batch-mates",
    ),
    "the batch mixed after the last product": (
        lambda: nn.Sequential(
            nn.Flatten(),
            nn.Linear(96, 8),
            nn.Linear(8, 3),
            nn.BatchNorm1d(3, track_running_stats=False),
        ).eval(),
        "(output)",
    ),
    "chance": (
        lambda: on_tokens(lambda s, x: s.a(F.dropout(x, 0.5, training=True)), a=nn.Linear(16, 16)),
        "batch-mates",
    ),
    "a path taken in some passes": (
        lambda: on_tokens(lambda s, x: s.a(x) if len(x) == 2 else x, a=nn.Linear(16, 16)),
        "reached in one pass but not in another",
    ),
    "another operation in some passes": (
        lambda: on_tokens(
            lambda s, x: (torch.mm if len(x) == 2 else torch.matmul)(x[:, 0], s.w), w=matrix(16, 16)
        ),
        "another operation in one pass",
    ),
    "routing of tokens": (
        lambda: on_tokens(lambda s, x: x[:, :1] + s.a(x[x.sum(-1) > 0]).sum(), a=nn.Linear(16, 16)),
        "its shape depends on what the input holds",
    ),
    "integers": (
        lambda: on_tokens(lambda s, x: (x.round().long() @ s.w.long()).float(), w=matrix(16, 16)),
        "torch.int64",
    ),
    "sparse matrices": (
        lambda: on_tokens(lambda s, x: (s.w @ x[:, 0].T).T, w=torch.eye(16).to_sparse()),
        "sparse",
    ),
    "complex numbers": (
        lambda: on_tokens(
            lambda s, x: (torch.fft.fft(x) @ s.w.to(torch.complex64)).real, w=matrix(16, 16)
        ),
        "complex64",
    ),
}


def what_is_missed(model: nn.Module) -> list[str]:
    try:
        plan = discover(model, tokens())
    except InputError as refused:  # what mixes examples may leave nothing behind it to work on
        return [str(refused)]
    assert names(plan), "the rest is still covered"
    return [f"{missed.name} {missed.kind} {missed.reason}" for missed in plan.missed]


@pytest.mark.parametrize("name", MISSED)
# PyTorch's own notices of what it will drop or has in beta; nothing of ours.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_what_cannot_be_covered_is_named(name: str) -> None:
    make, message = MISSED[name]
    torch.manual_seed(0)
    lines = what_is_missed(make())
    assert any(message in line for line in lines), lines


def test_flex_attention_is_missed() -> None:
    from torch.nn.attention.flex_attention import flex_attention

    def attend(_self: Any, x: Tensor) -> Tensor:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return flex_attention(x[:, None], x[:, None], x[:, None])[:, 0]

    plan = discover(on_tokens(attend), tokens())
    assert [missed.kind for missed in plan.missed] == ["flex_attention"]


def test_a_name_that_looks_like_a_second_use_is_kept_apart() -> None:
    model = Wired(lambda s, x: s.head(s.odd(s.conv(s.conv(x))).mean((2, 3))))
    model.conv, model.head = nn.Conv2d(3, 3, 1), nn.Linear(3, 2)
    model.add_module("conv@2", nn.Conv2d(3, 3, 1))
    model.wiring = lambda s, x: s.head(getattr(s, "conv@2")(s.conv(s.conv(x))).mean((2, 3)))
    plan = discover(frozen(model), images(), Selection(include_stem=True))
    assert names(plan) == ["conv", "conv@2", "conv@2@2", "head"]
    assert plan.missed == ()


def test_layouts_and_shapes_are_one_examples_own() -> None:
    plan = discover(frozen(WindowAttention()), tokens())
    by_name = {point.name: point for point in plan.points}
    assert by_name["matmul:lhs"].layout == Layout(0, outer=1, inner=2)
    assert by_name["matmul:lhs"].shape == (2, 3, 16)
    assert by_name["matmul@2:lhs"].shape == (2, 3, 3)
    assert by_name["head"].layout == Layout(0)
    assert by_name["head"].shape == (16,)


def test_inputs_that_say_nothing_are_refused() -> None:
    model = frozen(SmallConvNet())
    x = images(1)
    with pytest.raises(InputError, match=r"two examples or more are needed .*; 1 was given"):
        discover(model, x)
    with pytest.raises(InputError, match="all 5 examples are the same"):
        discover(model, x.expand(5, -1, -1, -1))
    late = torch.cat([x.expand(4, -1, -1, -1), images(1, seed=1)])
    assert discover(model, late).points == discover(model, images()).points


def test_training_mode_is_refused_and_named() -> None:
    model = frozen(SmallConvNet())
    model.get_submodule("bn").train()
    with pytest.raises(InputError, match=r"training mode at bn: call model.eval\(\)"):
        discover(model, images())
    with pytest.raises(InputError, match="training mode at its root"):
        discover(SmallConvNet(), images())


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Flatten().eval(), "no quantization point to work on in Flatten: none was seen"),
        (
            nn.Sequential(nn.Flatten(), nn.Linear(768, 2)).eval(),
            "all 1 seen were left out",
        ),
        (
            Wired(lambda s, x: s.a(x.flatten(2))[0].mean(1), a=nn.LSTM(256, 4)).eval(),
            "all 1 seen were left out, and a.hh_l0@2: input: it changes with the input but",
        ),
    ],
)
def test_a_model_with_nothing_to_quantize_is_refused(model: nn.Module, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        discover(model, images())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(include_stem=True), ["stem", "first", "second", "down", "hidden", "head"]),
        (Selection(include=("*d*",)), ["second", "down", "hidden", "head"]),
        (Selection(exclude=("head", "f*")), ["second", "down", "hidden"]),
        (Selection(include=("*d*",), exclude=("*n",)), ["second", "head"]),
    ],
)
def test_selections(selection: Selection, expected: list[str]) -> None:
    plan = discover(frozen(SmallConvNet()), images(), selection)
    assert names(plan) == expected
    assert [point.name for point in plan.seen] == [
        "stem",
        "first",
        "second",
        "down",
        "hidden",
        "head",
    ]
    left_out = [point.reason for point in plan.seen if not point.quantized]
    assert all(left_out)
    assert plan.missed == (), "leaving out on purpose is not missing"


@pytest.mark.parametrize("option", ["include", "exclude"])
def test_a_pattern_that_names_no_point_is_a_slip(option: str) -> None:
    slip = ("first", "frist")
    selection = Selection(include=slip) if option == "include" else Selection(exclude=slip)
    with pytest.raises(InputError, match=f"--{option} 'frist' names none of the points"):
        discover(frozen(SmallConvNet()), images(), selection)


def test_to_leave_out_everything_is_refused() -> None:
    with pytest.raises(InputError, match="no quantization point"):
        discover(frozen(SmallConvNet()), images(), Selection(exclude=("*",)))


def test_the_stem_is_what_takes_the_image_in() -> None:
    def wiring(self: Any, x: Tensor) -> Tensor:
        scaled = (x - 0.5) * 2
        one, two = self.a(scaled), self.b(F.pad(scaled, (1, 1, 1, 1)))
        return self.head((one + self.c(torch.cat([one, scaled], 1)) + two).mean((2, 3)))  # type: ignore[no-any-return]

    parts = {"a": nn.Conv2d(3, 4, 1), "b": nn.Conv2d(3, 4, 3), "c": nn.Conv2d(7, 4, 1)}
    plan = discover(frozen(Wired(wiring, head=nn.Linear(4, 2), **parts)), images())
    left_out = {point.name: point.reason for point in plan.seen if not point.quantized}
    assert left_out == dict.fromkeys("ab", "stem input: the model's own")


@pytest.mark.parametrize("act", [nn.ReLU, nn.GELU, nn.SiLU, nn.Hardswish, nn.Tanh, nn.Softsign])
def test_outputs_are_after_each_activation_function(act: Callable[[], nn.Module]) -> None:
    plan = discover(frozen(SmallConvNet(act)), images(), Selection(points="outputs"))
    assert names(plan) == ["act", *[f"act@{use}" for use in range(2, 6)]]
    assert plan.missed == ()
    assert [point.shape for point in plan.points] == [(8, 16, 16)] * 3 + [(12, 7, 7), (10,)]


@pytest.mark.parametrize("inplace", [True, False])
def test_outputs_of_functions_methods_and_in_place(inplace: bool) -> None:
    relu = partial(nn.ReLU, inplace=inplace)
    plan = discover(frozen(SmallConvNet(relu)), images(), Selection(points="outputs"))
    assert names(plan) == ["act", *[f"act@{use}" for use in range(2, 6)]]
    plan = discover(frozen(InPlaceBlock()), images(), Selection(points="outputs"))
    assert names(plan) == ["relu", "relu@2"]
    assert [point.kind for point in plan.points] == ["relu", "relu"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_activation_that_cannot_be_opened_is_missed() -> None:
    model = on_tokens(
        lambda s, x: F.relu(s.part(x)), part=scripted(nn.Sequential(nn.Linear(16, 16), nn.GELU()))
    )
    plan = discover(model, tokens(), Selection(points="outputs"))
    assert {missed.kind for missed in plan.missed} == {"addmm", "gelu"}


def test_macs_are_counted_by_hand_for_every_kind() -> None:
    def wiring(self: Any, x: Tensor) -> Tensor:
        y = self.conv(self.stem(x))  # (b, 8, 7, 7)
        t = self.lin(y.flatten(2).mT)  # (b, 49, 16)
        t = t @ t.mT @ t
        t = F.scaled_dot_product_attention(t, t, t)
        pooled = self.two(t[:, 0], t[:, 1]) + (t[:, 2] @ self.v)[:, None]
        return self.head(pooled)  # type: ignore[no-any-return]

    model = Wired(
        wiring,
        stem=nn.Conv2d(3, 4, 3, stride=2, padding=1),
        conv=nn.Conv2d(4, 8, 2, groups=2),
        lin=nn.Linear(8, 16),
        two=nn.Bilinear(16, 16, 5),
        v=matrix(16),
        head=nn.Linear(5, 2),
    )
    plan = discover(frozen(model), images())
    macs = {point.site: point.macs for point in plan.seen}
    assert macs == {
        "stem": 4 * 8 * 8 * 3 * 9,
        "conv": 8 * 7 * 7 * 2 * 4,
        "lin": 49 * 16 * 8,
        "matmul": 49 * 49 * 16,
        "matmul@2": 49 * 49 * 16,
        "attention": 2 * 49 * 49 * 16,
        "two": 5 * 16 * 16,
        "matmul@3": 16,
        "head": 10,
    }


@pytest.mark.parametrize("where", ["inputs", "outputs"])
def test_the_model_is_left_as_it_was(where: Any) -> None:
    model = frozen(SmallConvNet())
    model.get_submodule("first").register_forward_hook(lambda module, args, output: output)
    before = state_of(model)
    discover(model, images(), Selection(points=where))
    assert state_of(model) == before


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_the_model_is_left_as_it_was_after_an_exception(error: type[BaseException]) -> None:
    def fail(_self: Any, x: Tensor) -> Tensor:
        if len(x) == 3:
            raise error("in the middle of the second pass")
        return x

    model = on_tokens(fail)
    before = state_of(model)
    with pytest.raises(error, match="in the middle"):
        discover(model, tokens())
    assert state_of(model) == before


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_the_callers_mode_does_not_matter(mode: Callable[[], Any]) -> None:
    model = frozen(SmallConvNet())
    expected = discover(model, images())
    with mode():
        assert discover(model, images()) == expected


@pytest.mark.filterwarnings("ignore::UserWarning")  # torch's notice that hooks fire once more
def test_compiled_parts_run_as_the_code_they_came_from() -> None:
    whole = torch.compile(frozen(SmallConvNet()), backend="eager")
    plan = discover(cast(nn.Module, whole), images())
    assert [re.sub("^_orig_mod.", "", name) for name in names(plan)] == [
        "first",
        "second",
        "down",
        "hidden",
        "head",
    ]
    assert plan.missed == ()
    model = frozen(SmallConvNet())
    model.compile(backend="eager")
    assert names(discover(model, images())) == ["first", "second", "down", "hidden", "head"]
