"""What is a proof, what is none and why, and what no observation can be."""

from typing import Any

import pytest

from bitcliff.questions.isolation.proof_statistics import proof_problems
from bitcliff.questions.isolation.record import Isolation, Proof
from tests.questions.isolation.victims import HOSTILE, POINTS, followed


def told(record: Isolation) -> list[str]:
    assert record.figures.proof is not None
    return record.figures.proof.reasons


def test_three_points_whose_groups_hold_one_example_each_are_a_proof() -> None:
    found = followed()
    assert found.figures.proof is not None
    assert (found.figures.status, found.figures.proof.proved, told(found)) == ("proved", True, [])
    # Four groups an example, three points, batches of 2, 3 and 8 twice.
    assert (found.figures.proof.groups, found.figures.proof.examples) == (4 * 3 * 26, 1)
    assert (found.figures.runs, found.figures.situations) == (0, [])


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ({"crossing": 3}, "a group holds values of several examples at 1 of 3 points, first "),
        ({"mixed": 5}, "the network itself, in float, makes values of several examples, first at "),
        ({"padding": True}, "padding enters a group at 1 of 3 points, first "),
        ({"lost": "layer: numpy"}, "1 not followed, first layer: numpy"),
    ],
)
def test_one_thing_amiss_and_it_is_none(what: dict[str, Any], says: str) -> None:
    found = followed(**what)
    (reason,) = told(found)
    assert reason.startswith(says)
    assert found.figures.proof is not None
    assert not found.figures.proof.proved
    # The victims of `observed` flip, and float does not.
    assert found.figures.status == "counterexample"


def test_what_float_does_too_is_no_counterexample() -> None:
    from bitcliff.questions.isolation.statistics import figures
    from tests.questions.isolation.victims import observed

    seen = observed()
    assert figures(seen).counterexamples == figures(seen).flipped
    changed = [
        one.model_copy(update={"checked": one.checked.model_copy(update={"reference": 0})})
        for one in seen.victims
    ]
    found = figures(seen.model_copy(update={"victims": changed}))
    assert (found.counterexamples, found.status, len(found.flipped)) == ([], "open", 3)


def problem(**changes: Any) -> str:
    record = followed()
    assert record.observed.proof is not None
    proof = Proof.model_validate({**record.observed.proof.model_dump(), **changes})
    return next(proof_problems(proof, record.observed.subject, 8))


def test_a_contradiction_is_told() -> None:
    record = followed()
    proof = record.observed.proof
    assert proof is not None
    assert not [*proof_problems(proof, record.observed.subject, 8)]
    fields = proof.model_dump()
    points = fields["points"]

    def with_seen(**changes: Any) -> list[Any]:
        seen = [{**points[1]["seen"][0], **changes}, *points[1]["seen"][1:]]
        return [points[0], {**points[1], "seen": seen}, points[2]]

    assert "'first' stands 2 times" in problem(points=[points[0], *points])
    assert problem(points=points[:2]).startswith("the points followed are not those")
    assert problem(passes=fields["passes"][:2]).startswith("the passes are [(2, False)")
    named = f"point {HOSTILE!r} "
    assert problem(points=with_seen(examples=3)) == f"{named}has more in its groups than there are"
    against = f"{named}has groups of several examples, or none, against how many there are"
    assert problem(points=with_seen(examples=2)) == against
    assert problem(points=with_seen(crossing=1)) == against
    assert problem(points=with_seen(groups=0)) == f"{named}has groups without examples"
    short = [points[0], {**points[1], "spans": [32]}, points[2]]
    assert problem(points=short) == f"{named}was seen at 1 lengths of texts"
    fewer = [points[0], {**points[1], "seen": points[1]["seen"][:3]}, points[2]]
    assert problem(points=fewer) == f"{named}was seen in 3 passes of 6"
    assert len(POINTS) == 3
