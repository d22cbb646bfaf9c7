"""The policies' table: one row a policy, grouped by family, every cell a text."""

from dataclasses import dataclass

from bitcliff.records import ClassRate, Effort, Flips, PolicyResult, Record
from bitcliff.report.basis import same_text
from bitcliff.report.repeats import repeated_text
from bitcliff.report.words import (
    NOTHING,
    Family,
    class_name,
    clean,
    count_text,
    family_of,
    family_order,
    mean_text,
    p_text,
    percent,
    rate_interval,
    rate_text,
    signed,
)
from bitcliff.types.rate import Rate
from bitcliff.verdict import Status, Verdict


@dataclass(frozen=True)
class Whisker:
    """A rate and its interval as places on a line 100 units long."""

    low: float
    value: float
    high: float


@dataclass(frozen=True)
class PolicyRow:
    """One policy as the report's table shows it; `status` only where it was judged.

    `same`: what float makes of the same examples, where the policy speaks of fewer than float does.
    """

    name: str
    threat: str
    mean: str
    whisker: Whisker | None
    share: str
    share_interval: str
    same: str
    draws: str
    agreement: str
    flips: str
    repeated: str
    lost: str
    gained: str
    delta: str
    delta_interval: str
    p_value: str
    p_holm: str
    freedom: str
    worst_class: str
    failures: str
    any_failure: bool
    effort: str
    status: Status | None


@dataclass(frozen=True)
class PolicyGroup:
    """The policies of one family, by mean bits."""

    family: Family
    rows: tuple[PolicyRow, ...]


def policy_groups(record: Record, verdict: Verdict) -> list[PolicyGroup]:
    """All policies of the record, grouped by family in the report's order."""
    statuses = {judgement.policy: judgement.status for judgement in verdict.judgements}
    ordered = sorted(record.policies, key=lambda one: (family_order(one), one.mean_bits or 0))
    groups: dict[str, list[PolicyResult]] = {}
    for policy in ordered:
        groups.setdefault(policy.kind, []).append(policy)
    return [
        PolicyGroup(
            family_of(members[0]),
            tuple(_row(record, policy, statuses.get(policy.name)) for policy in members),
        )
        for members in groups.values()
    ]


def _row(record: Record, policy: PolicyResult, status: Status | None) -> PolicyRow:
    shown = policy.accuracy if record.subject.labelled else policy.agreement
    change = policy.change
    flips, failures, effort = policy.flips, policy.numeric_failures, policy.effort
    freedom = policy.condition.policy_freedom_log2
    return PolicyRow(
        name=clean(policy.name),
        threat=policy.threat,
        mean=mean_text(policy.mean_bits),
        whisker=_whisker(shown),
        share=rate_text(shown),
        share_interval=rate_interval(shown),
        same=same_text(record, policy),
        draws=_draws(policy, record.subject.labelled),
        agreement=rate_text(policy.agreement),
        flips=_flips(flips),
        repeated=repeated_text(policy),
        lost=NOTHING if flips.lost is None else str(flips.lost.k),
        gained=NOTHING if flips.gained is None else str(flips.gained.k),
        delta=signed(change.difference_pp if change else None),
        delta_interval=f"{signed(change.low_pp)} to {signed(change.high_pp)}" if change else "",
        p_value=p_text(change.p_value if change else None),
        p_holm=p_text(change.p_holm if change else None),
        freedom=NOTHING if freedom is None else f"{freedom:.1f}",
        worst_class=_worst_class(record, policy.worst_class),
        failures=f"{failures.k}/{failures.n}",
        any_failure=failures.k > 0,
        effort=effort_text(effort),
        status=status,
    )


def effort_text(effort: Effort) -> str:
    """ "48,000 forward, 160 backward"."""
    text = f"{count_text(effort.forward_passes)} forward"
    return text + (
        f", {count_text(effort.backward_passes)} backward" if effort.backward_passes else ""
    )


def _whisker(rate: Rate | None) -> Whisker | None:
    if rate is None or rate.value is None or rate.low is None or rate.high is None:
        return None
    return Whisker(*(round(100 * share, 1) for share in (rate.low, rate.value, rate.high)))


def _flips(flips: Flips) -> str:
    text = f"{flips.all.k}/{flips.all.n}"
    # No flip seen is not no flip: the bound says how many there may be all the same.
    return text if flips.upper_95 is None else f"{text} (≤\u00a0{percent(flips.upper_95)})"


def _draws(policy: PolicyResult, labelled: bool) -> str:
    spread = policy.distribution
    if spread is None:
        return ""
    rates = spread.accuracy if labelled and spread.accuracy is not None else spread.agreement
    counts = [rate.k for rate in rates if rate.n]
    if not counts:
        return ""
    return f"{min(counts)} to {max(counts)} over {spread.draws} draws"


def _worst_class(record: Record, worst: ClassRate | None) -> str:
    if worst is None:
        return NOTHING
    return f"{class_name(record.subject, worst.label)}: {worst.accuracy.k}/{worst.accuracy.n}"
