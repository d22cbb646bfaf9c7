import torch

from bitcliff.assess.evaluate import Scores
from bitcliff.assess.measured import About, Measured, Trial, outcomes_of
from tests.a_measured import a_measured

SCORES = Scores(torch.tensor([[1.0, 3.0], [torch.nan, 0.0], [2.0, 2.5]]), (None, "conv", None))


def trial(bits: list[list[int]] | None) -> Trial:
    return Trial(torch.tensor([4, 0, 2]), None if bits is None else torch.tensor(bits), SCORES)


def test_outcomes_are_filed_under_the_examples_own_place() -> None:
    reference = torch.tensor([0, 9, 1, 9, 1])
    found = outcomes_of(trial([[3, 5], [4, 4], [5, 3]]), reference)
    assert list(found) == [4, 0, 2]
    assert (found[4].prediction, found[4].margin, found[4].bits) == (1, 2.0, [3, 5])
    assert (found[0].prediction, found[0].margin, found[0].failed_at) == (None, None, "conv")
    assert (found[2].margin, found[2].bits) == (0.5, [5, 3])


def test_shared_bits_are_those_of_all() -> None:
    assert trial([[3, 5], [3, 5], [3, 5]]).shared_bits == [3, 5]
    assert trial([[3, 5], [3, 5], [5, 3]]).shared_bits is None
    assert trial(None).shared_bits is None


def test_what_was_measured_survives_json_to_the_last_digit() -> None:
    found = outcomes_of(trial([[3, 5], [4, 4], [5, 3]]), torch.tensor([0, 9, 1, 9, 1]))
    exact = found[2].model_copy(update={"margin": 0.1 + 0.2})
    measured = a_measured(outcomes={**found, 2: exact}, broken=[1], strays=["side"])
    assert Measured.model_validate_json(measured.model_dump_json()) == measured
    assert About("float", "").total == 0
