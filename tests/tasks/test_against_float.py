import copy

import pytest
import torch
from torch import Tensor, nn

from bitcliff.adapters import load_examples, load_model
from bitcliff.errors import InputError
from bitcliff.points.find_task import judge_by
from bitcliff.points.forward import logits_of
from bitcliff.tasks import task_of
from bitcliff.tasks.against_float import AgainstFloat
from bitcliff.tasks.values import Embedding, Labels, Values
from bitcliff.types.subject import Inputs

X = torch.arange(12.0).view(4, 3)


class Counted:
    """A network that gives the sums, and counts what it is run on."""

    def __init__(self) -> None:
        self.examples = 0

    def __call__(self, inputs: Inputs) -> Tensor:
        assert isinstance(inputs, Tensor)
        self.examples += len(inputs)
        return inputs.sum(1)


def test_each_example_is_compared_with_its_own_float_wherever_it_is() -> None:
    run = Counted()
    task = AgainstFloat(Values(0.5), run)
    output = X.sum(1) + torch.tensor([0.0, 0.4, -0.4, 0.6])
    kept = [True, True, True, False]
    for order in ([0, 1, 2, 3], [3, 1], [2, 2, 0, 3]):
        found = task.scores(output[order], X[order]).argmax(1) == 0
        assert found.tolist() == [kept[place] for place in order]
    assert run.examples == 4  # once each


def test_inputs_that_differ_in_a_bit_are_not_the_same_example() -> None:
    run = Counted()
    task = AgainstFloat(Values(1e-9), run)
    other = X.clone()
    other[0, 0] = -0.0
    task.scores(X.sum(1), X)
    task.scores(other.sum(1), other)
    assert run.examples == 8
    names = {"a": X, "b": X + 1}
    both = AgainstFloat(Values(0.5), lambda inputs: inputs["a"].sum(1) - inputs["b"].sum(1))  # type: ignore[index]
    assert (both.scores(torch.full((4,), -3.0), names).argmax(1) == 0).all()


def test_a_changed_copy_of_a_network_is_compared_with_the_network() -> None:
    network = nn.Sequential(nn.Linear(3, 1)).eval()
    judge_by(network, "values:0.001")
    changed = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in changed.parameters():
            parameter.add_(1)
        assert logits_of(network, X).argmax(1).tolist() == [0] * 4
        assert logits_of(changed, X).argmax(1).tolist() == [1] * 4


def test_examples_must_come_first() -> None:
    task = AgainstFloat(Values(0.5), lambda inputs: inputs)  # type: ignore[arg-type, return-value]
    with pytest.raises(InputError, match=r"gave shape \(3, 4\) for 4 examples"):
        task.scores(X.T, X)


def test_labels_have_no_use() -> None:
    subject = load_model("brittle-digits")
    judge_by(subject.module, "embedding:0.9")
    assert task_of(subject.module).name == "embedding:0.9"
    with pytest.raises(
        InputError,
        match=r"digits: its labels are classes, of which --task embedding:0\.9 knows nothing",
    ):
        load_examples("digits", subject=subject, limit=20)


def test_classes_are_what_the_best_few_are_held_against() -> None:
    subject = load_model("brittle-digits")
    judge_by(subject.module, "classification:top2")
    examples = load_examples("digits", subject=subject, limit=40)
    assert isinstance(examples.inputs, Tensor)
    with torch.no_grad():
        best = subject.module(examples.inputs).topk(2).indices
    plain = load_examples("digits", subject=load_model("brittle-digits"), limit=40)
    wanted = torch.as_tensor(plain.labels)
    scores = logits_of(subject.module, examples.inputs)
    assert (scores.argmax(1) == 0).tolist() == (best == wanted[:, None]).any(1).tolist()
    assert task_of(subject.module).words.startswith("whether the labelled one is among the 2")


def test_a_label_is_wanted_instead_of_what_float_gives() -> None:
    run = Counted()
    task = AgainstFloat(Values(0.5), run)
    assert (task.labelled, task.decisions) == (False, ("as in float", "otherwise"))
    wanted = X.sum(1) + torch.tensor([0.0, 2.0, 0.0, -2.0])
    task.tell(X, wanted[:, None])
    assert (task.labelled, task.decisions) == (True, ("as labelled", "otherwise"))
    assert task.words == "whether every number is within 0.5 of the labelled one"
    assert task.scores(X.sum(1), X).argmax(1).tolist() == [0, 1, 0, 1]
    assert task.shares.tolist() == [1, 0, 1, 0]
    # Of a changed example nothing is known, until it is said what it was made of.
    assert task.scores(X.sum(1) + 0.03, X + 0.01).argmax(1).tolist() == [0, 0, 0, 0]
    task.forget()
    task.same(X + 0.01, X)
    assert task.scores(X.sum(1) + 0.03, X + 0.01).argmax(1).tolist() == [0, 1, 0, 1]


def test_one_example_with_two_labels_is_refused() -> None:
    task = AgainstFloat(Values(0.5), Counted())
    twice = X[[0, 1, 0]]
    task.tell(twice, torch.tensor([1.0, 2.0, 1.0]))
    with pytest.raises(InputError, match="the same but for their labels"):
        task.tell(twice, torch.tensor([1.0, 2.0, 3.0]))


def test_what_a_network_wants_of_its_labels() -> None:
    output = torch.zeros(1, 3)
    assert Labels(0.5).told(output, torch.tensor([1, 0, 1])).tolist() == [[1, -1, 1]]
    with pytest.raises(InputError, match="ones and zeros"):
        Labels(0.5).told(output, torch.tensor([1, 0, 2]))
    with pytest.raises(InputError, match="a label has 2 numbers, but the model gives 3"):
        Embedding(0.9).told(output, torch.tensor([1.0, 0.0]))
