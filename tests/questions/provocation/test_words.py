"""Words swapped in texts, on a small language model that was trained for the tests."""

import numpy as np
import pytest
import torch

from bitcliff.adapters import load_examples, load_model
from bitcliff.audit import AssessSettings
from bitcliff.audit.prepare import Prepared, prepare
from bitcliff.errors import InputError
from bitcliff.questions.provocation.observe import provoking
from bitcliff.questions.provocation.record import CONTROL, GRADIENTS, RANDOM, SEARCH
from bitcliff.questions.provocation.sets import neighbourhood
from bitcliff.questions.provocation.words import AtRandom, masks, words_of
from bitcliff.types.presets import PRESETS
from bitcliff.types.settings import ProvokeSettings
from bitcliff.types.subject import IDS, Texts
from tests.language_models import prose, save_language_model

FORMAT = "mxfp4-rceil"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("lm")
    save_language_model(folder)
    (folder / "texts.txt").write_text("\n".join(prose(5)))
    subject = load_model(f"hf:{folder}")
    examples = load_examples(str(folder / "texts.txt"), subject=subject)
    settings = AssessSettings(numerics=(FORMAT,), budgets=(), include_stem=True)
    return prepare(subject, examples, settings)


def test_words_are_swapped_for_neighbours_that_are_written_alike(network: Prepared) -> None:
    subject, inputs = network.subject, network.evaluator.inputs
    words = words_of(2, subject.module, subject.written, inputs)
    assert isinstance(inputs, Texts)
    table = words.embedding.weight.detach().numpy()
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    swappable = [token for token, like in enumerate(words.like) if like]
    assert len(swappable) > 20
    for token in swappable[::5]:
        name, first = words.names[token], words.like[token][0]
        assert name.strip().isalpha()
        others = [
            other
            for other, written in enumerate(words.names)
            if other != token
            and len(written.strip()) > 1
            and written.strip().isalpha()
            and written.startswith(" ") == name.startswith(" ")
            and written.strip()[0].isupper() == name.strip()[0].isupper()
        ]
        best = max(others, key=lambda other: float(unit[token] @ unit[other]))
        assert unit[token] @ unit[first] == pytest.approx(unit[token] @ unit[best], abs=1e-6)
    text = AtRandom(words, inputs[IDS][0], masks(inputs)[0], np.random.default_rng(0))
    counts = {int((text.ask() != inputs[IDS][0]).sum()) for _ in range(40)}
    assert counts == {1, 2}


def test_swaps_are_found_that_a_format_minds_and_float_does_not(network: Prepared) -> None:
    settings = ProvokeSettings(within=("text:2",), effort=36)
    given = provoking(network, FORMAT, PRESETS[FORMAT], settings)
    assert given.sets == ("text:2",)
    around = neighbourhood("text:2", network, given.parents, lambda _: (), lambda: dict)
    searched = given.searched(around, lambda _key, make: make(), lambda *_: None)
    assert [*searched.attempts] == [GRADIENTS, SEARCH, RANDOM, CONTROL]
    assert all(one.failure is None for one in searched.attempts[CONTROL])
    failures = [a.failure for m in (GRADIENTS, SEARCH) for a in searched.attempts[m] if a.failure]
    assert failures
    for failure in failures:
        assert failure.distance in (1, 2)
        assert failure.told.count("→") == failure.distance
        before, after = (text.split() for text in failure.texts)
        assert sum(a != b for a, b in zip(before, after, strict=True)) == failure.distance
        assert failure.stays is None


def test_without_a_table_of_embeddings_no_words_are_swapped(network: Prepared) -> None:
    inputs = network.evaluator.inputs
    plain = torch.nn.Linear(2, 2)
    with pytest.raises(InputError, match="for models from hf: that read texts alone"):
        words_of(1, plain, network.subject.written, inputs)
    with pytest.raises(InputError, match="for models from hf: that read texts alone"):
        words_of(1, network.subject.module, network.subject.written, torch.zeros(2, 3))
