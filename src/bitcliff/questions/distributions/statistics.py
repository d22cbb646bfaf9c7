"""From outcomes and features to the worst slices, curves of reweighting and what a shift adds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bitcliff.questions.at_risk import Mask, Under, Values, under
from bitcliff.questions.distributions.record import (
    ClusterOf,
    Condition,
    Described,
    Distributions,
    DistributionsObserved,
    SecondSet,
    Shift,
    Slice,
    SliceKey,
    UnderPolicy,
)
from bitcliff.questions.explained import about_explained
from bitcliff.questions.halves import Halves
from bitcliff.questions.prediction_checks import margin_problems, prediction_problems
from bitcliff.record import AnswerKind, Record
from bitcliff.record.outcomes import Outcomes, Table
from bitcliff.record.problems import twice
from bitcliff.stats import (
    difference_of_changes,
    fisher_greater,
    paired_change,
    rate,
    reweighted,
    with_holm,
)
from bitcliff.stats.subgroups import worst_group
from bitcliff.types.change import PairedChange
from bitcliff.types.rate import Rate
from bitcliff.types.reweighted import Reweighted

# Cuts of a feature: between tenths of the half on which slices are looked for.
_CUTS = tuple(number / 10 for number in range(1, 10))
# Standard errors that a cluster must be ahead of what says more to people.
_OF_A_CLUSTER = 1.0


@dataclass(frozen=True)
class _Set:
    """A set of examples with what is known of each; `half` is for what is chosen."""

    table: Table
    described: Described
    half: npt.NDArray[np.int32]

    @property
    def halves(self) -> Halves:
        return Halves(len(self.table), self.half)

    def values(self, key: SliceKey) -> Values | None:
        """(n,) NaN where there is none."""
        if key == "class":
            return _known(self.table.targets)
        if key == "cluster":
            return None if self.described.cluster is None else _known(self.described.cluster)
        return next((one.values for one in self.described.features if one.key == key), None)

    def holding(self, conditions: Sequence[Condition]) -> Mask:
        """(n,) whether all of them hold; where something is not known, they do not."""
        found = np.ones(len(self.table), dtype=bool)
        for one in conditions:
            values = self.values(one.key)
            found &= False if values is None else _holds(one, values)
        return found


def _known(numbers: np.ndarray) -> Values:
    return np.where(numbers < 0, np.nan, numbers.astype(np.float64))


def _holds(condition: Condition, values: Values) -> Mask:
    match condition.at:
        case "most":
            found = values <= condition.value
        case "least":
            found = values >= condition.value
        case _:
            found = values == condition.value
    return np.asarray(found)


def figures(record: Record, observed: DistributionsObserved) -> Distributions:
    """Every figure that the outcomes of a record give, together with the features."""
    own, second = _Set(record.table, observed.described, observed.half), observed.second
    halves = own.halves
    candidates = _candidates(own) if halves.held_out else []
    rows = [
        _under_policy(own, name, record.outcomes[name], candidates, second)
        for name in observed.policies
    ]
    return Distributions(
        looked_for=halves.held_out,
        half=len(halves.half),
        rest=len(halves.rest),
        clusters=observed.clusters,
        of_clusters=[*_of_clusters(own)],
        features={one.key: one.measured for one in observed.described.features},
        not_measured=observed.described.not_measured,
        second=None if second is None else second.data,
        n_second=0 if second is None else len(second.table),
        policies=_adjusted(rows),
    )


def _candidates(own: _Set) -> list[Condition]:
    """Every condition that a slice may have, made of the first half alone."""
    half, found = own.halves.half, list[Condition]()
    for feature in own.described.features:
        known = feature.values[half][np.isfinite(feature.values[half])]
        cuts = np.unique(np.quantile(known, _CUTS)).tolist() if len(known) else []
        for at in ("most", "least"):
            found += [Condition(key=feature.key, at=at, value=cut) for cut in cuts]
    for key in ("class", "cluster"):
        values = own.values(key)
        if values is not None:
            kinds = np.unique(values[half][np.isfinite(values[half])]).tolist()
            found += [Condition(key=key, at="is", value=one) for one in kinds]
    return found


def _of_clusters(own: _Set) -> Iterator[ClusterOf]:
    clusters, targets = own.described.cluster, own.table.targets
    if clusters is None:
        return
    for one in np.unique(clusters[clusters >= 0]).tolist():
        inside = targets[(clusters == one) & (targets >= 0)]
        if len(inside):
            counts = np.bincount(inside)
            label = int(counts.argmax())
            of_label = rate(int(counts[label]), len(inside))
            yield ClusterOf(cluster=one, label=label, of_label=of_label)


def _under_policy(
    own: _Set,
    name: str,
    outcomes: Outcomes,
    candidates: Sequence[Condition],
    second: SecondSet | None,
) -> UnderPolicy:
    found = under(own.table, outcomes)
    change = _change(own.table, found, found.whole)
    groups = [one for one in candidates if one.key == "class"]
    return UnderPolicy(
        policy=name,
        failed=int((~found.whole).sum()),
        change=change,
        curve=_curve(own.table, change),
        group=_slice(own, found, name, groups, second),
        slice=_slice(own, found, name, candidates, second),
        shift=None if second is None else _shift(change, name, second),
    )


def _change(table: Table, found: Under, among: Mask) -> PairedChange:
    """Of right predictions; without labels all are right in float."""
    lost = int((found.risk & among).sum())
    if table.labels is None:
        return paired_change(int(among.sum()), lost, 0)
    gained = (table.prediction != table.labels) & (found.prediction == table.labels) & found.whole
    return paired_change(int(among.sum()), lost, int((gained & among).sum()))


def _curve(table: Table, change: PairedChange) -> list[Reweighted]:
    """Of the drop: 1 where a right prediction is lost, -1 where one is gained."""
    rest = change.n - change.lost - change.gained
    drops = np.repeat([1.0, 0.0, -1.0], [change.lost, rest, change.gained])
    return reweighted(drops, (0.0, 1.0) if table.labels is None else (-1.0, 0.0, 1.0))


def _slice(
    own: _Set,
    found: Under,
    name: str,
    candidates: Sequence[Condition],
    second: SecondSet | None,
) -> Slice | None:
    """Chosen on the first half, shown on the other one."""
    able, halves = found.risk | found.safe, own.halves
    chosen_on = halves.half[able[halves.half]]
    holds = np.array([own.holding([one])[chosen_on] for one in candidates], dtype=bool)
    about = [one.key for one in candidates]
    costs = [_OF_A_CLUSTER if key == "cluster" else 0.0 for key in about]
    group = worst_group(holds, about, found.risk[chosen_on], costs) if len(candidates) else None
    if group is None:
        return None
    conditions = [candidates[number] for number in group.conditions]
    inside, rest = own.holding(conditions), _mask(len(able), halves.rest)
    shown, elsewhere = (_lost(found, rest & mask) for mask in (inside, ~inside))
    return Slice(
        conditions=conditions,
        chosen=_lost(found, inside & ~rest),
        inside=shown,
        outside=elsewhere,
        change=_change(own.table, found, inside & rest & found.whole),
        p_value=fisher_greater(shown.k, shown.n, elsewhere.k, elsewhere.n),
        second=None if second is None else _on_second(second, name, conditions),
    )


def _mask(n: int, places: np.ndarray) -> Mask:
    found = np.zeros(n, dtype=bool)
    found[places] = True
    return found


def _lost(found: Under, among: Mask) -> Rate:
    able = (found.risk | found.safe) & among
    return rate(int((found.risk & among).sum()), int(able.sum()))


def _on_second(second: SecondSet, name: str, conditions: Sequence[Condition]) -> Rate:
    nobody = np.zeros(0, dtype=np.int32)
    inside = _Set(second.table, second.described, nobody).holding(conditions)
    return _lost(under(second.table, second.outcomes[name]), inside)


def _shift(own: PairedChange, name: str, second: SecondSet) -> Shift:
    found = under(second.table, second.outcomes[name])
    change = _change(second.table, found, found.whole)
    difference = difference_of_changes(own, change)
    return Shift(change=change, difference=difference, curve=_curve(second.table, change))


def _adjusted(rows: Sequence[UnderPolicy]) -> list[UnderPolicy]:
    """The tests of all slices are one family, those of all differences another."""
    slices = iter(with_holm([one for row in rows for one in (row.group, row.slice)]))
    differences = iter(with_holm([row.shift and row.shift.difference for row in rows]))
    found = []
    for row in rows:
        group, worst, more = next(slices), next(slices), next(differences)
        shift = row.shift and row.shift.model_copy(update={"difference": more})
        update = {"group": group, "slice": worst, "shift": shift}
        found.append(row.model_copy(update=update))
    return found


def problems(record: Record, observed: DistributionsObserved) -> Iterator[str]:
    """What contradicts the record, or itself."""
    yield from about_explained(record, observed.policies)
    yield from Halves(len(record.table), observed.half).problems
    yield from _described(observed.described, len(record.table))
    if observed.second is not None:
        for problem in _second(record, observed, observed.second):
            yield f"the second set: {problem}"


def _described(found: Described, n: int) -> Iterator[str]:
    keys = [*(one.key for one in found.features), *(one.key for one in found.not_measured)]
    yield from twice(keys, "feature")
    if any(len(one.values) != n for one in found.features):
        yield f"a feature is not of {n} examples"
    if found.cluster is not None and (len(found.cluster) != n or found.cluster.min() < -1):
        yield f"clusters are not of {n} examples"


def _second(record: Record, observed: DistributionsObserved, second: SecondSet) -> Iterator[str]:
    table, n = second.table, len(second.table)
    yield from twice(table.ids, "example id")
    if not n or (table.labels is None) != (record.table.labels is None):
        yield "has no examples, or labels where the record has none, or none where it has some"
        return
    if table.labels is not None and (len(table.labels) != n or table.labels.min() < 0):
        yield "has not a label for each example"
    every = [("float", table.prediction, table.margin)]
    every += [(name, one.prediction, one.margin) for name, one in second.outcomes.items()]
    for name, prediction, margin in every:
        for problem in (
            *prediction_problems(record, prediction, n),
            *margin_problems(prediction, margin),
        ):
            yield f"{name} {problem}"
    yield from _described(second.described, n)
    if [*second.outcomes] != observed.policies:
        yield "is not of the explained policies, in their order"
    if any(
        one.places is not None or (one.in_float is not None and len(one.in_float) != n)
        for one in second.outcomes.values()
    ):
        yield "outcomes are not of every example"


KIND = AnswerKind(DistributionsObserved, figures, problems)
