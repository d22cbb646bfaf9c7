"""From what each example showed to every figure: pure, worked out when written and when read."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bitcliff.questions.guard.record import (
    CALIBRATE,
    FIT,
    REPORT,
    AtAlpha,
    Chance,
    GuardFigures,
    GuardObserved,
    GuardRule,
    Judged,
    Random,
    Telling,
)
from bitcliff.record.arrays import NONE
from bitcliff.record.problems import twice
from bitcliff.stats import auroc, change_between, rate, upper_bound, with_holm
from bitcliff.stats.logistic import Linear, logistic, standard
from bitcliff.stats.risk_control import controlled_threshold, examples_needed
from bitcliff.types.guard import GuardSettings
from bitcliff.types.rate import Rate

Values = npt.NDArray[np.float64]
Truths = npt.NDArray[np.bool_]

SIGNALS = {
    "margin": "lead of the decision over the next, logarithm of logits",
    "entropy": "of the softmax of the scores, logarithm of nats",
    "error": "relative error of rounding, mean over the points, dB",
    "worst error": "the same at the point where it is largest",
    "ends": "share of values at the end of their scale, mean over the points",
    "most ends": "the same at the point where it is largest",
    "range": "largest magnitude over what is usual at a point, most over the points, octaves",
}
MARGIN, SCORES, ALL = "margin alone", "margin and entropy", "all signals"
GUARDS: dict[str, tuple[str, ...]] = {
    MARGIN: ("margin",),
    SCORES: ("margin", "entropy"),
    ALL: tuple(SIGNALS),
}
_ASKED = {"margin": MARGIN, "scores": SCORES, "all": ALL}
ALPHAS = (0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2)
"""Limits of the curve, as far as there are examples enough to calibrate for them."""

# Scores are compared with a score: the last digits are the machine's.
_DIGITS = 6
_MOST = 1e12


@dataclass(frozen=True)
class Rule:
    """A guard's scores. `scores`: (n,); infinite where the quantized pass has no prediction."""

    linear: Linear
    fitted_to: str
    scores: Values


def chosen(settings: GuardSettings) -> str:
    """The guard that was asked for, by its name."""
    return _ASKED[settings.signals]


def exportable(settings: GuardSettings) -> str:
    """The same, or of what a graph does not show the guard of what it shows."""
    return SCORES if settings.signals == "all" else chosen(settings)


def lost(observed: GuardObserved) -> Truths:
    """(n,) which are wrong because they were quantized."""
    in_float, quantized = observed.float_prediction, observed.prediction
    gone = (in_float != NONE) & (quantized != in_float)
    if observed.settings.against == "label" and observed.labels is not None:
        gone = (in_float == observed.labels) & (quantized != observed.labels)
    return np.asarray(gone)


def rule_of(observed: GuardObserved, names: tuple[str, ...]) -> Rule:
    """The rule of these signals, fitted to the first part alone.

    Where nothing is lost there, it is fitted to changed decisions; without any the margin decides.
    """
    columns = np.column_stack([observed.signals[name] for name in names])
    fit = observed.part == FIT
    changed = observed.prediction != observed.float_prediction
    linear, fitted_to = None, "nothing"
    for what, signs in (("lost", lost(observed)), ("changed", changed)):
        if linear is None and 0 < signs[fit].sum() < fit.sum():
            linear, fitted_to = logistic(columns[fit], signs[fit]), what
    if linear is None:
        weights = np.array([-1.0 if name == "margin" else 0.0 for name in names])
        linear = Linear(*standard(columns[fit]), weights)
    scores = np.where(observed.prediction == NONE, np.inf, linear.scores(columns).round(_DIGITS))
    return Rule(linear, fitted_to, scores)


def threshold_of(observed: GuardObserved, rule: Rule, alpha: float) -> float:
    """Calibrated on the second part; the candidates lie between the scores of the first.

    Midway, so that no example stands on a threshold, where the last digits of another machine's
    arithmetic would decide.
    """
    calibrate = observed.part == CALIBRATE
    known = np.unique(rule.scores[(observed.part == FIT) & np.isfinite(rule.scores)])
    return controlled_threshold(
        np.append((known[1:] + known[:-1]) / 2, np.inf),
        rule.scores[calibrate],
        lost(observed)[calibrate],
        alpha,
        observed.settings.delta,
    )


def flagged_by(observed: GuardObserved, name: str) -> Truths:
    """(n,) which examples a guard flags under the limit asked for."""
    rule = rule_of(observed, GUARDS[name])
    return rule.scores >= threshold_of(observed, rule, observed.settings.alpha)


def figures(observed: GuardObserved) -> GuardFigures:
    """Every figure, from what was observed alone."""
    asked, gone = observed.settings, lost(observed)
    report = observed.part == REPORT
    counts = [int((observed.part == part).sum()) for part in (FIT, CALIBRATE, REPORT)]
    gone_in = [int(gone[observed.part == part].sum()) for part in (FIT, CALIBRATE, REPORT)]
    changed = observed.prediction != observed.float_prediction
    most = upper_bound(gone_in[CALIBRATE], counts[CALIBRATE], 1 - asked.delta)
    same_flags, same_predictions = _exported_alike(observed)
    return GuardFigures(
        counts=counts,
        lost=[rate(k, n) for k, n in zip(gone_in, counts, strict=True)],
        changed=rate(int(changed[report].sum()), counts[REPORT]),
        needed=examples_needed(asked.alpha, asked.delta),
        guards=[_guard(observed, name) for name in GUARDS],
        random=[Random(alpha=a, cost=max(0.0, 1 - a / most)) for a in _alphas(observed)],
        telling=[_telling(name, observed, changed) for name in SIGNALS],
        judged=_judged(observed),
        same_flags=same_flags,
        same_predictions=same_predictions,
    )


def _alphas(observed: GuardObserved) -> list[float]:
    asked, n = observed.settings, int((observed.part == CALIBRATE).sum())
    every = sorted({*ALPHAS, asked.alpha})
    return [alpha for alpha in every if examples_needed(alpha, asked.delta) <= n]


def _guard(observed: GuardObserved, name: str) -> GuardRule:
    rule = rule_of(observed, GUARDS[name])
    report, gone = observed.part == REPORT, lost(observed)
    at = _at(observed, rule, observed.settings.alpha)
    return GuardRule.model_validate(
        {
            "name": name,
            "signals": list(GUARDS[name]),
            "centre": rule.linear.centre.tolist(),
            "spread": rule.linear.spread.tolist(),
            "weights": rule.linear.weights.tolist(),
            "fitted_to": rule.fitted_to,
            "at": at,
            "caught": rate(int(gone[report].sum()) - at.missed.k, int(gone[report].sum())),
            "curve": [_at(observed, rule, alpha) for alpha in _alphas(observed)],
        }
    )


def _at(observed: GuardObserved, rule: Rule, alpha: float) -> AtAlpha:
    threshold = threshold_of(observed, rule, alpha)
    report, gone = observed.part == REPORT, lost(observed)
    flagged, n = rule.scores >= threshold, int(report.sum())
    cost = rate(int(flagged[report].sum()), n)
    whole = rate(int(gone[report].sum()), n)
    left = 1 - cost.k / n
    parts = [left * (share or 0.0) for share in (whole.value, whole.low, whole.high)]
    finite = math.isfinite(threshold)
    return AtAlpha(
        alpha=alpha,
        flags="some" if finite else ("all" if threshold < 0 else "none"),
        threshold=threshold if finite else None,
        cost=cost,
        missed=rate(int((gone & ~flagged)[report].sum()), n),
        missed_at_random=Chance(value=parts[0], low=parts[1], high=parts[2]),
    )


def _telling(name: str, observed: GuardObserved, changed: Truths) -> Telling:
    """Over the calibration and the reporting part: the rule was fitted to the first."""
    there = (observed.part != FIT) & (observed.prediction != NONE)
    values, signs = observed.signals[name][there], changed[there]
    if signs.all() or not signs.any():
        return Telling(signal=name, value=None, low=None, high=None)
    found = auroc(values[signs], values[~signs])
    return Telling(signal=name, value=found.value, low=found.low, high=found.high)


def _judged(observed: GuardObserved) -> Judged:
    report = observed.part == REPORT
    in_float, quantized = observed.float_prediction[report], observed.prediction[report]
    target = in_float if observed.labels is None else observed.labels[report]
    guarded = np.where(flagged_by(observed, chosen(observed.settings))[report], in_float, quantized)
    rights = [(one == target) & (one != NONE) for one in (in_float, quantized, guarded)]
    n = int(report.sum())
    pairs = ((0, 1), (1, 2), (0, 2))
    changes = with_holm([change_between(rights[a], rights[b]) for a, b in pairs])
    rates = [rate(int(right.sum()), n) for right in rights]
    return Judged(
        in_float=rates[0],
        quantized=rates[1],
        guarded=rates[2],
        changes=[change for change in changes if change is not None],
    )


def _exported_alike(observed: GuardObserved) -> tuple[Rate | None, Rate | None]:
    file = observed.exported
    if file is None:
        return None, None
    report = observed.part == REPORT
    ours = flagged_by(observed, exportable(observed.settings))[report]
    n = int(report.sum())
    flags = int((ours == (file.needs_float == 1)).sum())
    return rate(flags, n), rate(int((file.prediction == observed.prediction[report]).sum()), n)


def problems(observed: GuardObserved) -> Iterator[str]:
    """What contradicts itself, the gravest first; whoever asks needs only the first."""
    subject, asked, n = observed.subject, observed.settings, len(observed.ids)
    yield from twice(observed.ids, "example id")
    if subject.n_examples != n:
        yield f"n_examples is {subject.n_examples}, but there are {n} examples"
    if observed.provenance.seed != asked.seed:
        yield f"the seed is {observed.provenance.seed}, and {asked.seed} in settings"
    if subject.labelled != (observed.labels is not None):
        yield "labelled goes with labels"
    if asked.against == "auto" or (asked.against == "label" and observed.labels is None):
        yield f"against {asked.against} says not what losses are counted against"
    counts = {
        "part": len(observed.part),
        "prediction": len(observed.prediction),
        "float_prediction": len(observed.float_prediction),
        "labels": n if observed.labels is None else len(observed.labels),
        **{name: len(values) for name, values in observed.signals.items()},
    }
    for name, count in counts.items():
        if count != n:
            yield f"{name} is of {count} examples, not of {n}"
    yield from _values(observed)
    yield from _parts(observed)


def _values(observed: GuardObserved) -> Iterator[str]:
    classes = observed.subject.n_classes
    named = [("predictions", observed.prediction), ("float", observed.float_prediction)]
    if observed.labels is not None:
        named.append(("labels", observed.labels))
    for name, found in named:
        least = 0 if name == "labels" else NONE
        if len(found) and not least <= found.min() <= found.max() < classes:
            yield f"{name} are not among classes 0 to {classes - 1}"
    if observed.signals.keys() != SIGNALS.keys():
        yield f"the signals are {[*observed.signals]}"
    for name, values in observed.signals.items():
        if not (np.abs(values) <= _MOST).all():  # a NaN is not either
            yield f"signal {name!r} is not finite everywhere"
    points = sum(point.quantized for point in observed.subject.points)
    if len(observed.usual_peaks) != points or not (observed.usual_peaks >= 0).all():
        yield f"usual_peaks are not one number of 0 or more at each of {points} points"


def _parts(observed: GuardObserved) -> Iterator[str]:
    asked = observed.settings
    if len(observed.part) and not FIT <= observed.part.min() <= observed.part.max() <= REPORT:
        yield "part is not 0, 1 or 2 everywhere"
    counts = [int((observed.part == part).sum()) for part in (FIT, CALIBRATE, REPORT)]
    if counts[FIT] < 2 or not counts[REPORT]:
        yield f"there are {counts[FIT]} examples to fit to, and {counts[REPORT]} to report on"
    if counts[CALIBRATE] < (needed := examples_needed(asked.alpha, asked.delta)):
        yield f"there are {counts[CALIBRATE]} examples to calibrate on, and {needed} are needed"
    file = observed.exported
    if file is not None:
        if not len(file.needs_float) == len(file.prediction) == counts[REPORT]:
            yield "the exported file was not run on the examples reported on"
        elif not np.isin(file.needs_float, (0, 1)).all():
            yield "needs_float is neither 0 nor 1"
