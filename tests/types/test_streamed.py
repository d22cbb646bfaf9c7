import threading

import pytest
import torch
from torch import Tensor

from bitcliff.errors import InputError
from bitcliff.types.streamed import Streamed
from bitcliff.types.subject import examples_sha256

X = torch.randn(150, 3, 4, generator=torch.Generator().manual_seed(0))


def streamed(asked: list[int] | None = None) -> Streamed:
    lock = threading.Lock()

    def read(place: int) -> Tensor:
        if asked is not None:
            with lock:
                asked.append(place)
        return X[place]

    return Streamed(read, torch.arange(150), (3, 4))


def test_it_gives_what_a_tensor_would() -> None:
    index = torch.tensor([149, 3, 3, 0])
    assert torch.equal(streamed().at(index), X[index])
    assert torch.equal(torch.cat(list(streamed().in_parts())), X)
    assert torch.equal(streamed().of(index).at(torch.tensor([3, 0])), X[[0, 149]])
    twice = streamed().changed(lambda x: x + 1).changed(lambda x: 2 * x)
    assert torch.equal(twice.of(index).at(torch.tensor([1])), 2 * (X[[3]] + 1))
    assert (len(streamed()), streamed().shape) == (150, (150, 3, 4))
    assert streamed().described.shape == X.shape
    assert list(streamed().in_turn([])) == []


def test_one_batch_is_read_ahead_and_no_more() -> None:
    asked: list[int] = []
    turns = streamed(asked).in_turn(torch.arange(150).split(10))
    assert asked == []
    for number in (1, 2):
        assert torch.equal(next(turns), X[10 * number - 10 : 10 * number])
        assert set(range(10 * number)) <= set(asked) <= set(range(10 * number + 10))


def test_its_sha256_is_the_tensors() -> None:
    labels = torch.arange(150)
    assert examples_sha256(streamed(), labels) == examples_sha256(X, labels)
    other = streamed().changed(lambda x: -x)
    assert examples_sha256(other, labels) != examples_sha256(X, labels)


def test_what_cannot_be_read_is_said_by_whoever_reads() -> None:
    def read(place: int) -> Tensor:
        if place == 7:
            raise InputError("7.jpg: unreadable")
        return X[place]

    broken = Streamed(read, torch.arange(150), (3, 4))
    assert len(broken.at(torch.arange(7))) == 7
    with pytest.raises(InputError, match=r"7\.jpg: unreadable"):
        list(broken.in_parts())
