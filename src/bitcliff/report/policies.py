"""The policies' table: which policies stand in it, grouped and in order."""

from bitcliff.record import PolicyResult, Record
from bitcliff.report.formatting import Family, family_of, family_order

Group = tuple[Family, list[PolicyResult]]
"""The policies of one family, by mean bits."""


def policy_groups(record: Record) -> list[Group]:
    """All policies of the record, grouped by family in the report's order."""
    groups: dict[str, list[PolicyResult]] = {}
    for policy in sorted(record.policies, key=lambda p: (family_order(p), p.mean_bits or 0)):
        groups.setdefault(policy.kind, []).append(policy)
    return [(family_of(members[0]), members) for members in groups.values()]
