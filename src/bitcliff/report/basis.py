"""Which examples a policy's figures speak of, and what float makes of the very same ones.

A fixed placement is reported on one half of the examples, and a numeric failure counts for nobody:
5 of 10 must not be read against float's 18 of 20.
"""

import numpy as np

from bitcliff.record import PolicyResult, Record
from bitcliff.record.arrays import NONE
from bitcliff.report.formatting import clean, noun, percent, rate_interval, rate_text
from bitcliff.stats import rate
from bitcliff.types.rate import Rate
from bitcliff.types.settings import AssessSettings


def float_on_same(record: Record, policy: PolicyResult) -> Rate | None:
    """Float's right answers on the examples behind the policy's accuracy; None without labels."""
    if not record.subject.labelled:
        return None
    found, table = record.outcomes[policy.name], record.table
    before = table.before(found)
    whole = (before != NONE) & (found.prediction != NONE)
    right = before == table.targets[found.index]
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


def batches_note(record: Record) -> str:
    """How many examples ran together where a name ends in `-batch`; empty where none does."""
    sizes = sorted({policy.condition.batch_size or 1 for policy in record.policies} - {1})
    return (
        f"Where a name ends in -batch, {' or '.join(map(str, sizes))} examples shared a batch; "
        "the same without it: each example by itself."
        if sizes
        else ""
    )


def folding_note(record: Record) -> str:
    """What folding BatchNorm changed, in a sentence; empty where it was not asked for."""
    folding = record.folding
    if folding is None:
        return ""
    if not folding.names and folding.left == 0:
        return "BatchNorm: the network has none, as where its exporter folded it; nothing to fold."
    if not folding.names:
        return "BatchNorm: none that follows a layer alone, so nothing was folded."
    stay = f"; {folding.left} more follow no layer alone and stay" if folding.left else ""
    count, largest = len(folding.names), folding.largest_difference
    changed, n = len(folding.changed), record.subject.n_examples
    return (
        f"{count} BatchNorm{' was' if count == 1 else 's were'} folded into the layer before; in "
        f"float this moves scores by at most {largest:.2g} and changes {changed} of {n} "
        f"decisions{stay}."
    )


def output_note(record: Record) -> str:
    """What is judged where it is no class, or taken for one, and which of several outputs; else
    empty."""
    subject, told = record.subject, []
    if subject.task != "classification":
        told.append(f"A decision is {clean(subject.decision, 160)}.")
    elif not subject.labelled:
        told.append(
            f"No labels: the largest of {subject.n_classes} outputs is taken as the answer, as for "
            "classes; of numbers to be predicted (regression) this says nothing: for these give "
            "--task values:TOLERANCE."
        )
    if subject.output is not None:
        others = ", ".join(clean(other, 60) for other in subject.other_outputs)
        told.append(f"Judged is the output {clean(subject.output, 60)}, and not {others}.")
    return " ".join(told)


def final_note(record: Record) -> str:
    """What scores come out of last, and what is done about it; empty where it is nothing."""
    final = record.subject.final_activation
    if final in (None, "none"):
        return ""
    what = "logarithms of its probabilities" if final == "softmax" else "log-odds of its scores"
    return (
        f"The network ends in a {final}. Margins are of the {what}; searches follow what the "
        f"{final} is given, where that can be reached."
    )


def warnings(record: Record) -> list[str]:
    """What makes float a doubtful thing to compare with, in a sentence each."""
    return [note for note in (_chance_note(record), _batch_note(record)) if note]


def _chance_note(record: Record) -> str:
    """Float is hardly better than answers given without a look at the inputs."""
    found, by_chance = record.float_.accuracy, chance(record)
    if found is None or by_chance is None or found.low is None or found.k == found.n:
        return ""
    if found.low > by_chance:
        return ""
    return (
        f"Even in float, only {rate_text(found)} of the {noun(record)} are right, 95 % interval "
        f"{rate_interval(found)}: not clearly better than by chance ({percent(by_chance)}). "
        "Are pixels normalised as the network takes them (--mean, --std, --channels), do labels "
        "name its outputs (--label-map), or does another output hold the classes (--output)?"
    )


def chance(record: Record) -> float | None:
    """The share that would be right of answers that are shuffled among the examples, or drawn among
    the labels there are; None without labels, or with only one.
    """
    table = record.table
    if table.labels is None:
        return None
    whole = table.prediction != NONE
    labels, found = table.labels[whole], table.prediction[whole]
    kinds, counts = np.unique(labels, return_counts=True)
    if len(kinds) < 2:
        return None
    answered = np.array([(found == kind).sum() for kind in kinds])
    shuffled = float((counts * answered).sum()) / len(labels) ** 2
    return max(shuffled, 1 / len(kinds))


def _batch_note(record: Record) -> str:
    """What batches do in float, which is not to be blamed on quantization."""
    if record.float_otherwise is None:
        return ""
    size, count = record.float_otherwise
    alike = "each by itself" if size == 1 else f"in batches of {size}"
    return (
        f"Float itself depends on its batch: {alike} it answers {count} of "
        f"{len(record.table)} {noun(record)} differently from what is shown for float. So what is "
        "measured in such batches is compared with float in the same batches."
    )


def _together(record: Record, names: list[str]) -> str:
    """The names, those of all conditions of a kind as one."""
    kinds = {name: record.by_name[name].kind for name in names}
    whole = {*kinds.values()} - {p.kind for p in record.policies if p.name not in names}
    shown = [kinds[name] if kinds[name] in whole else name for name in names]
    return ", ".join(clean(name, 40) for name in dict.fromkeys(shown))


def points_are(record: Record) -> str:
    """In a word; of formats alone each rounds some of the points, and says how many."""
    return "found" if record.settings.explores_nothing else "quantized"


def effort_note(record: Record) -> str:
    """What the time that was allowed has bought, in a sentence; empty where counts were given."""
    asked = record.settings
    if asked.minutes is None:
        return ""
    usual = AssessSettings.model_fields["rounds"].default
    share = "All" if asked.rounds >= usual else f"{100 * asked.rounds / usual:.0f} %"
    return (
        f"{share} of the usual effort, what fits into {asked.minutes:g} min (--minutes) or the "
        "least there is: "
        f"{asked.rounds} search rounds, {asked.exchanges} exchange moves, {asked.evaluations} "
        f"evolutionary evaluations, {asked.draws} random draws. The same again, on any machine: "
        f"--rounds {asked.rounds} --exchanges {asked.exchanges} --evaluations {asked.evaluations} "
        f"--draws {asked.draws}."
    )
