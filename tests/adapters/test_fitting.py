from pathlib import Path

import pytest
import torch
from torch import nn

from bitcliff.adapters.fitting import build_fitting, load_weights
from bitcliff.adapters.weights import Weights
from bitcliff.errors import InputError
from bitcliff.types.options import ModelOptions


class Net(nn.Module):
    def __init__(self, outputs: int | None = None) -> None:
        super().__init__()
        self.body, self.norm = nn.Linear(4, 6), nn.BatchNorm1d(6)
        self.head = nn.Linear(6, outputs or 10)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight


def weights_of(state: dict[str, torch.Tensor]) -> Weights:
    return Weights(Path("w.pt"), state, "0" * 64)


def test_the_number_of_outputs_follows_the_weights() -> None:
    given = Net(7).state_dict()
    built = build_fitting(Net, lambda _: "head.weight", weights_of(given), ModelOptions(), "net")
    assert all(torch.equal(value, given[key]) for key, value in built.state_dict().items())


def test_a_number_of_outputs_that_was_asked_for_is_kept() -> None:
    options = ModelOptions(num_classes=5)
    with pytest.raises(InputError, match=r"head\.weight has shape 7x6, the model's has 5x6"):
        build_fitting(Net, lambda _: "head.weight", weights_of(Net(7).state_dict()), options, "net")


def test_another_architecture_is_counted_and_its_first_keys_named() -> None:
    state = Net().state_dict()
    del state["body.weight"], state["body.bias"]
    state["extra"] = torch.zeros(1)
    with pytest.raises(InputError) as caught:
        load_weights(Net(), weights_of(state), "timm:net")
    assert str(caught.value) == (
        "w.pt: weights of another architecture than timm:net: 2 keys missing (first: body.weight), "
        "1 keys unexpected (first: extra)"
    )


def test_integers_for_floats_are_refused() -> None:
    state = Net().state_dict()
    state["body.weight"] = state["body.weight"].view(torch.int32)  # what a flipped header gives
    with pytest.raises(InputError, match=r"body\.weight is torch\.int32"):
        load_weights(Net(), weights_of(state), "net")


def test_old_files_without_batch_counters_load() -> None:
    state = Net().state_dict()
    del state["norm.num_batches_tracked"]
    module = Net()
    load_weights(module, weights_of(state), "net")
    assert torch.equal(module.body.weight, state["body.weight"])


def test_a_tied_weight_may_come_once() -> None:
    state = Tied().state_dict()
    del state["second.weight"]
    module = Tied()
    load_weights(module, weights_of(state), "net")
    assert torch.equal(module.second.weight, state["first.weight"])
