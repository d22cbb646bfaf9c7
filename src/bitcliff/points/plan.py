"""What discovery finds: the points, in the order in which the network reaches them."""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from bitcliff.errors import InputError
from bitcliff.points.layout import Layout

KEPT_IN_FLOAT = "kept in float by the plan"

Where = Literal["inputs", "outputs"]


@dataclass(frozen=True)
class Selection:
    """Which of the points seen are to be quantized.

    Attributes:
        where: "inputs" of weighted operations and matrix products, or "outputs" of activation
            functions (the paper's other reading).
        include, exclude: shell-style patterns on point names; no include pattern means all.
        include_stem: quantize the picture itself too, where the network first takes it in.
        in_float: exact names of points that a plan keeps in float.
    """

    where: Where = "inputs"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    include_stem: bool = False
    in_float: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.where not in ("inputs", "outputs"):
            raise InputError(f"--points {self.where!r} is not known: use inputs or outputs")

    def reason_to_leave_out(self, name: str, is_stem: bool) -> str:
        """Why a point is not quantized; empty when it is."""
        if name in self.in_float:
            return KEPT_IN_FLOAT
        if is_stem and not self.include_stem:
            return "stem input: the picture itself"
        if self.include and not any(fnmatchcase(name, pattern) for pattern in self.include):
            return "not named by --include"
        if any(fnmatchcase(name, pattern) for pattern in self.exclude):
            return "named by --exclude"
        return ""


@dataclass(frozen=True)
class Point:
    """A tensor that a runtime would quantize.

    Attributes:
        name: the module's path, with `@2` on its second use and `:role` where the operation has
            several activations.
        kind: the operation, such as "conv2d", "linear", "matmul", "attention".
        site: the call it belongs to; role: which operand of it.
        layout: where in the tensor each example lies.
        shape: one example's values, without the batch dimension.
        macs: multiply-adds of the call, one example.
        reason: why it is left out; empty for a point that is quantized.
    """

    name: str
    kind: str
    site: str
    role: str
    layout: Layout
    shape: tuple[int, ...]
    macs: int
    reason: str = ""

    @property
    def quantized(self) -> bool:
        return not self.reason


@dataclass(frozen=True)
class Missed:
    """Something a runtime would quantize, seen in the network, that is not covered, and why."""

    name: str
    kind: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """All that discovery saw.

    Attributes:
        seen: every point, quantized or left out, in order of execution.
        weights: for each call seen, the roles whose operand is a weight, constant over the inputs.
        missed: what is not covered; empty for a complete plan.
        where: which reading of "point" was taken.
    """

    seen: tuple[Point, ...]
    weights: dict[str, tuple[str, ...]]
    missed: tuple[Missed, ...]
    where: Where
    points: tuple[Point, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", tuple(p for p in self.seen if p.quantized))

    def __len__(self) -> int:
        return len(self.points)
