"""From the outcomes to every figure of an assessment: one pure function, run when a record is
written and again whenever it is read.

Numeric failures are counted apart: they enter no accuracy, agreement or flip.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pydantic import Field

from bitcliff.record.arrays import NONE
from bitcliff.record.conditions import Condition, Kind, Threat
from bitcliff.record.outcomes import Effort, Measured, Outcomes, Table
from bitcliff.record.part import Part
from bitcliff.record.schema import Observed, SubjectInfo
from bitcliff.stats import (
    bounded_mean,
    median_index,
    paired_change,
    per_token,
    rate,
    score_change,
    upper_bound,
    with_holm,
)
from bitcliff.stats.error_rates import error_rates
from bitcliff.types.change import PairedChange, ScoreChange
from bitcliff.types.rate import ErrorRates, Mean, PerToken, Rate

Classes = npt.NDArray[np.int32]
"""One class an example, -1 where there is none."""


class ClassRate(Part):
    """The class that fares worst."""

    label: int
    accuracy: Rate


class Likelihood(Part):
    """Of the texts themselves, by a language model, over all of their tokens that follow another.

    Attributes:
        perplexity: e to the mean negative log-likelihood. ratio: to float's, on the same texts; kl:
            KL(float ‖ this) of what may follow, in nats a token; both None of float itself.
    """

    perplexity: PerToken
    ratio: PerToken | None = None
    kl: PerToken | None = None


class FloatResult(Part):
    """The network in float on all examples. `accuracy` is None without labels.

    `score`: how much of an outcome is as labelled, on average, where that is no single choice.
    `errors`: of all texts together, where outcomes are such and have labels.
    """

    accuracy: Rate | None
    worst_class: ClassRate | None
    numeric_failures: Rate
    score: Mean | None = None
    errors: ErrorRates | None = None
    likelihood: Likelihood | None = None


class Flips(Part):
    """Float and quantized argmax differ. `lost` and `gained` need labels.

    Attributes:
        all: flips of any kind.
        lost: right in float, wrong quantized. gained: the other way round.
        upper_95: one-sided 95 % upper bound on the share of flips when none was seen, else None.
    """

    all: Rate
    lost: Rate | None
    gained: Rate | None
    upper_95: float | None


class Distribution(Part):
    """A random policy over its draws; the policy's own figures are those of its median draw."""

    draws: int
    median_draw: int
    accuracy: list[Rate] | None
    agreement: list[Rate]


class PolicyResult(Part):
    """One condition's figures, on the examples that have an outcome under it.

    Attributes:
        name, threat: the condition's.
        allocation: the bits at each point where all examples share them, else None. plan: of a mix,
            the format at each point.
        change: quantized against float, Holm-adjusted over the run's conditions; None without
            labels, and where no example counts.
        effort: what was spent. broken: ids of the examples that gave NaN or infinity under any
            allocation that was tried on the way, though perhaps not under the one shown.
        repeated: of the flips that a search found, how many stay in every repeat with the input
            nudged by one part in a million, which stands for another machine's arithmetic.
        score: how much of an outcome is as labelled, or without labels as in float, on average,
            where that is no single choice. score_change: the same against float's own.
        errors: of all texts together, where outcomes are such. likelihood: of the texts themselves,
            by a language model.
    """

    name: str
    threat: Threat
    condition: Condition
    effort: Effort
    allocation: list[int] | None
    plan: list[str] | None = None
    accuracy: Rate | None
    agreement: Rate
    flips: Flips
    change: PairedChange | None
    worst_class: ClassRate | None
    numeric_failures: Rate
    broken: list[str] = Field(default_factory=list)
    distribution: Distribution | None = None
    repeated: Rate | None = None
    score: Mean | None = None
    score_change: ScoreChange | None = None
    errors: ErrorRates | None = None
    likelihood: Likelihood | None = None

    @property
    def kind(self) -> Kind:
        """The condition's."""
        return self.condition.kind

    @property
    def mean_bits(self) -> float | None:
        """As asked for."""
        return self.condition.mean_bits

    @property
    def total_bits(self) -> int | None:
        """Spent by every example."""
        return self.condition.total_bits

    @property
    def runtime(self) -> str | None:
        """That it was measured in; None: simulated."""
        return self.condition.runtime

    @property
    def by_adversary(self) -> bool:
        """Whether it is what an adversary, or a runtime as it is, does to the user's own model."""
        return self.threat == "allocation" or self.deployed

    @property
    def deployed(self) -> bool:
        """The condition's."""
        return self.condition.deployed


class Coverage(Part):
    """How much of the network is quantized.

    `complete` is False when anything is not covered: the run is then inconclusive. `macs_share` is
    of the network's multiply-adds; None where not known, as that of what is not covered.
    """

    complete: bool
    quantized: int
    left_out: int
    macs_share: float | None


class Figures(Part, populate_by_name=True):
    """All figures of an assessment.

    `at_risk` holds the ids of examples that an adversary's worst case or a runtime flips, worst
    margin first. `folding_changed`: decisions that folding BatchNorm changed in float.
    """

    float_: FloatResult = Field(alias="float")
    policies: list[PolicyResult]
    at_risk: list[str]
    coverage: Coverage
    folding_changed: Rate | None


def figures(observed: Observed) -> Figures:
    """Every figure that the outcomes of a run give."""
    table = observed.examples
    losing = observed.settings.score_loss
    results = [_policy(table, measured, losing) for measured in observed.conditions]
    changes = with_holm([one.change for one in results])
    results = [
        one.model_copy(update={"change": change})
        for one, change in zip(results, changes, strict=True)
    ]
    folding = observed.folding
    return Figures(
        float=_float(table),
        policies=results,
        at_risk=at_risk(table, observed.conditions),
        coverage=coverage(observed.subject),
        folding_changed=None if folding is None else rate(len(folding.changed), len(table)),
    )


def coverage(subject: SubjectInfo) -> Coverage:
    """How much of what was seen is covered."""
    # Each call's work counts once, however many of its operands are points.
    work = {point.site: point.macs for point in subject.points}
    covered = {point.site for point in subject.points if point.quantized}
    total, complete = sum(work.values()), not subject.uncovered
    return Coverage(
        complete=complete,
        quantized=sum(point.quantized for point in subject.points),
        left_out=sum(not point.quantized for point in subject.points),
        macs_share=sum(work[site] for site in covered) / total if total and complete else None,
    )


def at_risk(table: Table, conditions: Sequence[Measured]) -> list[str]:
    """Ids of the examples that an adversary's worst case or a runtime flips, worst margin first."""
    deepest = np.full(len(table), np.inf)
    for one in conditions:
        if one.condition.threat != "allocation" and not one.condition.deployed:
            continue
        index, now = one.outcomes.index, one.outcomes.prediction
        before = table.before(one.outcomes)
        flipped = (before != NONE) & (now != NONE) & (before != now)
        places = index[flipped]
        deepest[places] = np.minimum(deepest[places], one.outcomes.margin[flipped])
    found = np.flatnonzero(deepest < np.inf).tolist()
    return [table.ids[p] for p in sorted(found, key=lambda p: (deepest[p], table.ids[p]))]


def median_draw(draws: npt.NDArray[np.int32], targets: Classes) -> int:
    """Which of (d, m) draws has the median number of right answers; a numeric failure is none."""
    return median_index(((draws == targets) & (draws != NONE)).sum(1).tolist())


def _float(table: Table) -> FloatResult:
    whole = table.prediction != NONE
    labels = None if table.labels is None else table.labels[whole]
    return FloatResult(
        accuracy=_accuracy(labels, table.prediction[whole]),
        worst_class=_worst_class(labels, table.prediction[whole]),
        numeric_failures=rate(int((~whole).sum()), len(table)),
        score=_mean(table.score, whole),
        errors=_errors(table, table.said if table.wanted else None, np.flatnonzero(whole)),
        likelihood=_likelihood(table, table.nll, whole, np.arange(len(table), dtype=np.int32)),
    )


def _policy(table: Table, measured: Measured, losing: float) -> PolicyResult:
    found = measured.outcomes
    before = table.before(found)
    whole = (before != NONE) & (found.prediction != NONE)
    now, n = found.prediction[whole], int(whole.sum())
    labels = None if table.labels is None else table.labels[found.index][whole]
    flips = _flips(labels, before[whole], now)
    return PolicyResult(
        name=measured.name,
        threat=measured.condition.threat,
        condition=measured.condition,
        effort=measured.effort,
        allocation=found.allocation,
        plan=found.plan,
        accuracy=_accuracy(labels, now),
        agreement=rate(n - flips.all.k, n),
        flips=flips,
        change=_change(flips),
        worst_class=_worst_class(labels, now),
        numeric_failures=rate(int((found.prediction == NONE).sum()), len(found)),
        broken=[table.ids[place] for place in measured.broken],
        distribution=_distribution(table, found),
        repeated=_repeated(found, before, whole),
        score=_mean(found.score, whole),
        errors=_errors(table, found.said, np.flatnonzero(whole), found.index),
        score_change=_score_change(table, found, whole, losing),
        likelihood=_likelihood(table, found.nll, whole, found.index, found.kl),
    )


def _likelihood(
    table: Table,
    nll: npt.NDArray[np.float64] | None,
    whole: npt.NDArray[np.bool_],
    index: npt.NDArray[np.int32],
    kl: npt.NDArray[np.float64] | None = None,
) -> Likelihood | None:
    if nll is None or table.nll is None or table.tokens is None:
        return None
    index, nll = index[whole], nll[whole]
    tokens = table.tokens[index]
    return Likelihood(
        perplexity=_exponential(per_token(nll, tokens)),
        ratio=None if kl is None else _exponential(per_token(nll - table.nll[index], tokens)),
        kl=None if kl is None else per_token(kl[whole], tokens),
    )


def _exponential(found: PerToken) -> PerToken:
    """Of a mean of logarithms and its limits; what no number holds stays below infinity."""
    ends = {"value": found.value, "low": found.low, "high": found.high}
    powers = {name: x if x is None else float(np.exp(min(x, 700.0))) for name, x in ends.items()}
    return found.model_copy(update=powers)


def _errors(
    table: Table,
    said: list[str] | None,
    rows: npt.NDArray[np.intp],
    index: npt.NDArray[np.int32] | None = None,
) -> ErrorRates | None:
    """Of the texts in these rows, against what is wanted, or without labels float's own."""
    wanted = table.wanted or table.said
    if said is None or wanted is None:
        return None
    places = rows if index is None else index[rows]
    return error_rates([wanted[place] for place in places], [said[row] for row in rows])


def _mean(scores: npt.NDArray[np.float64] | None, whole: npt.NDArray[np.bool_]) -> Mean | None:
    return None if scores is None else bounded_mean(scores[whole])


def _score_change(
    table: Table, found: Outcomes, whole: npt.NDArray[np.bool_], losing: float
) -> ScoreChange | None:
    """Against float's own scores: all of an outcome, where those are what is wanted."""
    if found.score is None:
        return None
    before = np.ones(len(table)) if table.score is None else table.score
    return score_change(before[found.index][whole], found.score[whole], losing)


def _accuracy(labels: Classes | None, predictions: Classes) -> Rate | None:
    if labels is None:
        return None
    return rate(int((labels == predictions).sum()), len(labels))


def _worst_class(labels: Classes | None, predictions: Classes) -> ClassRate | None:
    """The class of lowest accuracy; ties go to the larger class, then the lower label."""
    if labels is None or not len(labels):
        return None
    present, of = np.unique(labels, return_inverse=True)
    n = np.bincount(of)
    k = np.bincount(of, weights=labels == predictions).astype(np.int64)
    worst = min(range(len(present)), key=lambda c: (k[c] / n[c], -n[c], present[c]))
    return ClassRate(label=int(present[worst]), accuracy=rate(int(k[worst]), int(n[worst])))


def _flips(labels: Classes | None, before: Classes, now: Classes) -> Flips:
    n, changed = len(now), before != now
    lost = gained = None
    if labels is not None:
        lost = rate(int((changed & (before == labels)).sum()), n)
        gained = rate(int((changed & (now == labels)).sum()), n)
    flipped = int(changed.sum())
    return Flips(
        all=rate(flipped, n),
        lost=lost,
        gained=gained,
        upper_95=upper_bound(0, n) if n and not flipped else None,
    )


def _change(flips: Flips) -> PairedChange | None:
    if flips.lost is None or flips.gained is None or flips.all.n == 0:
        return None
    return paired_change(flips.all.n, flips.lost.k, flips.gained.k)


def _repeated(found: Outcomes, before: Classes, whole: npt.NDArray[np.bool_]) -> Rate | None:
    """Of the flips, how many stay flips in every repeat; None where nothing was repeated."""
    if found.repeats is None or not whole.any():
        return None
    flipped = whole & (found.prediction != before)
    stay = ((found.repeats != NONE) & (found.repeats != before)).all(0)
    return rate(int((flipped & stay).sum()), int(flipped.sum()))


def _distribution(table: Table, found: Outcomes) -> Distribution | None:
    """Each draw by itself, over the examples that it and float gave an answer for."""
    if found.draws is None or not len(found):
        return None
    before = table.prediction[found.index]
    whole = (found.draws != NONE) & (before != NONE)
    counts = whole.sum(1).tolist()
    agreement = ((found.draws == before) & whole).sum(1).tolist()
    accuracy = None
    if table.labels is not None:
        right = ((found.draws == table.labels[found.index]) & whole).sum(1).tolist()
        accuracy = [rate(k, n) for k, n in zip(right, counts, strict=True)]
    return Distribution(
        draws=len(found.draws),
        median_draw=median_draw(found.draws, table.targets[found.index]),
        accuracy=accuracy,
        agreement=[rate(k, n) for k, n in zip(agreement, counts, strict=True)],
    )
