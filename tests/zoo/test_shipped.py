"""What is shipped: whole, small, with a card, and the cards are true."""

import re

import pytest
import safetensors.torch
import torch
from torch import nn

from bitcliff.adapters import DataOptions, ModelOptions, load_examples, load_model
from bitcliff.errors import InputError
from bitcliff.points import discover
from bitcliff.policy.stored import read_policy
from bitcliff.tasks import task_of
from bitcliff.train.measure import correct_predictions
from bitcliff.zoo.shipped import FOLDER, SHIPPED

_MOST_BYTES = 2_000_000


def test_the_weights_are_small_and_nothing_else_lies_there() -> None:
    files = [file for file in FOLDER.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < _MOST_BYTES
    assert {file.parent.name for file in files} == set(SHIPPED)
    assert {file.name for file in files} == {
        "network.safetensors",
        "policy.safetensors",
        "card.md",
    }


@pytest.mark.parametrize("name", list(SHIPPED))
def test_a_card_is_true(name: str) -> None:
    subject = load_model(name)
    card = (FOLDER / name / "card.md").read_text()
    assert subject.weights_sha256 in card
    examples = load_examples("digits", subject=subject, options=DataOptions(split="test"))
    assert isinstance(examples.inputs, torch.Tensor)
    assert examples.labels is not None
    plan = discover(subject.module, examples.inputs[:8])
    own = SHIPPED[name].policy
    policies = {"float": None}
    if own is not None:
        policies[f"{name.partition('-')[0]} network's policy"] = read_policy(own).policy  # type: ignore[assignment]
    for words, policy in policies.items():
        right = correct_predictions(
            subject.module, plan, examples.inputs, examples.labels, policy, "paper"
        )
        found = re.search(rf"\| {words} \| ([\d.]+)%", card)
        assert found is not None
        # Another processor rounds a few examples the other way.
        assert float(found[1]) == pytest.approx(100 * right.double().mean().item(), abs=2.0)


def test_the_three_are_one_architecture_and_different_networks() -> None:
    networks = [safetensors.torch.load_file(shipped.weights) for shipped in SHIPPED.values()]
    assert networks[0].keys() == networks[1].keys() == networks[2].keys()
    assert not torch.equal(networks[0]["conv1.weight"], networks[1]["conv1.weight"])
    assert not torch.equal(networks[1]["conv1.weight"], networks[2]["conv1.weight"])
    assert isinstance(load_model("base-digits").module, nn.Module)


def test_how_it_is_built_is_settled_and_what_it_decides_may_be_asked() -> None:
    asked = ModelOptions(mean=(0.5,), crop=0.9, num_classes=10)
    with pytest.raises(InputError, match="MODEL base-digits: takes no --crop, --mean: ten classes"):
        load_model("base-digits", options=asked)
    with pytest.raises(InputError, match="takes no --num-classes: ten classes"):
        load_model("base-digits", options=ModelOptions(num_classes=7))
    subject = load_model("base-digits", options=ModelOptions(task="classification:top2"))
    assert "the 2 classes with the largest scores" in task_of(subject.module).words
