"""A learned policy as a safetensors file that says what it is for."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from bitcliff.errors import InputError
from bitcliff.policy.learned import LearnedPolicy
from bitcliff.policy.network import PolicyNetwork, PolicyNetworkConfig

_KEY = "bitcliff_policy"


@dataclass(frozen=True)
class AboutPolicy:
    """What a file holds beside the weights.

    Attributes:
        points: names of the quantization points, in order. options: bit-widths. total: in bits.
        scheme: that of the activations it was trained with. weight_bits: likewise.
        in_channels: of its pictures. channels: of its convolutions.
    """

    points: tuple[str, ...]
    options: tuple[int, ...]
    total: int
    scheme: str
    weight_bits: int
    in_channels: int
    channels: tuple[int, ...]

    def to_bytes(self, network: PolicyNetwork) -> bytes:
        """The file's contents."""
        tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
        return safetensors.torch.save(tensors, metadata={_KEY: json.dumps(asdict(self))})

    def build(self, tensors: Mapping[str, Tensor]) -> LearnedPolicy:
        """The policy with these weights, frozen."""
        network = PolicyNetwork(
            self.in_channels,
            len(self.points),
            len(self.options),
            PolicyNetworkConfig(self.channels),
        )
        network.load_state_dict(dict(tensors))
        network.eval().requires_grad_(False)
        return LearnedPolicy(network, len(self.points), self.options, self.total)


@dataclass(frozen=True)
class StoredPolicy:
    """A policy from a file. `sha256`: of the file."""

    about: AboutPolicy
    policy: LearnedPolicy
    sha256: str


def read_policy(file: Path) -> StoredPolicy:
    """A policy that `bitcliff train pair` wrote.

    Raises:
        InputError: missing, or not such a file.
    """
    try:
        data = file.read_bytes()
        with safetensors.safe_open(file, "pt") as opened:
            described: dict[str, Any] = json.loads((opened.metadata() or {})[_KEY])
        lists = {key: tuple(described[key]) for key in ("points", "options", "channels")}
        about = AboutPolicy(**{**described, **lists})
        policy = about.build(safetensors.torch.load(data))
        return StoredPolicy(about, policy, hashlib.sha256(data).hexdigest())
    except FileNotFoundError as error:
        raise InputError(f"--policy {file}: no such file") from error
    except (safetensors.SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError):
        raise InputError(
            f"--policy {file}: not a policy; give a policy.safetensors that `bitcliff train pair` "
            "wrote"
        ) from None
