"""Values with a known defect, a network that hands them to its points, and its context."""

import math

import torch
from torch import Tensor, nn

from bitcliff.audit import AssessSettings, Audit
from bitcliff.questions.activations.observe import observe_activations
from bitcliff.questions.activations.record import Activations, PointActivations
from bitcliff.questions.activations.statistics import figures
from bitcliff.questions.context import Context, Side
from bitcliff.record import Record
from bitcliff.types.subject import Examples, Inputs, Subject

SIDE = 64


class TwoPoints(nn.Module):
    """Pictures pass unchanged to `middle`, which mixes channels by `mix`; `head` gets the result.

    Points: middle and head; the stem's input is the picture itself and no point.
    """

    def __init__(self, mix: list[list[float]]) -> None:
        super().__init__()
        weight = torch.tensor(mix)[:, :, None, None]
        outputs, inputs = weight.shape[:2]
        self.stem = nn.Conv2d(inputs, inputs, 1, bias=False)
        self.middle = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.head = nn.Conv2d(outputs, 3, SIDE, bias=False)
        with torch.no_grad():
            self.stem.weight.copy_(torch.eye(inputs)[:, :, None, None])
            self.middle.weight.copy_(weight)
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.middle(self.stem(x))).flatten(1)  # type: ignore[no-any-return]


def shuffled(values: Tensor, examples: int = 6) -> Tensor:
    """Pictures (examples, 1, 64, 64) of these values, in another order each."""
    drawn = torch.Generator().manual_seed(0)
    orders = [torch.randperm(len(values), generator=drawn) for _ in range(examples)]
    return torch.stack([values[order] for order in orders]).view(examples, 1, SIDE, SIDE)


def normal() -> Tensor:
    """4096 values that a normal distribution's quantiles are."""
    levels = (torch.arange(SIDE**2, dtype=torch.float64) + 0.5) / SIDE**2
    return (torch.erfinv(2 * levels - 1) * math.sqrt(2)).float()


def long_tail() -> Tensor:
    """Log-normal: most values lie near zero, and the largest is not alone."""
    return (1.5 * normal()).exp()


def one_outlier() -> Tensor:
    values = normal()
    values[2000] = 300.0
    return values


def offset() -> Tensor:
    """100 to 101: a grid that holds zero spends 99 % of itself on nothing."""
    return torch.linspace(100.0, 101.0, SIDE**2)


def context_of(
    module: nn.Module | Subject,
    inputs: Inputs | Examples,
    bits: dict[str, Tensor],
    record: Record,
    batch_size: int | None = None,
    scheme: str = "onnx",
) -> Context:
    """A context of planted policies; `record` is a stand-in that measuring does not look at."""
    settings = AssessSettings(scheme=scheme, batch_size=batch_size)
    if not isinstance(inputs, Examples):
        n = len(next(iter(bits.values())))
        ids = tuple(f"example-{place}" for place in range(n))
        inputs = Examples("planted", inputs, None, ids, n, "0" * 64)
    audit = Audit(module, inputs, settings=settings)
    return Context(record, tuple(bits), Side("test", audit.prepared, bits))


def measured(context: Context) -> Activations:
    """The figures of what is observed."""
    return figures(context.record, observe_activations(context))


def points_of(context: Context) -> list[PointActivations]:
    """Those of the first policy."""
    return measured(context).policies[0].points
