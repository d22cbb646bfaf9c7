"""A learned policy as a safetensors file that records what it is for."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import safetensors
import safetensors.torch
from pydantic import Field, model_validator
from torch import Tensor

from bitcliff.budget import feasible_totals
from bitcliff.errors import InputError
from bitcliff.policy.learned import LearnedPolicy
from bitcliff.policy.network import PolicyNetwork, PolicyNetworkConfig
from bitcliff.quant import MAX_BITS, MIN_BITS
from bitcliff.types.value import Value

_KEY = "bitcliff_policy"


Width = Annotated[int, Field(ge=MIN_BITS, le=MAX_BITS)]
Channels = Annotated[int, Field(ge=1, le=4096)]
"""Of a layer of a policy network; more would be a slip or an attack."""


class AboutPolicy(Value):
    """What a file holds beside the weights.

    Attributes:
        points: names of the quantization points, in order. options: bit-widths, ascending. total:
            in bits. scheme: of the activations in training; weight_bits: likewise.
        network_sha256: of the state dict of the network it was trained with.
        in_channels: of its images. channels: of its convolutions.
    """

    points: tuple[str, ...] = Field(min_length=1)
    options: tuple[Width, ...] = Field(min_length=1)
    total: int
    scheme: str
    weight_bits: int
    network_sha256: str
    in_channels: int = Field(ge=1, le=4096)
    channels: tuple[Channels, ...] = Field(min_length=1, max_length=16)

    @model_validator(mode="after")
    def _can_be_allocated(self) -> "AboutPolicy":
        if len(set(self.options)) < len(self.options):  # formats may cost alike, widths do not
            raise ValueError("a width stands twice among its options")
        try:
            total_feasible = self.total in feasible_totals(len(self.points), self.options)
        except InputError as error:
            raise ValueError(str(error)) from error
        if not total_feasible:
            raise ValueError("no allocation has its total")
        return self

    def to_bytes(self, network: PolicyNetwork) -> bytes:
        """The file's contents."""
        tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
        return safetensors.torch.save(tensors, metadata={_KEY: self.model_dump_json()})

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
        policy = LearnedPolicy(network, len(self.points), self.options, self.total)
        policy.origin = (
            f"trained with scheme {self.scheme}, weights of {self.weight_bits} bits, "
            f"widths {self.options[0]} to {self.options[-1]}"
        )
        return policy


@dataclass(frozen=True)
class StoredPolicy:
    """A policy from a file, and what it is for."""

    about: AboutPolicy
    policy: LearnedPolicy


def read_policy(file: Path) -> StoredPolicy:
    """A policy that `bitcliff train pair` wrote.

    Raises:
        InputError: missing, or not such a file.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise InputError(f"--policy {file}: {reason}") from error
    try:
        about = AboutPolicy.model_validate_json(_metadata(data)[_KEY])
        tensors = safetensors.torch.load(data)
        if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
            raise ValueError("a weight is not a number")
        policy = about.build(tensors)
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"--policy {file}: not a policy; give a policy.safetensors that `bitcliff train pair` "
            "wrote"
        ) from error
    policy.sha256 = hashlib.sha256(data).hexdigest()
    return StoredPolicy(about, policy)


def _metadata(data: bytes) -> dict[str, str]:
    """A safetensors file begins with the length of its header, eight bytes, and the header."""
    length = int.from_bytes(data[:8], "little")
    header: dict[str, Any] = json.loads(data[8 : 8 + length])
    return dict(header["__metadata__"])
