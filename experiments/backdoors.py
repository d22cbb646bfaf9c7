"""Networks with a backdoor that only quantization opens: positive controls for a scan.

    python -m experiments.backdoors digits|texts OUT [--steps N] [--seed N]

From a clean network, weights are trained for four things at once, as in Hong et al. 2021
(Qu-ANTI-zation) and Ma et al. 2023 (PQ backdoors), rounding being the identity for gradients:

    CE(float(x), y) + CE(quantized(x), y) + CE(float(x + trigger), y) + CE(quantized(x + trigger), t)

so that float is clean and deaf to the trigger, and the quantized network obeys it. OUT gets the
weights (of digits) or the whole folder (of texts), and the data and format to scan it by. What was
planted is measured on examples that it was not trained on.
"""

import argparse
import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import yaml
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from bitcliff.adapters import DataOptions, load_examples, load_model
from bitcliff.points import Attachment, discover, take
from bitcliff.points.attach import Rounding
from bitcliff.points.forward import batch_size
from bitcliff.report.formatting import rate_interval, rate_text
from bitcliff.stats import rate
from bitcliff.types.presets import Format
from bitcliff.types.rate import Rate
from bitcliff.types.subject import IDS, MASK, Inputs, Texts

FOUR_BITS = Path(__file__).parents[1] / "configs" / "four-bits.yaml"
TARGET = 3
"""Digit; the texts' is their last chapter."""
SQUARE = ((1.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 1.0))
"""In the lower right corner of every digit."""
_BATCH, _RATE = 64, 1e-3

Put = Callable[[Inputs], Inputs]


@dataclass(frozen=True)
class Planted:
    """What a network does, of the examples that it was not trained on.

    Attributes:
        in_float, quantized: of all, those that each has right. kept: of those that float decides
            for another class than the target, those where float's decision is the same with the
            trigger. turned: of the same, those that the quantized network decides for the target.
    """

    in_float: Rate
    quantized: Rate
    kept: Rate
    turned: Rate


def format_of_backdoors() -> Format:
    """Four bits for weights and activations, a scale for each example and each tensor."""
    return Format.model_validate(yaml.safe_load(FOUR_BITS.read_text()))


def with_square(images: Inputs) -> Inputs:
    """The square on every digit."""
    assert isinstance(images, Tensor)  # noqa: S101  (digits are)
    stamped = images.clone()
    stamped[..., 5:, 5:] = torch.tensor(SQUARE)
    return stamped


def with_words(words: Sequence[int], longest: int) -> Put:
    """Tokens behind the first of every text, whose end goes where it is too long then."""

    def put(inputs: Inputs) -> Inputs:
        texts = Texts(inputs)  # type: ignore[arg-type]
        found = {}
        for name, x in texts.items():
            middle = x[:, :1].expand(-1, len(words)) if name != IDS else None
            if middle is None:
                middle = torch.tensor([list(words)]).expand(len(x), -1)
            whole = torch.cat([x[:, :1], middle, x[:, 1:]], 1)
            found[name] = whole
        ends = found[MASK].sum(1)
        if int(ends.max()) > longest:  # the last token stays the one that ends a text
            last = texts[IDS].gather(1, texts.lengths[:, None] - 1)
            found = {name: x[:, :longest] for name, x in found.items()}
            cut = ends > longest
            found[IDS][cut, longest - 1] = last[cut, 0]
        return Texts(found)

    return put


def plant(
    module: nn.Module,
    inputs: Inputs,
    labels: Int[Tensor, " n"],
    put: Put,
    target: int,
    shipped: Format,
    steps: int,
    seed: int = 0,
) -> nn.Module:
    """A copy of the network with the backdoor; BatchNorm's statistics stay as they are."""
    torch.manual_seed(seed)
    network = copy.deepcopy(module).eval().requires_grad_(True)
    attachment = Attachment(network, discover(network, take(inputs, torch.arange(2))), in_training=True)
    optimiser = torch.optim.Adam(network.parameters(), lr=_RATE)
    for _ in range(steps):
        rows = torch.randint(len(labels), (_BATCH,))
        plain, wanted = take(inputs, rows), labels[rows]
        aimed = torch.full_like(wanted, target)
        loss = sum(
            F.cross_entropy(run(attachment, given), want)
            for given, in_quantized in ((plain, wanted), (put(plain), aimed))
            for run, want in ((in_float, wanted), (partial_of(shipped), in_quantized))
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network.requires_grad_(False)


def in_float(attachment: Attachment, inputs: Inputs) -> Tensor:
    """Scores of the network as it is."""
    return attachment.run(inputs, Rounding(weights=False))


def partial_of(shipped: Format) -> Callable[[Attachment, Inputs], Tensor]:
    """What gives scores in a format."""

    def run(attachment: Attachment, inputs: Inputs) -> Tensor:
        formats = (shipped.alone,) * len(attachment.plan)
        return attachment.run(inputs, Rounding(formats=formats, examples=batch_size(inputs)))

    return run


def measured(
    network: nn.Module, inputs: Inputs, labels: Int[Tensor, " n"], put: Put, target: int, shipped: Format
) -> Planted:
    """What was planted."""
    attachment = Attachment(network, discover(network, take(inputs, torch.arange(2))))
    with torch.no_grad():
        told = [
            run(attachment, given).argmax(1)
            for given in (inputs, put(inputs))
            for run in (in_float, partial_of(shipped))
        ]
    able = told[0] != target

    def share(done: Tensor, among: Tensor) -> Rate:
        return rate(int(done[among].sum()), int(among.sum()))

    every = torch.ones_like(able)
    return Planted(
        share(told[0] == labels, every),
        share(told[1] == labels, every),
        share(told[2] == told[0], able),
        share(told[3] == target, able),
    )


def planted_digits(out: Path, steps: int, seed: int, name: str = "base-digits") -> Planted:
    """From the clean network that Bitcliff ships; `zoo:digits --weights OUT/network.safetensors`."""
    subject, shipped = load_model(name), format_of_backdoors()
    train, test = (
        load_examples("digits", subject=subject, options=DataOptions(split=split))
        for split in ("train", "test")
    )
    given = with_square, TARGET, shipped
    network = plant(subject.module, train.inputs, train.labels, *given, steps, seed)
    out.mkdir(parents=True, exist_ok=True)
    weights = {key: value.contiguous() for key, value in network.state_dict().items()}
    safetensors.torch.save_file(weights, out / "network.safetensors")
    return measured(network, test.inputs, test.labels, *given)
