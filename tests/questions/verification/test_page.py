"""The page says how many answers are right in the runtime, not only how many are alike."""

import io

from rich.console import Console

from bitcliff.questions.verification.page import (
    render_verification,
    right_elsewhere,
    verification_view,
)
from bitcliff.questions.verification.record import DifferingExample, Verification
from bitcliff.records import Record
from bitcliff.stats import rate
from tests.records.test_verification import verified


def with_one_put_right(labelled: bool = True) -> Record:
    """The runtime gives one example that the worst case broke its right answer back."""
    record = verified()
    found = record.verification
    assert found is not None
    (policy,) = found.policies
    measured = [row for row in record.examples if policy.policy in row.outcomes]
    row = next(
        row for row in measured if row.outcomes[policy.policy].prediction != row.float_prediction
    )
    right = row.label if labelled else row.float_prediction
    differing = DifferingExample(
        id=row.id,
        ours=row.outcomes[policy.policy].prediction,
        runtime=right,
        margin=0.1,
        first_point=None,
        nudged=None,
    )
    n = len(measured)
    changed = policy.model_copy(update={"decisions": rate(n - 1, n), "differing": [differing]})
    subject = record.subject.model_copy(update={"labelled": labelled})
    return record.model_copy(
        update={
            "subject": subject,
            "verification": found.model_copy(update={"policies": [changed]}),
        }
    )


def found_in(record: Record) -> Verification:
    assert record.verification is not None
    return record.verification


def test_right_answers_are_counted_in_the_runtime_and_simulated() -> None:
    record = with_one_put_right()
    (policy,) = found_in(record).policies
    rows = [row for row in record.examples if policy.policy in row.outcomes]
    expected = sum(row.outcomes[policy.policy].prediction == row.label for row in rows)
    theirs, ours = right_elsewhere(record, policy)
    assert (ours.k, ours.n) == (expected, len(rows))
    assert (theirs.k, theirs.n) == (expected + 1, len(rows))


def test_without_labels_it_is_agreement_with_float() -> None:
    record = with_one_put_right(labelled=False)
    (policy,) = found_in(record).policies
    rows = [row for row in record.examples if policy.policy in row.outcomes]
    same = sum(row.outcomes[policy.policy].prediction == row.float_prediction for row in rows)
    theirs, ours = right_elsewhere(record, policy)
    assert (ours.k, theirs.k) == (same, same + 1)
    view = verification_view(record)
    assert view is not None
    assert "As in float in the runtime" in view.headings
    assert any("decided as in float" in sentence for sentence in view.sentences)


def test_the_worst_case_has_a_sentence_with_its_interval() -> None:
    record = with_one_put_right()
    (policy,) = found_in(record).policies
    theirs, ours = right_elsewhere(record, policy)
    console = Console(file=io.StringIO(), width=250)
    render_verification(record, found_in(record), console)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert f"Under {policy.policy} the runtime has" in printed
    assert f"({theirs.k}/{theirs.n}) right" in printed
    assert "simulated it is" in printed
    assert f"({ours.k}/{ours.n})." in printed


def test_no_policy_loses_its_name_in_a_narrow_terminal() -> None:
    record = with_one_put_right()
    for width, shown in ((80, False), (120, True)):
        console = Console(file=io.StringIO(), width=width)
        render_verification(record, found_in(record), console)
        printed = console.file.getvalue()  # type: ignore[attr-defined]
        for policy in found_in(record).policies:
            assert policy.policy in printed.split()
        assert ("first" in printed.split()) is shown
