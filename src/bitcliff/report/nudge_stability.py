"""Do the flips that were found stay when the input is nudged? In words, and example by example.

An allocation that a search found may sit on one machine's last digits. A nudge of one part in a
million stands for another machine's arithmetic: what stays under it will be seen elsewhere too.
"""

from bitcliff.record import ExampleRow, Outcome, PolicyResult, Record
from bitcliff.report.formatting import clean, noun


def count_stays(row: ExampleRow, outcome: Outcome) -> tuple[int, int] | None:
    """In how many repeats a flip stays, and of how many; None where it is no flip or not repeated.

    It stays where the answer is still another than in float; a repeat that gave NaN or infinity
    shows no flip.
    """
    flipped = outcome.prediction not in (None, row.float_prediction)
    if not outcome.repeats or row.float_prediction is None or not flipped:
        return None
    stays = sum(one not in (None, row.float_prediction) for one in outcome.repeats)
    return stays, len(outcome.repeats)


def any_repeated(record: Record) -> bool:
    """Whether any search's flips were repeated at all; older records know nothing of it."""
    return any(policy.repeated is not None for policy in record.policies)


def repeats_short(record: Record, policy: PolicyResult | None) -> str:
    """One sentence on how many of a policy's flips stay; empty where it is not known."""
    if policy is None or policy.repeated is None or policy.repeated.n == 0:
        return ""
    stay, found = policy.repeated.k, policy.repeated.n
    flips = "flip" if found == 1 else "flips"
    count = "None" if stay == 0 else f"{'Only ' if 2 * stay <= found else ''}{stay}"
    verb = "stays" if stay <= 1 else "stay"
    return (
        f"{count} of the {found} {flips} found under {clean(policy.name, 40)} {verb} in "
        f"{_every(record, policy)} with the {noun(record, 1)} nudged by one part in a million."
    )


def repeats_sentence(record: Record, policy: PolicyResult | None) -> str:
    """The same with what follows from it."""
    short = repeats_short(record, policy)
    if policy is None or policy.repeated is None or not short:
        return ""
    stay, gone = policy.repeated.k, policy.repeated.n - policy.repeated.k
    one, several = ("it", "they") if stay == 0 else ("the other", "the others")
    rest = one if gone == 1 else several
    if gone == 0:
        what = "it does" if stay == 1 else "they do"
        return f"{short[:-1]}: {what} not hang on one machine’s rounding."
    if stay <= gone:
        verb = "hangs" if gone == 1 else "hang"
        return f"{short[:-1]}: {rest} {verb} on the last digits and may not show elsewhere."
    return (
        f"{short[:-1]}: these do not hang on one machine’s rounding; {rest} may not show elsewhere."
    )


def nudged_right(record: Record, policy: PolicyResult) -> list[int]:
    """How many examples are right in each repeat; empty without labels or repeats."""
    found, labels = record.outcomes[policy.name], record.table.labels
    if found.repeats is None or labels is None:
        return []
    return [int(right) for right in (found.repeats == labels[found.index]).sum(1)]


def nudged_sentence(record: Record, policy: PolicyResult | None) -> str:
    """What becomes of the worst case found on another machine, as far as a nudge can tell.

    A search keeps what was worst on this machine, so that its number leans that way.
    """
    counts = nudged_right(record, policy) if policy is not None else []
    if policy is None or policy.accuracy is None or not counts:
        return ""
    low, high, right = min(counts), max(counts), policy.accuracy
    span = f"{low}" if low == high else f"{low} to {high}"
    still, instead = ("still ", "") if low == high == right.k else ("", f" instead of {right.k}")
    return (
        f"With the same bits and the {noun(record, 1)} nudged by one part in a million, "
        f"{still}{span} of {right.n} {'is' if high == 1 else 'are'} right{instead}."
    )


def _every(record: Record, policy: PolicyResult) -> str:
    repeats = record.outcomes[policy.name].repeats
    most = 0 if repeats is None else len(repeats)
    return f"all {most} repeats" if most > 1 else "the repeat" if most == 1 else "every repeat"
