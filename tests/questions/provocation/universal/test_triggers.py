"""Triggers put on inputs, held against plain arithmetic and a tokenizer of its own."""

from pathlib import Path

import numpy as np
import pytest
import torch

from bitcliff.adapters import load_examples, load_model
from bitcliff.audit import AssessSettings
from bitcliff.audit.prepare import prepare
from bitcliff.questions.provocation.universal.triggers import Trigger, triggers_of
from bitcliff.types.subject import IDS, MASK, Texts
from bitcliff.types.within import read_within
from tests.questions.provocation.universal.networks import prepared
from tests.text_classifiers import TOKENS, paragraphs, save_tokenizer, trained


@pytest.mark.parametrize("name", ["patch:3", "linf:8/255", "l2:0.5"])
def test_images_change_by_what_is_allowed_and_in_whole_levels(name: str) -> None:
    network, rng = prepared(0, planted=True, n=20), np.random.default_rng(0)
    parents = network.evaluator.inputs
    assert isinstance(parents, torch.Tensor)
    triggers = triggers_of(read_within(name), network, parents)
    for _ in range(10):
        trigger = triggers.mutated(triggers.drawn(rng), 0.3, rng)
        gradient = torch.randn(trigger.values.shape)
        (moved,) = triggers.proposed(trigger, gradient, 0.1)
        put = triggers.on(moved, torch.arange(20))
        assert isinstance(put, torch.Tensor)
        change = put - parents
        levels = 255 * change
        assert torch.allclose(levels, levels.round(), atol=1e-3)
        assert 0 <= float(put.min()) <= float(put.max()) <= 1
        if name == "patch:3":
            changed = (change != 0).flatten(0, 1).any(0)
            rows, columns = changed.any(1).nonzero(), changed.any(0).nonzero()
            assert int(rows.max() - rows.min()) < 3
            assert int(columns.max() - columns.min()) < 3
            assert torch.equal(put[:, :, changed][0], put[:, :, changed][1])  # one for all
        elif name == "linf:8/255":
            assert float(change.abs().max()) <= 8 / 255 + 1e-6
        else:
            assert float(change.flatten(1).norm(dim=1).max()) <= 0.5 + 1e-6


def test_down_the_gradient_the_loss_falls() -> None:
    network = prepared(0, planted=True, n=20)
    parents = network.evaluator.inputs
    assert isinstance(parents, torch.Tensor)
    triggers = triggers_of(read_within("patch:3"), network, parents)
    trigger = triggers.drawn(np.random.default_rng(1))
    # Of a linear function of the images the sum of gradients is the function itself.
    weights, more = torch.randn(4, 1, 8, 8), torch.rand(4)
    nothing = torch.zeros(4, 1, 8, 8)
    gradient = triggers.gradient(trigger, weights, nothing, more, more)
    assert trigger.where is not None
    expected = torch.einsum("n,nchw->chw", more, weights) * trigger.where
    assert torch.allclose(gradient, expected, atol=1e-5)
    (lower,) = triggers.proposed(trigger, gradient, 0.2)
    assert float((expected * (lower.values - trigger.values)).sum()) < 0


def test_a_prefix_is_what_the_tokenizer_makes_of_the_longer_text(tmp_path: Path) -> None:
    tokenizer = save_tokenizer(tmp_path)
    trained("Bert", tokenizer, steps=1).save_pretrained(tmp_path)
    every = [text for text in paragraphs()[0] if text]
    by_length = sorted(every, key=len)
    texts = [*by_length[:6], *by_length[-6:]]  # which are cut
    (tmp_path / "texts.txt").write_text("\n".join(texts))
    subject = load_model(f"hf:{tmp_path}")
    examples = load_examples(str(tmp_path / "texts.txt"), subject=subject)
    network = prepare(subject, examples, AssessSettings(numerics=("vllm-int8-token",), budgets=()))
    parents = network.evaluator.inputs
    assert isinstance(parents, Texts)
    triggers = triggers_of(read_within("prefix:2"), network, parents)
    words = ("example", "format")
    known = torch.tensor(tokenizer.convert_tokens_to_ids(list(words)))
    trigger = Trigger(known)
    assert triggers.told(trigger) == "before the text: example format"
    for place, name in enumerate(examples.ids):
        text = texts[int(name.removeprefix("line ")) - 1]
        put = triggers.on(trigger, torch.tensor([place]))
        assert isinstance(put, Texts)
        whole = tokenizer(f"example format {text}", truncation=True, max_length=TOKENS)
        assert put[IDS][0].tolist() == whole["input_ids"]
        assert put[MASK].all()
    # Swaps are those that a first order favours most, one word each.
    table = torch.as_tensor(triggers.embedding.weight)  # type: ignore[union-attr]
    gradient = torch.randn(2, table.shape[1])
    proposed = triggers.proposed(trigger, gradient, 0.1)
    best = table[proposed[0].values] - table[known]
    gains = [float((gradient * (table[one.values] - table[known])).sum()) for one in proposed]
    assert gains == sorted(gains)
    assert all(int((one.values != known).sum()) == 1 for one in proposed)
    drawn = [triggers.drawn(np.random.default_rng(seed)) for seed in range(50)]
    once = [int(one.values[0]) for one in triggers.several(200, np.random.default_rng(0))]
    assert len(set(once)) == 200
    assert float((gradient * best).sum()) <= min(
        float((gradient[0] * (table[one.values[0]] - table[known[0]])).sum()) for one in drawn
    )
