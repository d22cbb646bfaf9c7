"""What an assessment is to measure, and how hard it is to look; the command line maps onto this."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bitcliff.errors import InputError
from bitcliff.points import Plan, Selection, check_names
from bitcliff.quant import MAX_BITS, MIN_BITS, Scheme

DEFAULT_BITS = tuple(range(3, 11))
DEFAULT_BUDGETS = (4.0, 5.5, 7.0)


@dataclass(frozen=True)
class SearchEffort:
    """How hard to look.

    Attributes:
        rounds: linearise-solve-evaluate rounds of the gradient search.
        exchanges: exchange moves tried afterwards, for each example.
        evaluations: evaluations of the evolutionary search, for each example; 0 leaves it out.
        draws: draws of each random policy.
    """

    rounds: int = 12
    exchanges: int = 40
    evaluations: int = 32
    draws: int = 20

    def __post_init__(self) -> None:
        for name in ("rounds", "exchanges", "evaluations"):
            if getattr(self, name) < 0:
                raise InputError(f"--{name} must be 0 or more, not {getattr(self, name)}")
        if self.draws < 1:
            raise InputError(f"--draws must be 1 or more, not {self.draws}")


@dataclass(frozen=True)
class AssessSettings:
    """All settings of one assessment.

    Attributes:
        bits: the widths a policy may choose, increasing, each in 2..16.
        budgets: mean bits a point; each becomes a total of round(mean * L) bits.
        scheme: "paper", "onnx" or "percentile(p)".
        weight_bits: width of the weights, None to leave them in float; per_channel: one scale for
            each output channel.
        uniform: widths of the uniform policies.
        selection: which points.
        margin: what the search pushes away from: the float "prediction", or the "label". "auto" is
            the label where there are labels: an adversary who flips wrong answers too would give
            some back, and the drop would look smaller than it can be made.
        effort: how hard to look. batch_size: examples a forward pass; None picks one by memory.
        floors: by a point's name, the bits that every policy must spend there at least.
        randomised: the runtime draws each example's bits at random, so that nobody picks them: only
            that is measured.
        fold_batchnorm: fold each BatchNorm into the layer before it first, as runtimes do.
        max_drop: percentage points; the verdict's threshold. seed: of every random choice.
    """

    bits: tuple[int, ...] = DEFAULT_BITS
    budgets: tuple[float | int, ...] = DEFAULT_BUDGETS
    scheme: str = "onnx"
    weight_bits: int | None = 16
    per_channel: bool = False
    uniform: tuple[int, ...] = tuple(range(2, 11))
    selection: Selection = field(default_factory=Selection)
    margin: Literal["auto", "prediction", "label"] = "auto"
    effort: SearchEffort = SearchEffort()
    batch_size: int | None = None
    floors: Mapping[str, int] = field(default_factory=dict)
    randomised: bool = False
    fold_batchnorm: bool = False
    max_drop: float | int = 2.0
    seed: int = 0

    def __post_init__(self) -> None:
        _check_widths("--bits", self.bits)
        if self.uniform:
            _check_widths("--uniform", self.uniform)
        if self.weight_bits is not None and not MIN_BITS <= self.weight_bits <= MAX_BITS:
            raise InputError(
                f"--weight-bits must lie in {MIN_BITS}..{MAX_BITS}, not {self.weight_bits}"
            )
        if not self.budgets:
            raise InputError("--budget must name at least one mean of bits per point")
        for mean in self.budgets:
            if not self.bits[0] <= mean <= self.bits[-1]:
                raise InputError(
                    f"--budget {mean:g} cannot be met with bits {self.bits[0]}..{self.bits[-1]}: "
                    f"feasible means are {self.bits[0]} to {self.bits[-1]}"
                )
        # Policies are named by their mean, as `:g` prints it.
        if len({f"{mean:g}" for mean in self.budgets}) != len(self.budgets):
            raise InputError(f"--budget names the same mean twice: {_listed(self.budgets)}")
        for name, floor in self.floors.items():
            if not self.bits[0] <= floor <= self.bits[-1]:
                raise InputError(
                    f"floors: {name} must get {floor} bits or more, but the widths are "
                    f"{self.bits[0]} to {self.bits[-1]}"
                )
        Scheme.parse(self.scheme)
        if self.margin not in ("auto", "prediction", "label"):
            raise InputError(
                f"--margin {self.margin!r} is not known: use auto, prediction or label"
            )
        if self.batch_size is not None and self.batch_size < 1:
            raise InputError(f"--batch-size must be 1 or more, not {self.batch_size}")
        if not (math.isfinite(self.max_drop) and self.max_drop >= 0):
            raise InputError(f"--max-drop must be 0 or more points, not {self.max_drop}")
        if self.seed < 0:
            raise InputError(f"--seed must be 0 or more, not {self.seed}")

    def floors_at(self, plan: Plan) -> list[int] | None:
        """The least width at each of the plan's points; None: every width everywhere.

        Raises:
            InputError: a floor for a point that the model has not, or that is not quantized.
        """
        if not self.floors:
            return None
        check_names("floors", self.floors, plan)
        for point in plan.seen:
            if point.name in self.floors and not point.quantized:
                raise InputError(f"floors: {point.name} is not quantized: {point.reason}")
        return [self.floors.get(point.name, self.bits[0]) for point in plan.points]


def budgets_within(
    bits: tuple[int, ...], means: tuple[float, ...] = DEFAULT_BUDGETS
) -> tuple[float, ...]:
    """Of the default means those that these widths can meet; if none, the middle of the widths."""
    fitting = tuple(mean for mean in means if bits and bits[0] <= mean <= bits[-1])
    return fitting or ((bits[0] + bits[-1]) / 2 if bits else means[0],)


def _check_widths(option: str, widths: tuple[int, ...]) -> None:
    if not all(type(width) is int for width in widths):
        raise InputError(f"{option} must be whole numbers, such as 3:10, not {_listed(widths)}")
    if not widths or list(widths) != sorted(set(widths)):
        raise InputError(
            f"{option} must increase without repeats, such as 3:10, not {_listed(widths)}"
        )
    if widths[0] < MIN_BITS or widths[-1] > MAX_BITS:
        raise InputError(f"{option} must lie in {MIN_BITS}..{MAX_BITS}, not {_listed(widths)}")


def _listed(numbers: tuple[float | int, ...]) -> str:
    return ",".join(f"{number:g}" for number in numbers) or "none"
