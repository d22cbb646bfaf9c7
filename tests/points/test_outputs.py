"""Which of several outputs is judged, and that no other is judged silently."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from transformers.modeling_outputs import SequenceClassifierOutput

from bitcliff.errors import InputError
from bitcliff.points.forward import logits_of, outputs_of
from bitcliff.points.outputs import Output, chosen_output, give_only

X = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))


@dataclass
class Plain:
    features: Tensor
    logits: Tensor


class Pair(NamedTuple):
    scores: Tensor
    features: Tensor


class Several(nn.Module):
    """Features (n, 6) and logits (n, 3), in the form that `give` puts them."""

    def __init__(self, give: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.head, self.give = nn.Linear(4, 6), nn.Linear(6, 3), give
        self.eval()

    def forward(self, x: Tensor) -> Any:
        features = self.body(x)
        return self.give(features, self.head(features))


def logits() -> Tensor:
    net = Several(None)
    return net.head(net.body(X))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("give", "used", "others"),
    [
        (lambda f, z: {"logits": z}, "logits", ()),
        (lambda f, z: {"features": f, "logits": z}, "logits", ("features (batch, 6)",)),
        (lambda f, z: Plain(f, z), "logits", ("features (batch, 6)",)),
        (lambda f, z: Pair(z, f), "scores", ("features (batch, 6)",)),
        (lambda f, z: SequenceClassifierOutput(logits=z), "logits", ()),
        (lambda f, z: (f[:, None], z), "1", ("0 (batch, 1, 6)",)),
        (lambda f, z: [z.argmax(1), z], "1", ("0 (batch)",)),
        (lambda f, z: (f[:, :1], z, "words", None), "1", ("0 (batch, 1)",)),
        (lambda f, z: z, "0", ()),
    ],
)
def test_the_one_that_can_be_meant_is_taken_and_named(
    give: Any, used: str, others: tuple[str, ...]
) -> None:
    net = Several(give)
    assert torch.equal(logits_of(net, X), logits())
    assert outputs_of(net, X) == (used, others)


@pytest.mark.parametrize(
    ("give", "told"),
    [
        (
            lambda f, z: (f, z),
            r"2 of its outputs could be the class scores, 0 \(batch, 6\), 1 \(batch, 3\): say "
            "which, for instance --output 1",
        ),
        (lambda f, z: {"a": f, "b": z}, "for instance --output b"),
        (lambda f, z: {"logits": f, "scores": z}, "2 of its outputs could be"),
        (lambda f, z: (z.argmax(1), z[:, :1]), r"none of its outputs is class scores .* 1 \(batch"),
        (lambda f, z: "words", "gave no tensor"),
    ],
)
def test_where_several_or_none_can_be_meant_it_is_refused(give: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        logits_of(Several(give), X)


@pytest.mark.parametrize("asked", ["1", "b"])
def test_one_is_asked_for_by_name_or_number(asked: str) -> None:
    net = Several(lambda f, z: {"a": f, "b": z})
    names = [name for name, _ in net.named_modules()]
    give_only(net, asked)
    assert torch.equal(logits_of(net, X), logits())
    assert outputs_of(net, X) == ("b", ("a (batch, 6)",))
    assert [name for name, _ in net.named_modules()] == names


def test_what_is_not_there_cannot_be_asked_for() -> None:
    net = Several(lambda f, z: {"a": f, "b": z})
    give_only(net, "2")
    with pytest.raises(InputError, match="no output 2; it has a, b"):
        logits_of(net, X)


def test_sizes_that_a_file_leaves_open() -> None:
    scores, features = Output(("n", "classes"), True), Output((None, 8, None, None), True)
    assert chosen_output({"f": features, "z": scores}) == "z"
    assert chosen_output({"f": features, "z": Output(("n", 5, 1, 1), True)}) == "z"
    with pytest.raises(InputError, match=r"f of any shape, z \(batch, classes\)"):
        chosen_output({"f": Output(None, True), "z": scores})


def test_a_task_that_was_said_finds_the_one_number() -> None:
    """Of a network with a state: (batch, 1) and (batch, 2, 128)."""
    outputs = {"state": Output(("n", 2, 128), True), "speech": Output(("n", 1), True)}
    assert chosen_output(outputs, has_task=True) == "speech"
    with pytest.raises(InputError, match="none of its outputs is class scores"):
        chosen_output(outputs)
    two = {**outputs, "noise": Output(("n",), True)}
    with pytest.raises(InputError, match="none of its outputs is class scores"):
        chosen_output(two, has_task=True)
