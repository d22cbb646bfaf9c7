"""What a record found, in words: computed from its examples, true for every record."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bitcliff.record import ExampleRow, Pair, PolicyResult, Record, pairs_of
from bitcliff.record.decisions import score_drops, whole_outcome
from bitcliff.report.formatting import capital, clean, mean_text, noun, percent
from bitcliff.stats import rate
from bitcliff.types.rate import Rate


@dataclass(frozen=True)
class Finding:
    """One mean at which the same bits, allocated evenly and badly, are set side by side.

    All counts are over the examples that float, `even` and `worst` gave an answer for, so they may
    be compared with each other.

    Attributes:
        mean: mean bits a point at which they are compared; None if there is nothing to compare.
        even: spends the bits evenly; `cheaper` says that it spends fewer, for want of an equal.
        worst: the adversarial policy.
        at_random: the random policy at that mean.
        float_rate, even_rate, worst_rate, random_rate: right answers; without labels, answers as
            in float.
        random_draws: right answers in each draw of the random policy, where draws were kept.
        even_lost, worst_lost: answers right in float (without labels: any) that are lost (change).
        runtime, runtime_rate: where nothing was simulated, the runtime that loses most.
        compared: the right answers of each of two that are compared, but for float, under a title;
            without labels how many both decide alike.
        title: the finding in a sentence. loss: how many answers are lost, in a sentence.
    """

    mean: float | None
    even: PolicyResult | None
    worst: PolicyResult | None
    at_random: PolicyResult | None
    cheaper: bool
    float_rate: Rate
    even_rate: Rate | None
    worst_rate: Rate | None
    random_rate: Rate | None
    random_draws: tuple[int, ...]
    even_lost: int
    worst_lost: int
    title: str
    loss: str
    runtime: PolicyResult | None = None
    runtime_rate: Rate | None = None
    compared: Sequence[tuple[str, Rate]] = ()


@dataclass(frozen=True)
class _Pair:
    """The policies compared, and the examples both (and float) gave an answer for.

    `choice`: the widths that the adversary may give a layer, in words. `whole`: as in
    `whole_outcome`.
    """

    even: PolicyResult | None
    worst: PolicyResult | None
    rows: Sequence[ExampleRow]
    labelled: bool
    choice: str
    whole: str

    def right(self, policy: PolicyResult | None) -> int:
        return sum(_right(row, policy, self.labelled) for row in self.rows)

    def lost(self, policy: PolicyResult | None) -> int:
        return sum(
            _right(row, None, self.labelled) and not _right(row, policy, self.labelled)
            for row in self.rows
        )

    @property
    def mean(self) -> float | None:
        chosen = self.worst or self.even
        return None if chosen is None else chosen.mean_bits

    @property
    def cheaper(self) -> bool:
        return self.even is not None and self.worst is not None and not _same(self.even, self.worst)

    @property
    def rank(self) -> tuple[float, float]:
        """By the gap, as a share; of equal gaps, the one at more bits, which surprises more. Where
        there is no gap, the one at fewer bits, which says more."""
        gap = self.right(self.even) - self.right(self.worst)
        mean = self.mean or 0.0
        return gap / max(1, len(self.rows)), mean if gap > 0 else -mean


def find(record: Record) -> Finding:
    """The comparison that shows most: where the gap between even and worst is largest."""
    if pairs := pairs_of(record):
        return _between(record, pairs[0])
    pair = _pair(record)
    shipped = [policy for policy in record.policies if policy.deployed and policy.agreement.n]
    if pair.even is None and pair.worst is None and shipped:
        return _in_runtime(record, max(shipped, key=_lost_in))
    rows = len(pair.rows)
    at_random = _random_at(record, pair)
    return Finding(
        mean=pair.mean,
        even=pair.even,
        worst=pair.worst,
        at_random=at_random,
        cheaper=pair.cheaper,
        float_rate=rate(pair.right(None), rows),
        even_rate=rate(pair.right(pair.even), rows) if pair.even else None,
        worst_rate=rate(pair.right(pair.worst), rows) if pair.worst else None,
        random_rate=_random_rate(pair, at_random),
        random_draws=_random_draws(pair, at_random),
        even_lost=pair.lost(pair.even) if pair.even else 0,
        worst_lost=pair.lost(pair.worst) if pair.worst else 0,
        title=_title(pair),
        loss=_loss(record, pair) + _scores(record, {"evenly": pair.even, "badly": pair.worst}),
    )


def _lost_in(policy: PolicyResult) -> int:
    return (policy.flips.lost or policy.flips.all).k


def _in_runtime(record: Record, policy: PolicyResult) -> Finding:
    """Nothing was simulated: float against the runtime."""
    labelled = record.subject.labelled
    lost, n = _lost_in(policy), policy.agreement.n
    found, base = policy.agreement.k, n
    if policy.accuracy is not None and policy.flips.gained is not None:
        found = policy.accuracy.k
        base = found + lost - policy.flips.gained.k
    name = clean(policy.name, 40)
    whole = whole_outcome(record.subject)
    if labelled:
        right = f"have {whole} as labelled" if whole else "are right"
        title = f"Quantized by {name}, {found} of {n} {right}; in float it is {base}"
        loss = f"Of the {base} right answers in float, {_count_lost(lost)} {_is(lost)} lost."
    else:
        right = f"have {whole} as in float" if whole else "answers are as in float"
        title = f"Quantized by {name}, {found} of {n} {right}"
        loss = f"Of {n} answers, {_count_lost(lost)} {_is(lost)} changed."
    loss += _scores(record, {f"by {name}": policy})
    return _nothing_allocated(
        rate(base, n), title, loss, runtime=policy, runtime_rate=rate(found, n)
    )


def _between(record: Record, pair: Pair) -> Finding:
    """Two that were set side by side."""
    a, b = (clean(side.name, 60) for side in pair.sides)
    differ, change = pair.decisions, pair.change
    title = f"{b} decides {differ.k} of {differ.n} {noun(record, differ.n)} differently from {a}"
    loss = "There are no labels to tell which of the two is right."
    compared = [("By both", pair.right(pair.a))]
    if change is not None:
        quantized = [side for side in pair.sides if side.condition is not None]
        compared = [(f"In {clean(side.name, 60)}", pair.right(side)) for side in quantized]
        loss = (
            f"Right under {a} and wrong under {b}: {_count_lost(change.lost)}; the other way "
            f"round: {_count_lost(change.gained)}."
        )
    in_float = record.float_.accuracy or rate(0, 0)
    return _nothing_allocated(in_float, title, loss, compared=compared)


def _nothing_allocated(float_rate: Rate, title: str, loss: str, **more: Any) -> Finding:
    return Finding(
        mean=None,
        even=None,
        worst=None,
        at_random=None,
        cheaper=False,
        float_rate=float_rate,
        even_rate=None,
        worst_rate=None,
        random_rate=None,
        random_draws=(),
        even_lost=0,
        worst_lost=0,
        title=title,
        loss=loss,
        **more,
    )


def _pair(record: Record) -> _Pair:
    families = [
        ("worst", "worst-evolutionary"),
        ("worst-static", "worst-mix"),
    ]
    for wanted in families:
        # A fixed placement is reported on half the examples only: second choice for a headline.
        worst = [
            policy for policy in record.policies if policy.kind in wanted and policy.agreement.n
        ]
        if worst:
            pairs = [_compare(record, _even_for(record, policy), policy) for policy in worst]
            return max(pairs, key=lambda pair: pair.rank)
    return _compare(record, _cheapest_even(record), None)


def _compare(record: Record, even: PolicyResult | None, worst: PolicyResult | None) -> _Pair:
    rows = [
        row
        for row in record.examples
        if row.float_prediction is not None
        and all(_answered(row, policy) for policy in (even, worst) if policy is not None)
    ]
    subject = record.subject
    whole = whole_outcome(subject)
    return _Pair(even, worst, rows, subject.labelled, record.settings.choice(), whole)


def _answered(row: ExampleRow, policy: PolicyResult) -> bool:
    outcome = row.outcomes.get(policy.name)
    return outcome is not None and outcome.prediction is not None


def _right(row: ExampleRow, policy: PolicyResult | None, labelled: bool) -> bool:
    wanted = row.label if labelled else row.float_prediction
    found = row.float_prediction if policy is None else row.outcomes[policy.name].prediction
    return found == wanted


def _uniform(record: Record) -> list[PolicyResult]:
    found = [
        policy
        for policy in record.policies
        if policy.kind == "uniform" and policy.mean_bits and policy.agreement.n
    ]
    return sorted(found, key=lambda policy: policy.mean_bits or 0.0)


def _same(one: PolicyResult, other: PolicyResult) -> bool:
    if one.total_bits is not None and other.total_bits is not None:
        return one.total_bits == other.total_bits
    return one.mean_bits == other.mean_bits


def _even_for(record: Record, worst: PolicyResult) -> PolicyResult | None:
    """The even policy that spends as much; else the dearest that spends less, so it is no unfair
    advantage; else none."""
    uniform = _uniform(record)
    same = [policy for policy in uniform if _same(policy, worst)]
    cheaper = [p for p in uniform if (p.mean_bits or 0.0) < (worst.mean_bits or 0.0)]
    return next(iter(same or cheaper[-1:]), None)


def _cheapest_even(record: Record) -> PolicyResult | None:
    """Without an adversary: the fewest bits from which on even allocation loses nothing."""
    chosen = None
    for policy in reversed(_uniform(record)):
        pair = _compare(record, policy, None)
        if chosen is not None and pair.lost(policy):
            break
        chosen = policy
        if pair.lost(policy):
            break
    return chosen


def _random_at(record: Record, pair: _Pair) -> PolicyResult | None:
    spent = pair.worst or pair.even
    for kind in ("random", "random-static", "random-mix"):
        for policy in record.policies:
            if policy.kind == kind and spent and _same(policy, spent):
                return policy
    return None


def _random_rate(pair: _Pair, policy: PolicyResult | None) -> Rate | None:
    if policy is None:
        return None
    rows = [row for row in pair.rows if _answered(row, policy)]
    return rate(sum(_right(row, policy, pair.labelled) for row in rows), len(rows))


def _random_draws(pair: _Pair, policy: PolicyResult | None) -> tuple[int, ...]:
    """Over the pair's examples, so that no draw is set against a worst case on half of them."""
    if policy is None or not all(policy.name in row.outcomes for row in pair.rows):
        return ()
    draws = [row.outcomes[policy.name].draws or [] for row in pair.rows]
    if len({len(draw) for draw in draws}) != 1:
        return ()
    wanted = [row.label if pair.labelled else row.float_prediction for row in pair.rows]
    return tuple(
        sum(found == right for found, right in zip(draw, wanted, strict=True))
        for draw in zip(*draws, strict=True)
    )


def _title(pair: _Pair) -> str:
    n = len(pair.rows)
    right = "right" if pair.labelled else "answered as in float"
    if pair.whole:
        right = f"with {pair.whole} as {'labelled' if pair.labelled else 'in float'}"
    bits, each = f"{mean_text(pair.mean)} bits a layer", f"({pair.choice})"
    even, worst = pair.right(pair.even), pair.right(pair.worst)
    if pair.even is None and pair.worst is None:
        kept = pair.right(None)
        return f"In float, {kept} of {n} are {right}; nothing to compare it with"
    if pair.worst is None:
        return f"Allocated evenly, {bits} leave {even} of {n} {right}{_in_float(pair)}"
    if pair.even is None:
        return f"Allocated badly {each}, {bits} leave {worst} of {n} {right}{_in_float(pair)}"
    if pair.cheaper:
        fewer = f"{mean_text(pair.even.mean_bits)} bits a layer"
        return (
            f"Allocated evenly, {fewer} leave {even} of {n} {right}; "
            f"allocated badly {each}, {mean_text(pair.mean)} leave {worst}"
        )
    if worst < even:
        return (
            f"The same {bits}: {even} of {n} {right} when allocated evenly, "
            f"{worst} of {n} when allocated badly {each}"
        )
    evenly = f"{bits}: {even} of {n} {right} when allocated evenly"
    return f"{evenly}, {worst} in the worst way found {each}"


def _in_float(pair: _Pair) -> str:
    return f"; in float it is {pair.right(None)}" if pair.labelled else ""


def _loss(record: Record, pair: _Pair) -> str:
    if pair.even is None and pair.worst is None:
        return "No quantized network was measured."
    what = "right answers" if pair.labelled else "answers"
    base = pair.right(None)
    verb = "lost" if pair.labelled else "changed"
    evenly = _count_lost(pair.lost(pair.even)) if pair.even else ""
    if base == 0:
        return f"Already in float, none of the {len(pair.rows)} {noun(record)} is right."
    if pair.worst is None:
        return f"Allocated evenly, {evenly} of {base} {what} {_is(pair.lost(pair.even))} {verb}."
    lost = pair.lost(pair.worst)
    start = f"allocated badly, {_count_lost(lost)} of {base} {what} {_is(lost)} {verb}"
    if pair.even is None:
        return start[0].upper() + start[1:] + "."
    if pair.cheaper:
        fewer = mean_text(pair.even.mean_bits)
        return f"With {mean_text(pair.mean)} bits a layer, {start}; with an even {fewer}, {evenly}."
    return f"With the same total of bits, {start}; allocated evenly, {evenly}."


def _scores(record: Record, shown: dict[str, PolicyResult | None]) -> str:
    """The mean score of each, where outcomes have one and all speak of the same examples."""
    found = {how: policy for how, policy in shown.items() if policy is not None}
    means = {how: one.score.value for how, one in found.items() if one.score is not None}
    counts = {one.agreement.n for one in found.values()}
    if len(means) < len(found) or len(counts) != 1 or None in means.values():
        return ""
    in_float = record.float_.score
    if in_float is not None and in_float.value is not None and counts == {in_float.n}:
        means = {"in float": in_float.value, **means}
    what, is_error = score_drops(record.subject)
    each = ", ".join(
        f"{percent(1 - mean if is_error else mean)} {how}"
        for how, mean in means.items()
        if mean is not None
    )
    return f" {capital(what)} is {each}."


def _count_lost(lost: int) -> str:
    return str(lost) if lost else "none"


def _is(count: int) -> str:
    return "is" if count <= 1 else "are"
