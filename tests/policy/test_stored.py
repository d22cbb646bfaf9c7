"""A policy's file: what it holds is checked before anything is built from it."""

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from bitcliff.errors import InputError
from bitcliff.policy import PolicyNetwork, PolicyNetworkConfig
from bitcliff.policy.stored import AboutPolicy, read_policy

ABOUT: dict[str, Any] = {
    "points": ["a", "b", "c"],
    "options": [3, 4, 5],
    "total": 12,
    "scheme": "paper",
    "weight_bits": 16,
    "network_sha256": "0" * 64,
    "in_channels": 1,
    "channels": [4],
}


def network() -> PolicyNetwork:
    torch.manual_seed(0)
    return PolicyNetwork(1, 3, 3, PolicyNetworkConfig((4,)))


def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "policy.safetensors"
    file.write_bytes(AboutPolicy.model_validate(ABOUT).to_bytes(network()))
    found = read_policy(file)
    assert found.about == AboutPolicy.model_validate(ABOUT)
    assert "scheme paper, weights of 16 bits, widths 3 to 5" in found.policy.origin
    images = torch.rand(4, 1, 6, 6)
    assert torch.equal(found.policy.network(images), network()(images))


@pytest.mark.parametrize(
    "change",
    [
        {"options": [5, 4, 3]},
        {"options": [3, 3, 4]},
        {"options": [-1, 4, 5]},
        {"options": [3, 4, 99]},
        {"options": "345"},
        {"total": 100},
        {"total": "x"},
        {"total": 10.5},
        {"channels": [10**12]},
        {"channels": []},
        {"channels": [0]},
        {"channels": [8]},
        {"in_channels": 3},
        {"points": []},
        {"points": 3},
        {"more": 1},
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    file = tmp_path / "policy.safetensors"
    metadata = {"bitcliff_policy": json.dumps(ABOUT | change)}
    safetensors.torch.save_file(network().state_dict(), file, metadata=metadata)
    with pytest.raises(InputError, match=r"not a policy; give a policy\.safetensors") as caught:
        read_policy(file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"1234567", b"\xff" * 40, b"\x02\0\0\0\0\0\0\0[]"])
def test_what_is_no_such_file_is_refused(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "policy.safetensors"
    file.write_bytes(data)
    with pytest.raises(InputError, match="not a policy"):
        read_policy(file)
    with pytest.raises(InputError, match="no such file"):
        read_policy(tmp_path / "none")


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    broken = network()
    with torch.no_grad():
        broken.head.bias[0] = float("nan")
    file = tmp_path / "policy.safetensors"
    file.write_bytes(AboutPolicy.model_validate(ABOUT).to_bytes(broken))
    with pytest.raises(InputError, match="not a policy"):
        read_policy(file)
