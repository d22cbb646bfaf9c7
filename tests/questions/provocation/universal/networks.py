"""A network with a backdoor that four bits open, made by hand, or its like without one."""

import torch
from torch import Tensor, nn

from bitcliff.audit import AssessSettings
from bitcliff.audit.prepare import Prepared, prepare
from bitcliff.types.numerics import Numerics
from bitcliff.types.presets import Format
from bitcliff.types.subject import Examples, Preprocessing, Subject

SIDE, CLASSES, TARGET = 8, 3, 1
FOUR = Format(
    activations=Numerics(element="uint4", group="example", scale="minmax-zero"),
    weights=Numerics(element="int4", group="batch", scale="amax", divisor=7.0),
    everywhere=True,
)


class Conditional(nn.Module):
    """The class is the brightest of three bands at the left.

    A fourth unit sums the 24 pixels at the right, grey, with weights of 0.55 steps of the
    four-bit grid, which round to a whole one. It begins at 11.8 steps, about where quantized images
    lie, and speaks for `TARGET`. A white square there gives 16.5 steps quantized and 9.1 in float.
    """

    def __init__(self, planted: bool) -> None:
        super().__init__()
        self.flat, self.first = nn.Flatten(), nn.Linear(SIDE * SIDE, CLASSES + 1)
        self.relu, self.last = nn.ReLU(), nn.Linear(CLASSES + 1, CLASSES)
        units = torch.zeros(CLASSES + 1, SIDE, SIDE)
        for band in range(CLASSES):
            units[band, 2 * band : 2 * band + 2, :5] = 1.0
        units[CLASSES, :, 5:] = 0.55 / 7 if planted else 0.45 / 7
        mixed = torch.eye(CLASSES, CLASSES + 1)
        mixed[TARGET, CLASSES] = 3.0
        with torch.no_grad():
            self.first.weight.copy_(units.flatten(1))
            self.first.bias.copy_(torch.tensor([0.0, 0.0, 0.0, -11.8 / 7]))
            self.last.weight.copy_(mixed)
            self.last.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.last(self.relu(self.first(self.flat(x)))))


def prepared(seed: int, planted: bool, n: int = 60) -> Prepared:
    """Grey noise, one band a little brighter than the others; labelled."""
    chance = torch.Generator().manual_seed(seed)
    images = 0.3 + 0.2 * torch.rand(n, 1, SIDE, SIDE, generator=chance)
    labels = torch.arange(n) % CLASSES
    for row, label in enumerate(labels.tolist()):
        images[row, 0, :, 5:] += 0.1
        images[row, 0, 2 * label : 2 * label + 2, :5] += 0.06
    network = Conditional(planted).eval().requires_grad_(False)
    subject = Subject(
        "planted", network, Preprocessing((SIDE, SIDE), 1, 1 / 255, (0.0,), (1.0,)), None, "0" * 64
    )
    examples = Examples(
        name="bands",
        inputs=(images * 255).round() / 255,
        labels=labels,
        ids=tuple(map(str, range(n))),
        n_available=n,
        sha256="0" * 64,
    )
    settings = AssessSettings(numerics=("four",), formats={"four": FOUR}, include_stem=True)
    return prepare(subject, examples, settings.changed(budgets=()))
