"""Bits that depend on the input, set against float in the place of a format."""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from bitcliff.audit.evaluator import Evaluator, Scores
from bitcliff.audit.prepare import Prepared
from bitcliff.errors import InputError
from bitcliff.points.forward import batch_size
from bitcliff.policy import Batch, Policy, Static, Uniform
from bitcliff.types.bits_by import BitsBy
from bitcliff.types.settings import Company
from bitcliff.types.subject import AllInputs


@dataclass(frozen=True)
class Adaptive:
    """A policy, and perhaps a second and wider pass of what it leaves unsure.

    Attributes:
        policy: of the first pass. formula: all of it, in words. wider: bits everywhere in the
            second pass; None: there is none. threshold: of the first pass's lead, logits; what has
            no more is run again.
    """

    policy: Policy
    formula: str
    wider: int | None = None
    threshold: float = -math.inf

    def bits(self, inputs: AllInputs) -> Int[Tensor, "m points"]:
        """Of the first pass."""
        return self.policy(Batch(inputs, torch.arange(batch_size(inputs))))

    def wide(self, count: int) -> Int[Tensor, "m points"]:
        """Of the second pass, of so many inputs."""
        return torch.full((count, self.policy.points), self.wider or 0)

    def unsure(self, scores: Float[Tensor, "m classes"]) -> Bool[Tensor, " m"]:
        """What is run again; also where the first pass gives no finite scores."""
        if self.wider is None:
            return torch.zeros(len(scores), dtype=torch.bool)
        return ~(lead_of(scores) > self.threshold)

    def scores(self, evaluator: Evaluator) -> Scores:
        """Of all examples, each run as it is in a search."""
        index = torch.arange(batch_size(evaluator.inputs))
        first = evaluator.scores(index, self.bits(evaluator.inputs))
        again = index[self.unsure(first.logits) | ~first.finite] if self.wider else index[:0]
        if not len(again):
            return first
        second = evaluator.scores(again, self.wide(len(again)))
        failed = [*first.failed_at]
        for place, point in zip(again.tolist(), second.failed_at, strict=True):
            failed[place] = point
        logits = first.logits.index_copy(0, again, second.logits)
        return replace(first, logits=logits, failed_at=tuple(failed))


def lead_of(scores: Float[Tensor, "m classes"]) -> Float[Tensor, " m"]:
    """Of the first decision over the second, whichever they are."""
    first = scores.double().topk(2, dim=1).values
    return first[:, 0] - first[:, 1]


def adaptive(asked: BitsBy, prepared: Prepared, company: Company) -> Adaptive:
    """What gives bits to the inputs of a network.

    Of the rule by margin the batch is all the data: of so many inputs so many are run again, those
    with the least lead, and the total of bits is exact. An input that is searched takes its
    example's place there. In the worst company all others are the one with the least lead.

    Raises:
        InputError: the company matters to no other rule; or the share is of less than one example.
    """
    plan, attachment = prepared.points, prepared.evaluator.attachment
    bits = f"{attachment.weight_bits} bits" if attachment.weight_bits else "in float"
    how = f"scheme {prepared.settings.scheme}, weights {bits}"
    if asked.kind != "margin":
        if company != "data":
            raise InputError(f"--company {company}: of --policy {asked.name} nobody shares bits")
        if asked.kind == "uniform":
            even = Static(_even(asked.bits, len(plan)))
            words = f"{even.total} bits at {len(plan)} points, as evenly as they go; {how}"
            return Adaptive(even, words)
        policy = prepared.policy
        assert policy is not None  # noqa: S101  (preparing has seen to it)
        mean = policy.total / policy.points
        words = f"a learned policy, {mean:.3g} bits in the mean, {policy.origin}; {how}"
        return Adaptive(policy, words)
    n = len(prepared.examples)
    count = n * asked.some // asked.of
    if not count:
        raise InputError(
            f"--policy {asked.name}: of {n} examples that is none; give {asked.of} or more"
        )
    first = Adaptive(Uniform(len(plan), int(asked.bits)), "")
    leads = lead_of(first.scores(prepared.evaluator).logits).nan_to_num(-math.inf).sort().values
    threshold = float(leads[count - 1 if company == "data" else 0])
    there = (
        f"{count} of {n} examples, as many as are run again"
        if company == "data"
        else f"{count} inputs of the worst company, which has the bits for a second pass"
    )
    mean = asked.bits + asked.wider * count / n
    words = (
        f"{asked.bits:g} bits at each of {len(plan)} points, and a second pass at {asked.wider} "
        f"where the lead is at most {threshold:.4g}, that of {there}: {mean:.4g} bits in the mean, "
        f"both passes counted; {how}"
    )
    return replace(first, formula=words, wider=asked.wider, threshold=threshold)


def _even(mean: float, points: int) -> Int[Tensor, " points"]:
    """The total of a mean, no two points more than a bit apart, the wider ones spread."""
    total = round(mean * points)
    ends = torch.arange(points + 1) * total // points
    return ends[1:] - ends[:-1]
