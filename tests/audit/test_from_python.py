from collections import UserDict
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from bitcliff.audit.from_python import own_examples, own_subject
from bitcliff.errors import InputError

X, Y = torch.arange(12.0).view(6, 2), torch.tensor([0, 1, 2, 0, 1, 2])


@pytest.mark.parametrize("batch_size", [1, 4, 6])
def test_a_loader_is_read_to_its_end(batch_size: int) -> None:
    examples = own_examples(DataLoader(TensorDataset(X, Y), batch_size))
    assert isinstance(examples.inputs, torch.Tensor)
    assert torch.equal(examples.inputs, X)
    assert examples.labels is not None
    assert torch.equal(examples.labels, Y)
    assert examples.ids == ("0", "1", "2", "3", "4", "5")
    assert (len(examples), examples.n_available, examples.name) == (6, 6, "DataLoader")


@pytest.mark.parametrize(
    "data",
    [X, [X], [(X,)], [[X]], [(X[:4],), (X[4:],)], iter([X[:1], X[1:]])],
    ids=["tensor", "list", "tuple", "nested", "batches", "iterator"],
)
def test_labels_may_be_missing(data: Any) -> None:
    examples = own_examples(data)
    assert examples.labels is None
    assert isinstance(examples.inputs, torch.Tensor)
    assert torch.equal(examples.inputs, X)


@pytest.mark.parametrize("kind", [dict, UserDict])
@pytest.mark.parametrize("key", ["labels", "label", None])
def test_named_tensors_keep_their_names(kind: Any, key: str | None) -> None:
    def batch(rows: slice) -> Any:
        named = {"a": X[rows], "b": Y[rows]}
        return (kind(named), Y[rows]) if key is None else kind({**named, key: Y[rows]})

    examples = own_examples([batch(slice(0, 4)), batch(slice(4, 6))])
    assert isinstance(examples.inputs, dict)
    assert examples.inputs.keys() == {"a", "b"}
    assert torch.equal(examples.inputs["a"], X)
    assert examples.labels is not None
    assert torch.equal(examples.labels, Y)
    assert len(examples) == 6


def test_the_hash_is_of_inputs_and_labels_not_of_batches() -> None:
    first = own_examples([(X, Y)]).sha256
    assert own_examples([(X[:3], Y[:3]), (X[3:], Y[3:])]).sha256 == first
    others: list[Any] = [
        [(X, Y.flip(0))],
        [X],
        [(X + 1, Y)],
        [(X.view(6, 1, 2), Y)],
        [(X.double(), Y)],
    ]
    assert len({first, *(own_examples(data).sha256 for data in others)}) == 6


BAD: list[tuple[Any, str]] = [
    ([], "empty"),
    ([(X, Y), X], "labels in some batches and none in others"),
    (["text"], "yields str; it must yield batches of tensors"),
    ([X.numpy()], "yields ndarray"),
    ([({}, Y)], "must yield batches of tensors"),
    ([{"a": X, "n": 3}], "must yield batches of tensors"),
    ([torch.tensor(3.0)], "must yield batches of tensors"),
    ([(X, Y, Y)], r"yields 3 things a batch"),
    ([(X, Y[:4])], r"labels torch.int64 \(4,\) for 6 examples"),
    ([(X, Y.float())], "labels torch.float32"),
    ([(X, nn.functional.one_hot(Y))], r"labels torch.int64 \(6, 3\)"),
    ([(X, ["cat"] * 6)], "labels of type list"),
    ([(X[i], Y[i]) for i in range(6)], r"labels torch.int64 \(\) for 2 examples"),
    ([X, X[:, :1]], r"different shapes or types: float32 \(6, 2\), float32 \(6, 1\)"),
    ([X, X.double()], "different shapes or types"),
    ([X, {"a": X}], "tensors in some batches and mappings in others"),
    ([{"a": X}, {"b": X}], "same named tensors"),
    ([{"a": X, "b": X[:3]}], "different batch size"),
    ([X / 0.0], "NaN or infinity"),
    ([{"a": Y, "b": X.log()}], "NaN or infinity"),
]


@pytest.mark.parametrize(("data", "words"), BAD, ids=[words for _, words in BAD])
def test_data_that_will_not_do_is_refused_in_a_line(data: Any, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        own_examples(data)
    assert "\n" not in str(caught.value)


def test_a_model_is_taken_as_it_is() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).eval()
    subject = own_subject(model)
    assert subject.module is model
    assert all(p.requires_grad for p in model.parameters())
    assert (subject.name, subject.runs_user_code) == ("Sequential", True)
    before = subject.weights_sha256
    with torch.no_grad():
        model.get_buffer("1.running_mean")[0] = 1e-3
    assert own_subject(model).weights_sha256 != before
