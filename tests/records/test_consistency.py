"""A record that contradicts itself is refused, with the contradiction named."""

from collections.abc import Callable
from typing import Any

import pytest

from bitcliff.errors import InputError
from bitcliff.records import Flips, Interval, PolicyResult, Record, check_record
from bitcliff.stats import rate
from tests.report.example_record import Variant, example_record

Change = Callable[[Record], Record]


@pytest.mark.parametrize(
    "variant",
    [Variant(), Variant(labelled=False), Variant(failures=True, complete=False), Variant(n=3)],
)
def test_whole_records_pass(variant: Variant) -> None:
    record = example_record(variant)
    check_record(record)
    assert len(record.examples) == variant.n


def _twice_an_id(record: Record) -> Record:
    rows = [record.examples[0], *record.examples[:-1]]
    return record.model_copy(update={"examples": rows})


def _twice_a_policy(record: Record) -> Record:
    return record.model_copy(update={"policies": [*record.policies, record.policies[0]]})


def _stray_outcome(record: Record) -> Record:
    return record.model_copy(update={"policies": record.policies[1:]})


def _missing_outcomes(record: Record) -> Record:
    rows = [
        row.model_copy(
            update={"outcomes": {k: v for k, v in row.outcomes.items() if k != "worst-7"}}
        )
        for row in record.examples
    ]
    return record.model_copy(update={"examples": rows})


def _short_allocation(record: Record) -> Record:
    row = record.examples[0]
    outcome = row.outcomes["worst-7"].model_copy(update={"bits": [7] * 48})
    row = row.model_copy(update={"outcomes": {**row.outcomes, "worst-7": outcome}})
    return record.model_copy(update={"examples": [row, *record.examples[1:]]})


def _short_shared_allocation(record: Record) -> Record:
    policies = [
        policy.model_copy(update={"allocation": [7]}) if policy.name == "uniform-7" else policy
        for policy in record.policies
    ]
    return record.model_copy(update={"policies": policies})


def _unknown_at_risk(record: Record) -> Record:
    return record.model_copy(update={"at_risk": ["nobody"]})


def _label_out_of_range(record: Record) -> Record:
    row = record.examples[0].model_copy(update={"label": 1000})
    return record.model_copy(update={"examples": [row, *record.examples[1:]]})


def _policy_with(**changes: Any) -> Change:
    def change(record: Record) -> Record:
        policies = [
            policy.model_copy(
                update={k: v(policy) if callable(v) else v for k, v in changes.items()}
            )
            if policy.name == "worst-7"
            else policy
            for policy in record.policies
        ]
        return record.model_copy(update={"policies": policies})

    return change


def _three_flips(policy: PolicyResult) -> Flips:
    return policy.flips.model_copy(update={"all": rate(3, policy.flips.all.n)})


def _subject(**changes: object) -> Change:
    return lambda record: record.model_copy(
        update={"subject": record.subject.model_copy(update=changes)}
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_twice_an_id, "example id 'imagenet_00_243.jpg' stands 2 times"),
        (_twice_a_policy, "policy 'weights-only' stands 2 times"),
        (_stray_outcome, "'weights-only', which is no policy's name"),
        (_missing_outcomes, "'worst-7' speaks of 20 examples, but 0 have an outcome"),
        (_short_allocation, "bits for 48 points, but 49 are quantized"),
        (_short_shared_allocation, "'uniform-7' allocates bits to 1 points"),
        (_unknown_at_risk, "at_risk names 'nobody'"),
        (_policy_with(flips=_three_flips), "flips.all of 'worst-7' is"),
        (_policy_with(delta_pp=-1.0), "delta_pp of 'worst-7' is -1.0, not"),
        (_policy_with(delta_pp_interval=Interval(low=-2, high=-1)), "is outside its interval"),
        (_label_out_of_range, "class 1000; classes are 0 to 999"),
        (_subject(n_examples=19), "n_examples is 19, but there are 20"),
        (_subject(class_names=["one"]), "1 class_names for 1000 classes"),
    ],
)
def test_contradictions(change: Change, says: str) -> None:
    broken = change(example_record())
    with pytest.raises(InputError) as error:
        check_record(broken, "run/record.json")
    assert str(error.value).startswith("run/record.json: inconsistent record: ")
    assert says in str(error.value)
    assert "\n" not in str(error.value)
