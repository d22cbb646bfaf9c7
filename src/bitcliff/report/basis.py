"""Which examples a policy's figures speak of, and what float makes of the very same ones.

A fixed placement is reported on one half of the examples, and a numeric failure counts for nobody:
5 of 10 must not be read against float's 18 of 20.
"""

from bitcliff.record import PolicyResult, Record
from bitcliff.record.arrays import NONE
from bitcliff.report.formatting import clean, noun
from bitcliff.stats import rate
from bitcliff.types.rate import Rate


def float_on_same(record: Record, policy: PolicyResult) -> Rate | None:
    """Float's right answers on the examples behind the policy's accuracy; None without labels."""
    if not record.subject.labelled:
        return None
    found, table = record.outcomes[policy.name], record.table
    whole = (table.prediction[found.index] != NONE) & (found.prediction != NONE)
    right = (table.prediction == table.targets)[found.index]
    return rate(int((right & whole).sum()), int(whole.sum()))


def is_partial(record: Record, policy: PolicyResult) -> bool:
    """The policy speaks of fewer examples than float does."""
    return 0 < policy.agreement.n < int((record.table.prediction != NONE).sum())


def same_text(record: Record, policy: PolicyResult) -> str:
    """ "float on the same: 9/10" where the policy speaks of fewer examples; else empty."""
    same = float_on_same(record, policy)
    if same is None or not is_partial(record, policy):
        return ""
    return f"float on the same: {same.k}/{same.n}"


def partial_notes(record: Record) -> list[str]:
    """A sentence for each group of policies that speak of equally many, fewer examples."""
    groups: dict[tuple[int, int | None], list[str]] = {}
    for policy in record.policies:
        if is_partial(record, policy):
            same = float_on_same(record, policy)
            key = (policy.agreement.n, None if same is None else same.k)
            groups.setdefault(key, []).append(policy.name)
    n, several = record.subject.n_examples, noun(record, record.subject.n_examples)
    return [
        f"{_together(record, names)}: measured on {some} of {n} {several}"
        + ("." if right is None else f"; float has {right} of these {some} right.")
        for (some, right), names in groups.items()
    ]


def folding_note(record: Record) -> str:
    """What folding BatchNorm changed, in a sentence; empty where it was not asked for."""
    folding = record.folding
    if folding is None:
        return ""
    if not folding.names:
        return "BatchNorm: none that follows a layer alone, so nothing was folded."
    count, largest = len(folding.names), folding.largest_difference
    changed, n = len(folding.changed), record.subject.n_examples
    return (
        f"{count} BatchNorm{' was' if count == 1 else 's were'} folded into the layer before; in "
        f"float this moves scores by at most {largest:.2g} and changes {changed} of {n} "
        "decisions."
    )


def _together(record: Record, names: list[str]) -> str:
    """The names, those of all conditions of a kind as one."""
    kinds = {name: record.by_name[name].kind for name in names}
    whole = {*kinds.values()} - {p.kind for p in record.policies if p.name not in names}
    shown = [kinds[name] if kinds[name] in whole else name for name in names]
    return ", ".join(clean(name, 40) for name in dict.fromkeys(shown))
