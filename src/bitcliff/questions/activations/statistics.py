"""Every figure on the values at the points, from the numbers of each example."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import numpy.typing as npt

from bitcliff import stats
from bitcliff.questions.activations.causes import (
    CAUSES,
    DECIDES,
    UNHARMED,
    cause_of_each,
    cause_of_point,
    hidden_damage,
)
from bitcliff.questions.activations.record import (
    COLUMNS,
    COLUMNS_BEFORE,
    Activations,
    ActivationsObserved,
    Numbers,
    PointActivations,
    PointObserved,
    PolicyActivations,
)
from bitcliff.questions.layers.statistics import inflection
from bitcliff.record import AnswerKind, Record

_LOW_IS_BAD = ("bits", "local_db", "arriving_db", "earlier_db", "total_db")

_BOUNDS: Mapping[str, tuple[float, float]] = {
    "bits": (0, 64),
    **dict.fromkeys(("collapsed", "offset", "channels_lost", "tokens_lost"), (0, 1)),
    **dict.fromkeys((name for name in COLUMNS if name.endswith("_db")), (-150, 150)),
    # Both may be without bound; from below, what they are is, but for rounding.
    "kurtosis": (-3, np.inf),
    **dict.fromkeys(("peak", "channel_ratio", "token_ratio"), (0, np.inf)),
}

Columns = Mapping[str, npt.NDArray[np.float64]]
"""(n,) each."""


def figures(record: Record, observed: ActivationsObserved) -> Activations:
    """Sparsity, causes and pooled numbers of every point.

    Where the layers were asked about, no point that breaks the network is told to be unharmed.
    """
    policies = []
    for one in observed.policies:
        broken = inflection(record, one.policy)
        points, hidden = list[PointActivations](), np.zeros(0, dtype=bool)
        for index, point in enumerate(one.points):
            columns, n = _columns_of(point), point.columns.shape[1]
            if len(hidden) != n:  # of fewer examples it is not known which these are
                hidden = np.zeros(n, dtype=bool)
            points.append(_point(point, columns, index in broken, hidden))
            hidden = hidden | hidden_damage(columns)
        policies.append(PolicyActivations(policy=one.policy, points=points))
    return Activations(policies=policies)


def problems(record: Record, observed: ActivationsObserved) -> Iterator[str]:
    """What contradicts the record, or itself."""
    explained = record.explained.policies if record.explained else []
    # Runtimes show no bits, and are not asked for their values.
    policies = [name for name in explained if name not in record.names_deployed]
    if not policies or [one.policy for one in observed.policies] != policies:
        yield "not of the explained policies, in their order"
    names = [point.name for point in record.subject.points if point.quantized]
    for policy in observed.policies:
        if [point.name for point in policy.points] != names:
            yield f"of {policy.policy!r}: not of the quantized points, in their order"
        for point in policy.points:
            for problem in (*_histograms(point), *_columns(point, len(record.table))):
                yield f"of {policy.policy!r}, {point.name!r}: {problem}"


def _histograms(point: PointObserved) -> Iterator[str]:
    before, after, zero = point.before, point.after, -point.first_bin
    if not 0 <= zero < len(before.counts) == len(after.counts):
        yield f"the bin about zero is {zero} of {len(before.counts)}"
        return
    if sum(before.counts) != sum(after.counts):
        yield f"{sum(before.counts)} values before, {sum(after.counts)} after"
    if any(one.exactly_zero > one.counts[zero] for one in (before, after)):
        yield "more values are zero than are about zero"
    if bool(sum(before.counts)) != bool(point.columns.size):
        yield "values go with numbers of examples"


def _columns(point: PointObserved, examples: int) -> Iterator[str]:
    rows, known = point.columns.shape
    if rows not in (len(COLUMNS), len(COLUMNS_BEFORE)) or known > examples:
        yield f"numbers of shape {point.columns.shape} for {examples} examples"
        return
    for name, column in zip(COLUMNS, point.columns, strict=False):
        low, high = _BOUNDS[name]
        if ((column < low) | (column > high)).any():
            yield f"{name} beyond {low:g} to {high:g}"


def _columns_of(point: PointObserved) -> dict[str, npt.NDArray[np.float64]]:
    """By name; NaN where an older record does not have them."""
    # What is stored is float32; worked out in float64, medians are the same everywhere.
    columns = {name: np.full(point.columns.shape[1], np.nan) for name in COLUMNS}
    columns |= zip(COLUMNS, point.columns.astype(np.float64), strict=False)
    return columns


def _point(
    point: PointObserved, columns: Columns, breaks: bool, hidden: npt.NDArray[np.bool_]
) -> PointActivations:
    causes = cause_of_each(columns, hidden)
    cause = cause_of_point(causes, breaks)
    values = sum(point.before.counts)
    about_zero = [
        one.counts[-point.first_bin] / values if values else None
        for one in (point.before, point.after)
    ]
    has_it = np.array([cause in (each, DECIDES) for each in causes], dtype=bool)
    return PointActivations(
        name=point.name,
        n=len(causes),
        sparsity_before=about_zero[0],
        sparsity_after=about_zero[1],
        cause=cause,
        causes={each: causes.count(each) for each in CAUSES if each in causes},
        harmed=stats.rate(len(causes) - causes.count(UNHARMED), len(causes)),
        median=_medians(columns),
        worst=_numbers(columns, {key: np.min if key in _LOW_IS_BAD else np.max for key in COLUMNS}),
        typical=_medians(columns, has_it),
    )


def _medians(columns: Columns, among: npt.NDArray[np.bool_] | None = None) -> Numbers:
    chosen = {key: column if among is None else column[among] for key, column in columns.items()}
    return _numbers(chosen, dict.fromkeys(COLUMNS, np.median))


def _numbers(columns: Columns, how: Mapping[str, Callable[..., float]]) -> Numbers:
    """Pooled over the examples that have the number; None where none has, or it has no bound."""
    found: dict[str, float | None] = {}
    for key, column in columns.items():
        known = column[~np.isnan(column)]
        value = float(how[key](known)) if len(known) else np.nan
        found[key] = value if np.isfinite(value) else None
    return Numbers(**found)


KIND = AnswerKind(ActivationsObserved, figures, problems)
"""Schema 1.x held no numbers of single examples: its answers are left out."""
