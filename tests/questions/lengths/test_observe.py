"""Padding and company that break quantized networks, and a network that padding breaks in float."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from bitcliff.errors import InputError
from bitcliff.questions.lengths.observe import observe_lengths
from bitcliff.questions.lengths.record import Lengths, LengthsObserved
from bitcliff.questions.lengths.statistics import figures, problems
from bitcliff.types.subject import Inputs
from tests.questions.lengths.padded import PEAK, Words, context, texts


def observed(network: nn.Module, loud: bool, *lengths: int) -> tuple[LengthsObserved, Lengths]:
    asked = context(network, *texts(loud), *lengths)
    found = observe_lengths(asked)
    assert not list(problems(asked.record, found))
    return found, figures(asked.record, found)


def beyond(found: Lengths) -> dict[tuple[int, bool], dict[str, tuple[int, int]]]:
    """By length and company, of each quantized network: changed beyond float, of how many."""
    return {
        (one.length, one.beside_longer): {
            name: (rate.k, rate.n)
            for name, way in one.decided.items()
            if (rate := way.beyond_float) is not None
        }
        for one in found.at
    }


def test_loud_padding_changes_what_float_keeps() -> None:
    """All that are padded fall to class 0: 3 of 4 classes, simulated and in the runtime."""
    seen, found = observed(Words(PEAK), False, 4, 9)
    assert seen.own is not None
    assert seen.own.tolist() == sorted([3, 4, 5, 6] * 4)
    assert found.padding == "input_ids 0, attention_mask 0, behind the tokens"
    assert (found.shortest, found.longest, found.unit) == (3, 6, "tokens")
    both = ("uniform-8", "torch-dynamic")
    assert beyond(found) == {
        (4, False): dict.fromkeys(both, (3, 8)),
        (6, False): dict.fromkeys(both, (9, 16)),
        (9, False): dict.fromkeys(both, (12, 16)),
        # Padding is there without company too, and the longest are beside their like.
        (6, True): dict.fromkeys(both, (0, 16)),
    }
    assert [one.padded for one in found.at] == [4, 12, 16, 12]
    assert all(one.decided["float"].changed.k == 0 for one in found.at)
    assert found.right_unpadded["uniform-8"] is not None
    assert found.right_unpadded["uniform-8"].k == 16


def test_loud_companions_change_what_a_runtime_decides_and_nothing_simulated() -> None:
    _, found = observed(Words(0.0), True)
    changed = beyond(found)
    assert (
        changed[(6, False)]
        == changed[(12, False)]
        == {
            "uniform-8": (0, 16),
            "torch-dynamic": (0, 16),
        }
    )
    # The four longest are loud by themselves; of the other 12 a quarter is of class 0 anyway.
    assert changed[(6, True)] == {"uniform-8": (0, 16), "torch-dynamic": (9, 16)}


def test_what_padding_does_in_float_is_not_blamed_on_quantization() -> None:
    _, found = observed(Words(0.0, masked=False), False, 20)
    at = next(one for one in found.at if one.length == 20)
    assert at.decided["float"].changed.k == 12
    rate = at.decided["uniform-8"].beyond_float
    assert rate is not None
    assert (rate.k, rate.n) == (0, 4)
    assert at.decided["uniform-8"].changed.k == 12


def test_what_cannot_be_padded_is_told() -> None:
    images = torch.rand(6, 1, 4, 4)
    network = nn.Sequential(nn.Conv2d(1, 2, 2), nn.Flatten(), nn.Linear(18, 3))
    asked = context(network, images, torch.arange(6) % 3)
    found = observe_lengths(asked)
    assert found.reason == "its inputs are neither token ids (n, tokens) nor sound (n, samples)"
    assert not list(problems(asked.record, found))
    features = torch.rand(6, 4)
    features[0, 3] = 0
    asked = context(nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 3)), features, torch.arange(6) % 3)
    found = observe_lengths(asked)
    assert found.reason is not None
    assert found.reason.startswith("float does not take examples at their own length, such as 3")


def test_a_runtime_of_one_length_is_left_out_and_told() -> None:
    asked = context(Words(PEAK), *texts())
    prepared = asked.test.prepared
    (runtime,) = prepared.runtimes

    def fixed(inputs: Inputs) -> torch.Tensor:
        assert isinstance(inputs, dict)
        if inputs["input_ids"].shape[1] != 6:
            raise InputError("got 3, expected 6")
        return runtime.run(inputs)

    prepared = replace(prepared, runtimes=(replace(runtime, run=fixed),))
    found = observe_lengths(replace(asked, test=replace(asked.test, prepared=prepared)))
    assert found.refused == [
        "torch-dynamic does not take examples at their own length, such as 3 tokens (got 3, "
        "expected 6)"
    ]
    assert all(list(cell.prediction) == ["float", "uniform-8"] for cell in found.cells)
    assert not list(problems(asked.record, found))


def test_sound_is_padded_with_silence_and_lengths_that_are_refused_are_told() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv1d(1, 4, 5), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 3)
    )
    sound = torch.randn(6, 1, 40)
    sound[:3, :, 20:] = 0
    asked = context(network, sound, torch.arange(6) % 3, 10, 80)
    found = observe_lengths(asked)
    assert found.own is not None
    assert found.own.tolist() == [20] * 3 + [40] * 3
    assert found.refused == ["10 samples: no example is as short"]
    assert [cell.length for cell in found.cells] == [None, 40, 80, 40]
    padded = torch.cat([sound, torch.zeros(6, 1, 40)], 2)
    expected = network(padded).argmax(1).numpy()
    assert np.array_equal(found.cells[2].prediction["float"], expected)


@pytest.mark.parametrize("limit", [8, 5])
def test_a_network_that_takes_no_longer_ones(limit: int) -> None:
    class Limited(Words):
        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            if input_ids.shape[1] > limit and not torch.compiler.is_compiling():
                raise IndexError("index out of range in self")
            return super().forward(input_ids, attention_mask)

    if limit < 6:
        with pytest.raises(Exception, match="index out of range"):
            context(Limited(0.0), *texts())
    else:
        found = observe_lengths(context(Limited(0.0), *texts()))
        assert found.refused == ["float at 12 tokens: index out of range in self"]
        assert [cell.length for cell in found.cells] == [None, 6, 6]
