"""Bits that no companion changes, and bits that one does."""

from typing import Any

import pytest
from experiments.isolation_pairs import PLACES, alike

from bitcliff.adapters import load_examples, load_model
from bitcliff.adapters.assembly import make_subject
from bitcliff.types.numerics import Numerics
from bitcliff.types.presets import Format, preset
from bitcliff.types.subject import Subject, Texts
from tests.text_classifiers import TESTING, save_tokenizer, tokens, trained

EVERYWHERE = Format(
    activations=Numerics(element="int8", group="example", scale="amax", divisor=127),
    everywhere=True,
)
MANY = pytest.param(1000, marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> tuple[Subject, Texts]:
    """A BERT that has learned which chapter a paragraph is of; paragraphs of one length."""
    tokenizer = save_tokenizer(tmp_path_factory.mktemp("bert"))
    model: Any = trained("Bert", tokenizer, steps=5)
    inputs = Texts(tokens(model, tokenizer, TESTING)[0])
    return make_subject("bert", model, None, None), inputs.cut(int(inputs.lengths.min()))


@pytest.mark.parametrize("pairs", [6, MANY])
@pytest.mark.parametrize("name", ["vllm-int8-token", "mxfp8-rceil"])
def test_a_companion_changes_no_bit_of_a_text_by_token_or_block(
    classifier: tuple[Subject, Texts], name: str, pairs: int
) -> None:
    found = alike(*classifier, name, preset(name), pairs, batch=4)
    assert found["format", "at its place"] == found["float", "at its place"] == pairs


@pytest.mark.parametrize("pairs", [3, MANY])
def test_a_companion_changes_no_bit_of_a_picture_by_example(pairs: int) -> None:
    subject = load_model("base-digits")
    inputs = load_examples("digits", subject=subject, limit=40).inputs
    found = alike(subject, inputs, "example", EVERYWHERE, pairs, batch=3)
    assert found["format", "at its place"] == found["float", "at its place"] == pairs


def test_where_a_batch_shares_a_scale_a_companion_changes_bits(
    classifier: tuple[Subject, Texts],
) -> None:
    found = alike(*classifier, "ort-uint8", preset("ort-uint8"), 6, batch=4)
    assert found["float", PLACES[0]] == 6
    assert found["format", PLACES[0]] < 3
