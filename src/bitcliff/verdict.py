"""From a stored record and a limit to pass, fail or inconclusive. Never runs a model."""

import difflib
import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bitcliff.errors import InputError
from bitcliff.record import Condition, Pair, PolicyResult, Record, pairs_of
from bitcliff.record.decisions import score_drops, whole_outcome
from bitcliff.stats import paired_change, rate
from bitcliff.types.change import PairedChange, ScoreChange
from bitcliff.types.rate import Rate

Status = Literal["pass", "fail", "inconclusive"]

Drop = tuple[float | None, float | None, float | None]
"""Percentage points lost, and their interval; without labels, of answers that change. Of a mean
score, hundredths that it falls by."""

# Examples that nobody labels for a gate.
_MOST = 1_000_000

EXIT_CODES: dict[Status, int] = {"pass": 0, "fail": 1, "inconclusive": 3}

_OPENING: dict[Status, str] = {
    "pass": "Passes",
    "fail": "Fails",
    "inconclusive": "Inconclusive",
}

_PLACEMENT = {
    "weights-only": "only the weights rounded",
    "uniform": "the same bits everywhere",
    "random": "the bits placed at random for each input",
    "random-static": "the bits placed at random, alike for all inputs",
    "co-trained": "the bits placed by the policy that was trained with the network",
    "worst": "the bits placed as badly as the search could find",
    "worst-static": "the bits placed badly, alike for all inputs",
    "worst-evolutionary": "the bits placed as badly as an evolutionary search could find",
    "best": "the bits placed as well as the search could find",
    "random-mix": "formats mixed at random, alike for all inputs",
    "worst-mix": "formats mixed as badly as the search could find, alike for all inputs",
    "best-mix": "formats mixed as well as the search could find, alike for all inputs",
}

_FREE = frozenset(_PLACEMENT) - {"weights-only", "uniform"}
"""Kinds of conditions whose layers may get different widths."""


@dataclass(frozen=True)
class Judgement:
    """One policy against the limit, or of two that are compared the second against the first.

    Attributes:
        policy: its name in the record; of two, both names.
        status: pass if the whole interval is within the limit, fail if all of it is beyond.
        drop_pp: float minus quantized accuracy, percentage points; without labels the share of
            flips; of scores, float's mean minus the quantized one's, hundredths. None if it was not
            measured.
        low, high: its 95 % interval, percentage points.
        sentence: the same in plain English.
    """

    policy: str
    status: Status
    drop_pp: float | None
    low: float | None
    high: float | None
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """The answer for the whole run, with the judgements it rests on.

    Attributes:
        of_scores: drops are of the mean score, not of decisions.
    """

    status: Status
    sentence: str
    judgements: tuple[Judgement, ...]
    of_scores: bool = False


@dataclass(frozen=True)
class _Limit:
    """Points that may be lost, of decisions or of the mean score."""

    points: float
    of_scores: bool


def judge(
    record: Record, max_drop: float, policy: str | None = None, *, of_scores: bool = False
) -> Verdict:
    """Judge a record against the largest drop that is allowed.

    Args:
        record: as stored; it is not changed.
        max_drop: percentage points of accuracy that may be lost (of flips, without labels).
        of_scores: the limit is of the mean score (F1 of boxes, mean IoU, one less the word error
            rate) in hundredths, not of decisions.
        policy: judge this one only. By default what the run was told is deployed: numerics and
            runtimes alone; without them the adversarial ones (threat "allocation"), which speak of
            the user's own model; a record without any is judged on every policy but the best found.
            A run that compares two is judged by what is lost from the first to the second.

    Raises:
        InputError: `max_drop` is negative or not a number; no policy has that name; outcomes are
            single choices, which have no score.
    """
    if not (math.isfinite(max_drop) and max_drop >= 0):
        name = "--max-score-drop" if of_scores else "--max-drop"
        raise InputError(f"{name} must be 0 or more points, not {max_drop:g}")
    if of_scores and not any(one.score_change for one in record.policies):
        raise InputError(
            f"--max-score-drop: a decision of this run is {record.subject.decision or 'one class'},"
            " which has no score beside right and wrong; give --max-drop"
        )
    limit = _Limit(max_drop, of_scores)
    pairs = pairs_of(record) if policy is None else []
    judged = [_named(record, policy)] if policy is not None else _judged_by_default(record)
    judgements = tuple(_judge_pair(record, pair, limit) for pair in pairs) or tuple(
        _judge_policy(record, one, limit) for one in judged
    )
    doubts = _doubts(record, judged)
    status = _overall(judgements, doubts)
    return Verdict(status, _overall_sentence(status, judgements, doubts), judgements, of_scores)


def _named(record: Record, name: str) -> PolicyResult:
    names = [policy.name for policy in record.policies]
    if name in names:
        return record.policies[names.index(name)]
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise InputError(
        f"policy {name!r} is not in the record: {hint}it has {', '.join(names) or 'no policies'}"
    )


def _judged_by_default(record: Record) -> list[PolicyResult]:
    # A good allocation says what could be reached, never what may be signed off.
    candidates = [one for one in record.policies if one.kind not in ("best", "best-mix")]
    deployed = [one for one in candidates if one.deployed]
    return deployed or [one for one in candidates if one.by_adversary] or candidates


def _judge_policy(record: Record, policy: PolicyResult, limit: _Limit) -> Judgement:
    subject, trouble = _placement(record, policy), _trouble(policy.numeric_failures, policy.broken)
    measured = (policy.flips.all, policy.change, policy.score_change)
    return _judgement(record, policy.name, subject, measured, limit, trouble)


def _judge_pair(record: Record, pair: Pair, limit: _Limit) -> Judgement:
    n = len(pair.both)
    trouble = _trouble(rate(n - int(pair.both.sum()), n), [])
    a, b = (_named_with_reach(record, side.name, side.condition) for side in pair.sides)
    scores = pair.score_change(record.settings.score_loss) if limit.of_scores else None
    measured = (pair.decisions, pair.change, scores)
    return _judgement(record, pair.name, f"from {a} to {b}", measured, limit, trouble)


def _judgement(
    record: Record,
    name: str,
    subject: str,
    measured: tuple[Rate, PairedChange | None, ScoreChange | None],
    limit: _Limit,
    trouble: str,
) -> Judgement:
    """`measured`: decisions that change, of labelled ones the paired change, of scores theirs."""
    changed, change, scores = measured
    drop = _score_drop(scores) if limit.of_scores else _drop(record, changed, change)
    status, more = _status(drop, limit, trouble), ""
    if status == "inconclusive" and not limit.of_scores:
        more = _enough(record, changed, change, limit.points)
    sentence = _sentence(record, subject, status, drop, limit, trouble, more)
    return Judgement(name, status, *drop, sentence)


def _status(drop: Drop, limit: _Limit, trouble: str) -> Status:
    _, low, high = drop
    if low is not None and low > limit.points:
        return "fail"
    within = high is not None and high <= limit.points
    return "pass" if within and not trouble else "inconclusive"


def _drop(record: Record, changed: Rate, change: PairedChange | None) -> Drop:
    if not record.subject.labelled:
        share = changed
        value, low, high = (
            None if part is None else 100 * part for part in (share.value, share.low, share.high)
        )
        return value, low, high
    if change is None or change.difference_pp is None:
        return None, None, None
    # 0.0 - x, not -x: a drop of minus zero would be printed as such.
    return (
        0.0 - change.difference_pp,
        0.0 - (change.high_pp or 0.0),
        0.0 - (change.low_pp or 0.0),
    )


def _enough(record: Record, changed: Rate, change: PairedChange | None, points: float) -> str:
    """How many examples would pass if as large a share of them is lost, and as large a share is
    gained; empty where the drop seen is beyond the limit, or even a million would not."""
    n = changed.n if change is None else change.n

    def passes(size: int) -> bool:
        if not record.subject.labelled:
            high = rate(math.ceil(changed.k * size / n), size).high
            return high is not None and 100 * high <= points
        if change is None:
            return False
        lost, gained = math.ceil(change.lost * size / n), change.gained * size // n
        low = paired_change(size, lost, gained).low_pp
        return low is not None and -low <= points

    if n == 0 or not passes(_MOST):
        return ""
    size = bisect_left(range(_MOST), True, lo=n, key=passes)
    return f"; about {size:,} would do if the same shares are lost and gained"


def _score_drop(change: ScoreChange | None) -> Drop:
    if change is None or change.difference is None:
        return None, None, None
    ends = change.difference, change.high or 0.0, change.low or 0.0
    value, low, high = (0.0 - 100 * end for end in ends)
    return value, low, high


def _doubts(record: Record, judged: list[PolicyResult]) -> list[str]:
    """What keeps the run from passing, whatever the numbers say; the weightiest first."""
    doubts = []
    if not judged or all(policy.agreement.n == 0 for policy in judged):
        doubts.append("there is nothing to judge: no policy to judge was measured on any example.")
    if not record.coverage.complete:
        count = len(record.subject.uncovered)
        places = f"{count} point{'s' * (count != 1)} of the network" if count else "the network"
        doubts.append(
            f"{places} would be quantized by a runtime but could not be tested, "
            "so the numbers do not speak of the whole network."
        )
    if record.float_otherwise is not None:
        size, count = record.float_otherwise
        alike = "each by itself" if size == 1 else f"in batches of {size}"
        doubts.append(
            f"even in float the answer depends on the batch: {alike} it is another on {count} of "
            f"{len(record.table)} inputs, so there is no one answer to compare with."
        )
    failed = [policy.name for policy in judged if policy.numeric_failures.k]
    if failed:
        doubts.append(
            f"under {', '.join(failed)} the network gave NaN or infinity on some inputs; "
            "these count neither as right nor as wrong."
        )
    broken = [policy for policy in judged if policy.broken and not policy.numeric_failures.k]
    if broken:
        most = max(broken, key=lambda policy: len(policy.broken))
        doubts.append(
            f"under some bits that were tried for {most.name} the network gave NaN or infinity on "
            f"{len(most.broken)} of {record.subject.n_examples} inputs."
        )
    if record.float_.numeric_failures.k:
        doubts.append(
            f"even in float the network gave NaN or infinity on "
            f"{record.float_.numeric_failures.k} of {record.float_.numeric_failures.n} inputs."
        )
    return doubts


def _overall(judgements: tuple[Judgement, ...], doubts: list[str]) -> Status:
    found = {judgement.status for judgement in judgements}
    if "fail" in found:
        return "fail"
    return "inconclusive" if doubts or "inconclusive" in found else "pass"


def _overall_sentence(status: Status, judgements: tuple[Judgement, ...], doubts: list[str]) -> str:
    if doubts and status != "fail":
        return f"{_OPENING[status]}: {doubts[0]}"
    same = [judgement for judgement in judgements if judgement.status == status]
    leading = max(same, key=_severity).sentence
    if len(judgements) == 1:
        return leading
    one = {"pass": "passes", "fail": "fails", "inconclusive": "is inconclusive"}
    several = {"pass": "pass", "fail": "fail", "inconclusive": "are inconclusive"}
    verb = (one if len(same) == 1 else several)[status]
    n = len(judgements)
    share = f"{len(same)}" if len(same) < n else "both" if n == 2 else "all"
    return f"{leading} Of the {n} cases judged, {share} {verb}."


def _severity(judgement: Judgement) -> tuple[float, float, float]:
    """By the drop; of equal drops the one that is surer."""

    def number(value: float | None) -> float:
        return -math.inf if value is None else value

    return number(judgement.drop_pp), number(judgement.low), number(judgement.high)


def _trouble(failures: Rate, broken: list[str]) -> str:
    """Why numbers that are within the limit do not pass; empty where nothing failed."""
    if failures.k:
        return (
            f"but {failures.k} of {failures.n} inputs gave NaN or infinity and could not be scored."
        )
    if broken:
        return f"but other bits that were tried gave NaN or infinity on {len(broken)} inputs."
    return ""


def _sentence(
    record: Record,
    subject: str,
    status: Status,
    drop: Drop,
    limit: _Limit,
    trouble: str,
    more: str,
) -> str:
    value, low, high = drop
    if value is None or low is None or high is None:
        return f"{_OPENING[status]}: {subject}, nothing was measured."
    change = _score_change(record, value) if limit.of_scores else _change(record, value)
    interval = f"95 % interval {_number(low)} to {_number(high)}"
    unit = "points" if record.subject.labelled or limit.of_scores else "%"
    allowed = f"{limit.points:g} {unit}"
    if status == "inconclusive" and trouble:
        tail = trouble
    else:
        tail = {
            "pass": f"within the {allowed} allowed.",
            "fail": f"more than the {allowed} allowed.",
            "inconclusive": f"and {allowed} are allowed: too few examples to tell{more}.",
        }[status]
    return f"{_OPENING[status]}: {subject}, {change} ({interval}), {tail}"


def _placement(record: Record, policy: PolicyResult) -> str:
    words = _PLACEMENT.get(policy.kind)
    mean = []
    if policy.condition.options:
        mean = [f"{policy.mean_bits:g} bits a value", " or ".join(policy.condition.options)]
    elif policy.mean_bits and policy.total_bits and record.coverage.quantized:
        # What is spent, which rounding to a whole total moves from the mean asked for.
        spent = policy.total_bits / record.coverage.quantized
        mean = [f"{spent:.3g} bits on average"]
        # The freedom that made the number: without it a mean of 7 reads as 7 bits everywhere.
        if policy.kind in _FREE:
            mean.append(record.settings.choice(policy.condition.widths))
    part = _measured_on(record, policy)
    if policy.runtime is not None:
        version = policy.condition.runtime_version or ""
        return f"in {policy.name} ({', '.join([version, *part])})"
    if policy.condition.numerics is not None:
        return f"in {_named_with_reach(record, policy.name, policy.condition, part)}"
    if words is None:
        details = ", ".join(mean + part)
        return f"under policy {policy.name}" + (f" ({details})" if details else "")
    return f"with {words} ({', '.join([*mean, policy.name, *part])})"


def _named_with_reach(
    record: Record, name: str, condition: Condition | None, part: Sequence[str] = ()
) -> str:
    """The name, and at how many points a format rounds where that is not at all."""
    points = record.coverage.quantized
    rounded = None if condition is None else condition.points_rounded
    told = (
        [] if rounded in (None, points) else [f"{rounded} of {points} points, the others in float"]
    )
    details = ", ".join([*told, *part])
    return name + (f" ({details})" if details else "")


def _measured_on(record: Record, policy: PolicyResult) -> list[str]:
    """Said where a policy speaks of some examples only, as a fixed placement does."""
    measured = policy.agreement.n + policy.numeric_failures.k
    if measured in (0, record.subject.n_examples):
        return []
    return [f"measured on {policy.agreement.n} of {record.subject.n_examples} examples"]


def _change(record: Record, drop: float) -> str:
    whole = whole_outcome(record.subject)
    if not record.subject.labelled:
        if whole:
            return f"{_number(drop)} % of the examples no longer have {whole} as in float"
        return f"{_number(drop)} % of the answers change"
    what = f"the share of examples with {whole} as labelled" if whole else "accuracy"
    if drop == 0:
        return f"{what} does not change"
    verb = "drops" if drop > 0 else "rises"
    return f"{what} {verb} by {_number(abs(drop))} percentage points"


def _score_change(record: Record, drop: float) -> str:
    what, is_error = score_drops(record.subject)
    if drop == 0:
        return f"{what} does not change"
    verb = "rises" if (drop > 0) == is_error else "drops"
    return f"{what} {verb} by {_number(abs(drop))} points"


def _number(value: float) -> str:
    text = f"{value:.1f}"
    return "0.0" if text == "-0.0" else text.replace("-", "−")
