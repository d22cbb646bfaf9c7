"""What a cache of attention's keys and values is rounded to, against caches patched by hand."""

from typing import Any

import pytest
import torch
import transformers
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache, DynamicLayer

from bitcliff.audit.evaluator import Evaluator
from bitcliff.errors import InputError
from bitcliff.points import Attachment, discover
from bitcliff.points.attach import Rounding
from bitcliff.points.plan import Plan
from bitcliff.quant import round_shipped
from bitcliff.tasks import judge_as
from bitcliff.tasks.next_token import NextToken
from bitcliff.types.numerics import Numerics
from bitcliff.types.presets import Format, preset
from bitcliff.types.settings import Selection, cost_of
from bitcliff.types.subject import Texts

EVERYTHING = Selection(include_stem=True)
INT4 = Numerics(element="int4", group="token", scale="amax", divisor=7)
INT8_BY_CHANNEL = Numerics(element="int8", group="channel", scale="amax", divisor=127)
SHIPPED = {
    "fp8": preset("kv-cache-fp8"),
    "int4": Format(cache=INT4),
    "int8-channel": Format(cache=INT8_BY_CHANNEL),
}


class Rounding8(DynamicLayer):  # type: ignore[no-untyped-call]
    """A layer of a cache that holds e4m3 with a scale of 1, by torch's own cast."""

    def rounded(self, x: Tensor) -> Tensor:
        return x.clamp(-448, 448).to(torch.float8_e4m3fn).float()

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> Any:
        own = (self.rounded(key_states), self.rounded(value_states))
        return super().update(*own, *args, **kwargs)


class Rounding4(Rounding8):  # type: ignore[no-untyped-call]
    """Int4, a scale for each position and head."""

    def rounded(self, x: Tensor) -> Tensor:
        scale = x.abs().amax(-1, keepdim=True) / 7
        return (x / scale).round().clamp(-8, 7) * scale


class RoundingByChannel(Rounding8):  # type: ignore[no-untyped-call]
    """Int8, a scale for each of a head's values, over all heads and positions of an example."""

    def rounded(self, x: Tensor) -> Tensor:
        scale = x.abs().amax((1, 2), keepdim=True) / 127
        return (x / scale).round().clamp(-128, 127) * scale


PATCHED = {"fp8": Rounding8, "int4": Rounding4, "int8-channel": RoundingByChannel}


def language_model(family: str, attention: str) -> Any:
    torch.manual_seed(0)
    made: Any
    if family == "gpt2":
        made = transformers.GPT2Config(
            vocab_size=60, n_positions=32, n_embd=32, n_layer=2, n_head=4
        )
    else:
        made = transformers.LlamaConfig(
            vocab_size=60, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=32,
        )  # fmt: skip
    made._attn_implementation = attention
    build: Any = transformers.AutoModelForCausalLM.from_config
    model = build(made)
    with torch.no_grad():  # keys and values far from one, as trained ones are
        for parameter in model.parameters():
            parameter.mul_(3.0)
    model = model.eval().requires_grad_(False)
    judge_as(model, NextToken())
    return model


def ids(rows: int, length: int) -> Tensor:
    return torch.randint(1, 60, (rows, length), generator=torch.Generator().manual_seed(1))


def texts(tokens: Tensor, mask: Tensor | None = None) -> Texts:
    held = torch.ones_like(tokens) if mask is None else mask
    return Texts({"input_ids": tokens, "attention_mask": held})


class Masked(dict[str, Tensor]):
    """Inputs that are run with their padding."""


def attached(model: nn.Module) -> tuple[Attachment, Plan]:
    plan = discover(model, texts(ids(3, 9)), EVERYTHING)
    return Attachment(model, plan), plan


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("kind", SHIPPED)
def test_logits_are_those_of_a_cache_that_rounds(family: str, attention: str, kind: str) -> None:
    model, tokens = language_model(family, attention), ids(4, 12)
    attachment, plan = attached(model)
    assert sum(plan.rounds(SHIPPED[kind], p) for p in plan.points) == 2 * 2
    rounding = Rounding(formats=(SHIPPED[kind],) * len(plan), examples=4)
    with torch.no_grad():
        found = attachment.run(texts(tokens), rounding)
        cache = DynamicCache()
        cache.layer_class_to_replicate = PATCHED[kind]
        mask = torch.ones_like(tokens)
        expected = model(input_ids=tokens, attention_mask=mask, cache=cache).logits
        plain = model(input_ids=tokens, attention_mask=mask).logits
    assert torch.equal(found, expected[:, -1])
    assert not torch.equal(found, plain[:, -1])


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_token_by_token_a_rounding_cache_says_the_same(family: str) -> None:
    model, tokens = language_model(family, "sdpa"), ids(1, 12)
    attachment, plan = attached(model)
    rounding = Rounding(formats=(SHIPPED["int4"],) * len(plan), examples=1)
    cache = DynamicCache()
    cache.layer_class_to_replicate = Rounding4
    with torch.no_grad():
        for place in range(12):
            given = {"input_ids": tokens[:, place : place + 1], "cache": cache}
            expected = model(**given).logits[:, -1]
        found = attachment.run(texts(tokens), rounding)
    # Decoding multiplies one row where a whole text is one matrix: other kernels.
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_an_example_is_the_same_alone_and_in_a_padded_batch(attention: str) -> None:
    model, tokens = language_model("llama", attention), ids(3, 12)
    lengths = torch.tensor([12, 7, 9])
    batch = texts(tokens, (torch.arange(12) < lengths[:, None]).long())
    attachment, plan = attached(model)
    evaluator = Evaluator(attachment, batch, batch_size=2)
    for shipped in (SHIPPED["fp8"], SHIPPED["int4"]):
        formats = (shipped,) * len(plan)
        together = evaluator.format_scores(torch.arange(3), formats).logits
        for row in range(3):
            alone = evaluator.format_scores(torch.tensor([row]), formats).logits[0]
            assert torch.equal(alone, together[row])
        # Padded to one length, as a server may run them: kernels differ, and nothing else.
        padded = attachment.run(Masked(batch), Rounding(formats=formats, examples=3))
        torch.testing.assert_close(padded, together, rtol=1e-4, atol=1e-4)


class Einsum(nn.Module):
    """Attention whose products do not say which operand is which."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(8, 24)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.project(x).chunk(3, -1)
        shares = torch.einsum("bqd,bkd->bqk", query, key).softmax(-1)
        mixed: Tensor = torch.einsum("bqk,bkd->bqd", shares, value).mean(1)
        return mixed


class Gated(nn.Module):
    """A mixture: a softmax of a product with weights, which is no attention."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.many = nn.Parameter(torch.randn(8, 4)), nn.Linear(8, 32)

    def forward(self, x: Tensor) -> Tensor:
        shares = (x @ self.gate).softmax(-1)
        mixed: Tensor = (shares[:, None] @ self.many(x).view(-1, 4, 8)).flatten(1)
        return mixed


def test_products_that_do_not_show_their_keys_are_named() -> None:
    torch.manual_seed(0)
    plan = discover(Einsum().eval(), torch.randn(3, 5, 8), EVERYTHING)
    assert [one.name for one in plan.untold] == ["einsum"]
    assert not any(plan.rounds(preset("kv-cache-fp8"), p) for p in plan.points)
    plan = discover(Gated().eval(), torch.randn(3, 8), EVERYTHING)
    assert plan.untold == ()
    assert not any(p.cached for p in plan.points)


def test_layers_and_cache_may_each_have_a_format() -> None:
    model, tokens = language_model("llama", "sdpa"), ids(2, 12)
    attachment, plan = attached(model)
    layers = preset("vllm-int8-token")
    both = layers.model_copy(update={"cache": INT4})
    counts = [sum(plan.rounds(s, p) for p in plan.points) for s in (layers, SHIPPED["int4"], both)]
    assert counts[2] == counts[0] + counts[1]
    assert counts[1] == 4
    seen = [
        attachment.run(texts(tokens), Rounding(formats=(one,) * len(plan), examples=2))
        for one in (layers, both, SHIPPED["int4"])
    ]
    assert not torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[2], seen[1])


def test_a_format_rounds_something() -> None:
    with pytest.raises(ValueError, match="give activations, weights, cache"):
        Format()
    with pytest.raises(InputError, match="other bits than layers' inputs"):
        cost_of(preset("vllm-int8-token").model_copy(update={"cache": INT4}), "both")
    assert torch.equal(
        round_shipped(torch.tensor([[1.06, 500.0]]), "kv-cache-fp8"), torch.tensor([[1.0, 448.0]])
    )
