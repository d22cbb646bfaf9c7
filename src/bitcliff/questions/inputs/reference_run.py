"""Comparing with another network on the same data: the paper's transitory points of a pair."""

from bitcliff.errors import InputError
from bitcliff.questions.inputs.record import Twin
from bitcliff.records import Record
from bitcliff.stats import transitory
from bitcliff.types.rate import Rate


def check_twin(record: Record, twin: Record) -> Twin:
    """What the twin is, and how many examples it shares.

    Raises:
        InputError: a run without labels, no example in common, or other labels.
    """
    if not (record.subject.labelled and twin.subject.labelled):
        raise InputError("--against: both runs need labels, to know what is right")
    labels = {row.id: row.label for row in twin.examples}
    common = [row for row in record.examples if row.id in labels]
    if not common:
        raise InputError(
            f"--against: its examples ({twin.subject.data}) are others than those of this run "
            f"({record.subject.data}); give a run on the same data"
        )
    for row in common:
        if row.label != labels[row.id]:
            raise InputError(
                f"--against: it labels {row.id!r} otherwise than this run; "
                "give a run on the same data"
            )
    return Twin(
        model=twin.subject.model,
        weights_sha256=twin.provenance.weights_sha256,
        n_common=len(common),
    )


def transitory_points(record: Record, twin: Record, policy: str) -> tuple[Rate, Rate]:
    """Right in float in both networks and wrong in this one under the policy.

    Examples without an answer, in either float or under the policy, do not count.

    Returns:
        Out of those right in both, and out of all that the two runs have in common.
    """
    theirs = {row.id: row.float_prediction for row in twin.examples}
    rows = [
        (row, row.outcomes[policy])
        for row in record.examples
        if row.float_prediction is not None
        and row.outcomes[policy].prediction is not None
        and theirs.get(row.id) is not None
    ]
    return transitory(
        [row.label == row.float_prediction == theirs[row.id] for row, _ in rows],
        [outcome.prediction == row.label for row, outcome in rows],
    )
