"""What every question about a run begins with: the network attached, and what policies allocate."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from bitcliff.audit.evaluator import Evaluator
from bitcliff.audit.prepare import Prepared
from bitcliff.audit.search import generator
from bitcliff.errors import InputError
from bitcliff.questions.halves import Halves, half_size
from bitcliff.record import Outcomes, PolicyResult, Record, Table
from bitcliff.types.runtime import Runtime
from bitcliff.types.settings import CorruptionSettings, LengthSettings
from bitcliff.types.subject import Examples, Subject

Tell = Callable[[str, int, int], None]
"""Told what is being worked on, and work done and in all."""


@dataclass(frozen=True)
class Side:
    """One split of the data.

    Attributes:
        prepared: the network attached to the examples, and what it says of them in float.
        allocations: bits (n, L) of each explained policy, for every example; on the training
            split of none, where nobody asks for them.
    """

    split: Literal["test", "train"]
    prepared: Prepared
    allocations: Mapping[str, Int[Tensor, "n points"]]

    @property
    def evaluator(self) -> Evaluator:
        """The attached network."""
        return self.prepared.evaluator

    @property
    def examples(self) -> Examples:
        """The data of this split."""
        return self.prepared.examples

    @property
    def everyone(self) -> Int[Tensor, " n"]:
        """The places of all examples."""
        return self.prepared.everyone


@dataclass(frozen=True)
class SecondData:
    """Another set of examples, for what is asked of both.

    Attributes:
        examples: not run yet. measured: runs the networks on them: what is attached to them, what
            float says, and the outcomes of each explained policy.
    """

    examples: Examples
    measured: Callable[[], tuple[Side, Table, dict[str, Outcomes]]]


@dataclass(frozen=True)
class Context:
    """What is explained.

    Attributes:
        record: the run's. policies: the names of those explained, the one that matters most first.
        deployed: those explained that are a runtime or a shipped format: without bits, so what is
            asked of bits cannot be asked of them.
        test: the record's own examples. train: the split that the network was trained on, if the
            data has one.
        tell: hears of the progress.
        reference: another network's record on the same data, to compare with.
        corrupting: how much is measured on corrupted images. lengths: that examples are padded to.
        tune: fine-tunes the network at a mean of bits; None where that was not asked for.
        keep_in_float: hands the network anew to a runtime, by name, that is to leave these sites in
            float as well; None where no runtime is asked for anything.
        not_loaded: of the conditions in runtimes that are not explained themselves, those whose
            runtime is not to be had here, and why.
        second: the set that inputs may come from instead; None: none was given.
    """

    record: Record
    policies: tuple[str, ...]
    test: Side
    train: Side | None = None
    tell: Tell = field(default=lambda _what, _done, _whole: None)
    reference: Record | None = None
    corrupting: CorruptionSettings = field(default_factory=CorruptionSettings)
    lengths: LengthSettings = field(default_factory=LengthSettings)
    tune: Callable[[float], Subject] | None = None
    deployed: tuple[str, ...] = ()
    keep_in_float: Callable[[str, tuple[str, ...]], Runtime] | None = None
    not_loaded: Mapping[str, str] = field(default_factory=dict)
    second: SecondData | None = None

    @property
    def everyone(self) -> tuple[str, ...]:
        """The names of all that are explained."""
        return (*self.policies, *self.deployed)

    @property
    def halves(self) -> Halves:
        """Of the examples, one half drawn by the run's seed."""
        n = len(self.record.table)
        order = generator(self.test.prepared.settings.seed, *b"percentile").permutation(n)
        return Halves(n, np.sort(order[: half_size(n)]).astype(np.int32))

    @property
    def sides(self) -> tuple[Side, ...]:
        """The splits there are, test first."""
        return (self.test,) if self.train is None else (self.test, self.train)


def default_policies(record: Record) -> tuple[str, ...]:
    """The deepest worst case, the policy the network was trained with, and the nearest even one.

    Where no bits were explored, the runtime or format that loses most; of a network that was not
    looked into, what all its runtimes made of it.
    """
    if record.subject.black_box:
        return tuple(policy.name for policy in record.policies)
    everyone = [policy for policy in record.policies if _has_bits(record, policy)]
    worst = [p for p in everyone if p.threat == "allocation"]
    deepest = max(worst, key=_loss, default=None)
    chosen = [] if deepest is None else [deepest]
    chosen += [p for p in everyone if p.kind == "co-trained"]
    mean = chosen[0].mean_bits if chosen else None
    even = [p for p in everyone if p.kind == "uniform"]
    if even:
        chosen.append(min(even, key=lambda p: abs((p.mean_bits or 0) - (mean or 8))))
    if not chosen:
        one_by_one = [p for p in record.policies if (p.condition.batch_size or 1) == 1]
        chosen = sorted((p for p in one_by_one if p.deployed), key=_loss)[-1:]
    return tuple(policy.name for policy in chosen)


def check_policies(record: Record, names: Sequence[str]) -> None:
    """Refuse names that cannot be explained.

    Raises:
        InputError: not in the record, neither with bits nor deployed, or not measured on all
            examples; or none.
    """
    known = [p.name for p in record.policies if _has_bits(record, p) or p.deployed]
    if not names:
        raise InputError(
            "this run has no worst case, trained or even policy to explain; "
            + (f"name one with --policy: {', '.join(known)}" if known else "assess with more")
        )
    for name in names:
        if name not in known:
            has = ", ".join(known) or "none: assess with a budget, a format or a runtime"
            raise InputError(
                f"--policy {name}: not a policy that this run measured on all of its examples; "
                f"it has {has}"
            )


def allocation_of(outcomes: Outcomes) -> Int[Tensor, "n points"]:
    """What was spent on each example that was measured, in their order.

    Raises:
        InputError: nothing was, since they show no bits.
    """
    bits = outcomes.every_bits()
    if bits is None:
        raise InputError("activations stay in float there, or a runtime shows no bits")
    return torch.from_numpy(bits.astype("int64"))


def _has_bits(record: Record, policy: PolicyResult) -> bool:
    found = record.outcomes[policy.name]
    return found.bits is not None and len(found) == len(record.table)


def _loss(policy: PolicyResult) -> tuple[int, float]:
    lost = policy.flips.lost if policy.flips.lost is not None else policy.flips.all
    # Of equal ones the cheaper to bear: the one with more bits says more.
    return lost.k, policy.mean_bits or 0.0
