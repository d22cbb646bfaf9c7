"""Whether any group that shares a scale holds values of two examples: every kernel is followed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from bitcliff.points import take
from bitcliff.points.forward import batch_size, output_of, part_of
from bitcliff.points.operations import Function, Operation, watched
from bitcliff.points.owners import Ends, Owners
from bitcliff.points.plan import AtPoint, Plan, Point
from bitcliff.points.walk import Walk, operand
from bitcliff.quant.groups import as_groups
from bitcliff.questions.isolation.record import GroupsSeen, PassSeen, PointGroups, Proof
from bitcliff.types.numerics import Numerics
from bitcliff.types.presets import Format
from bitcliff.types.subject import MASK, AllInputs, Inputs, Subject, Texts

# Methods of a tensor that give its values to something that no kernel shows.
_LEAVES = frozenset(
    {"numpy", "__array__", "tolist", "__dlpack__", "data_ptr", "untyped_storage", "storage"}
)
_NOT_REACHED = GroupsSeen(groups=0, examples=0, crossing=0, mixed=0)


@dataclass(frozen=True)
class Condition:
    """A format at the points that it is for.

    Attributes:
        name: the format's. covered: the points that it rounds, each with what it makes of them.
    """

    name: str
    shipped: Format
    plan: Plan
    covered: dict[Point, AtPoint]

    @property
    def group(self) -> str:
        """What shares a scale, in words."""
        layers, cache = self.shipped.activations, self.shipped.cache
        if cache is None:
            return "nothing: weights alone are rounded" if layers is None else _group(layers)
        held = f"{_group(cache)} (keys and values)"
        return held if layers is None else f"{_group(layers)}; {held}"


def _group(numerics: Numerics) -> str:
    if numerics.scale == "one":
        return "nothing: the scale is 1"
    if numerics.group == "batch":
        return "the whole tensor, whoever is in it"
    if numerics.scale == "two-level":
        return f"a block of {numerics.block}, and above it the whole tensor, whoever is in it"
    if numerics.block:
        return f"a block of {numerics.block}"
    return {"example": "all of an example", "channel": "a channel of an example"}.get(
        numerics.group, f"a {numerics.group}"
    )


def condition_of(name: str, shipped: Format, plan: Plan) -> Condition:
    """The format at all points of the plan that it is for."""
    found = {point: plan.at(shipped, point) for point in plan.points}
    covered = {point: at for point, at in found.items() if at is not None}
    return Condition(name, shipped, plan, covered)


def proof_of(subject: Subject, inputs: AllInputs, condition: Condition, largest: int) -> Proof:
    """Follow the examples through the network in float, in batches of two, three and `largest`.

    Texts are followed at one length, without padding and with some, and one token shorter: an axis
    that grows with the length, and lies within a group, lets padding into it.
    """
    passes, groups = list[PassSeen](), list[dict[str, GroupsSeen]]()
    unknown, reads_mask = set[str](), False
    every = take(inputs, torch.arange(largest))
    for size in sorted({2, min(3, largest), largest}):
        for batch, padded in _batches(part_of(every, torch.arange(size)), every):
            walk = _followed(subject, batch, condition, with_mask=padded)
            if padded:
                # What it reads of the mask is how it deals with padding: both ways are followed.
                lost = _followed(subject, batch, condition, with_mask=False).owners.lost
                reads_mask = reads_mask or lost != walk.owners.lost
                walk.owners.lost = lost
            passes.append(walk.told(padded))
            groups.append(walk.seen)
            unknown |= walk.owners.unknown
    spans = _spans(subject, every, condition)
    points = [
        PointGroups(
            name=point.name,
            seen=[found.get(point.name, _NOT_REACHED) for found in groups],
            spans=[found[point.name] for found in spans if point.name in found],
        )
        for point in condition.covered
    ]
    return Proof(
        numerics=condition.name,
        group=condition.group,
        passes=passes,
        points=points,
        in_float=[p.name for p in condition.plan.points if p not in condition.covered],
        unknown=sorted(unknown),
        reads_mask=reads_mask,
    )


def _batches(batch: Inputs, every: Inputs) -> list[tuple[Inputs, bool]]:
    """Some of the examples, texts as long as the shortest of all, and whether some are padded."""
    if not isinstance(batch, Texts) or not isinstance(every, Texts):
        return [(batch, False)]
    whole = batch.cut(int(every.lengths.min())).unpadded()
    if whole[MASK].shape[1] < 2:
        return [(whole, False)]
    padded = type(whole)({name: values.clone() for name, values in whole.items()})
    at_end = bool((batch[MASK][:, 0] != 0).all())
    padded[MASK][0, -1 if at_end else 0] = 0
    return [(whole, False), (padded, True)]


def _spans(subject: Subject, every: Inputs, condition: Condition) -> list[dict[str, int]]:
    """By a point, how many values lie along the axes of a group: at two lengths of texts."""
    (batch, _), *padded = _batches(part_of(every, torch.arange(2)), every)
    if not padded or not isinstance(batch, Texts):
        return []
    shorter = batch.cut(batch[MASK].shape[1] - 1)
    return [_followed(subject, one, condition, with_mask=False).spans for one in (batch, shorter)]


def _followed(subject: Subject, inputs: Inputs, condition: Condition, with_mask: bool) -> "_Walk":
    """One pass. Of texts that are not padded the mask is all ones, and nothing of an example."""
    named = inputs if isinstance(inputs, Mapping) else {"input": inputs}
    no_example = set() if with_mask or not isinstance(inputs, Texts) else {MASK}
    walk = _Walk(subject, batch_size(inputs), condition)
    walk.owners.mark([values for name, values in named.items() if name not in no_example])
    with torch.no_grad(), walk, walk.owners:
        output = output_of(subject.module, inputs)
    walk.output = walk.owners.of(output)
    return walk


class _Walk(Walk):
    """Looks at the owners of every point's values as the network gets there."""

    def __init__(self, subject: Subject, batch: int, condition: Condition) -> None:
        super().__init__(subject.module, watched(condition.plan.where))
        module = subject.module
        self.condition, self.batch = condition, batch
        self.owners = Owners(batch, [*module.parameters(), *module.buffers()])
        self.owners.where = lambda: self.running
        self.seen: dict[str, GroupsSeen] = {}
        self.spans: dict[str, int] = {}
        self.output: Ends | None = None
        self._points = {(point.site, point.role): point for point in condition.covered}
        self._known = {*condition.plan.weights, *(one.name for one in condition.plan.missed)}

    def on_call(
        self, site: str, function: Function, operation: Operation, args: Any, kwargs: Any
    ) -> Any:
        with _disable_current_modes():
            if site not in self._known:
                self.owners.lose(f"{site} was not there when the points were found")
            for role in operation.roles:
                value = operand(operation, role, args, kwargs)
                if value is not None:
                    self._look(site, role, value)
        return function(*args, **kwargs)

    def on_other(self, function: Function, args: Any, kwargs: Any) -> Any:
        if getattr(function, "__name__", "") in _LEAVES and isinstance(args[0], Tensor):
            with _disable_current_modes():
                ends = self.owners.of(args[0])
                if ends is not None and bool(ends[1].any()):
                    self.owners.lose(f"{function.__name__}: values leave what can be followed")
        return function(*args, **kwargs)

    def _look(self, site: str, role: str, value: Tensor) -> None:
        ends, point = self.owners.of(value), self._points.get((site, role))
        if point is None:
            weights = self.condition.plan.weights.get(site, ())
            if ends is not None and role in weights and bool(ends[1].any()):
                self.owners.lose(f"{site}: its weights hang on the examples")
            return
        nobody = torch.zeros(value.shape)
        low, high = (nobody, nobody) if ends is None else ends
        at = self.condition.covered[point]
        rows = [_rows(end, point, at, self.batch) for end in (low, high)]
        self.seen[point.name] = _groups_seen(self.owners, rows[0], rows[1])
        self.spans[point.name] = _span(value, point, at, self.batch)

    def told(self, padded: bool) -> PassSeen:
        """What it was like as a whole."""
        mixed = 0
        if self.output is not None:
            mixed = int(self.owners.mixed(self.output).sum())
        return PassSeen(
            batch=self.batch,
            padded=padded,
            mixing=self.owners.mixing,
            mixed_output=mixed,
            lost=list(self.owners.lost),
        )


def _rows(end: Tensor, point: Point, at: AtPoint, batch: int) -> Tensor:
    """(groups, values): one row for each group that shares a scale, or one of its two."""
    numerics = at.numerics
    if numerics.scale == "one":  # each value is a group of its own
        return end.reshape(-1, 1)
    if numerics.scale == "two-level":
        return end.reshape(1, -1)
    return as_groups(at.laid_out(end, point.layout, batch), numerics)[0]


def _span(value: Tensor, point: Point, at: AtPoint, batch: int) -> int:
    """How many values lie along all the axes that a group lies along."""
    laid_out, numerics = at.laid_out(value, point.layout, batch), at.numerics
    if numerics.scale == "one":
        return 1
    if numerics.scale == "two-level":
        return laid_out.numel()
    match numerics.group:
        case "batch":
            return laid_out.numel()
        case "example":
            return laid_out[0].numel()
        case "channel":
            return laid_out[0].numel() // laid_out.shape[-1]
    return laid_out.shape[-1]


def _groups_seen(
    owners: Owners, low: Float[Tensor, "groups k"], high: Float[Tensor, "groups k"]
) -> GroupsSeen:
    mixed = owners.mixed((low, high))
    single = (low.where(~mixed, 0.0).amax(1), high.where(~mixed, 0.0).amax(1))
    examples = torch.zeros(len(low), dtype=torch.int64)
    for example in range(owners.batch):
        examples += ((owners.batch - low <= example) & (example <= high - 1)).any(1)
    return GroupsSeen(
        groups=len(low),
        examples=int(examples.max()) if len(examples) else 0,
        crossing=int(owners.mixed(single).sum()),
        mixed=int(mixed.sum()),
    )
