import numpy as np
import torch

from bitcliff.audit.evaluator import Scores
from bitcliff.audit.outcomes import Trial, outcomes_of
from bitcliff.record import Condition, Effort, Measured

SCORES = Scores(torch.tensor([[1.0, 3.0], [torch.nan, 0.0], [2.0, 2.5]]), (None, "conv", None))
REFERENCE = torch.tensor([1, 9, 0, 9, 1])


def trial(bits: list[list[int]] | None) -> Trial:
    return Trial(torch.tensor([0, 2, 4]), None if bits is None else torch.tensor(bits), SCORES)


def test_outcomes_are_filed_under_the_examples_own_place() -> None:
    found = outcomes_of(trial([[3, 5], [4, 4], [5, 3]]), REFERENCE)
    assert found.index.tolist() == [0, 2, 4]
    first, failed, last = (found.at(place) for place in (0, 2, 4))
    assert (first.prediction, first.margin, first.bits) == (1, 2.0, [3, 5])
    assert (failed.prediction, failed.margin, failed.failed_at) == (None, None, "conv")
    assert (last.margin, last.bits) == (0.5, [5, 3])


def test_places_are_left_out_where_all_are_measured_in_order() -> None:
    everyone = Trial(torch.arange(3), None, SCORES)
    reference = torch.tensor([0, 1, 1, 0])
    assert outcomes_of(everyone, reference[:3]).places is None
    assert outcomes_of(everyone, reference).places is not None


def test_shared_bits_are_those_of_all() -> None:
    def shared(bits: list[list[int]] | None) -> list[int] | None:
        return outcomes_of(trial(bits), REFERENCE).allocation

    assert shared([[3, 5], [3, 5], [3, 5]]) == [3, 5]
    assert shared([[3, 5], [3, 5], [5, 3]]) is None
    assert shared(None) is None
    alike = outcomes_of(trial([[3, 5], [3, 5], [3, 5]]), REFERENCE)
    assert [alike.at(place).bits for place in (0, 2, 4)] == [[3, 5]] * 3


def test_what_was_measured_survives_json_to_the_last_digit() -> None:
    found = outcomes_of(trial([[3, 5], [4, 4], [5, 3]]), REFERENCE)
    margin = np.array([2.0, np.nan, 0.1 + 0.2])
    measured = Measured(
        condition=Condition(kind="worst", description="", mean_bits=4.0, total_bits=8),
        effort=Effort(forward_passes=1, backward_passes=0, method="by hand"),
        outcomes=found.model_copy(update={"margin": margin}),
        broken=[1],
        strays=["side"],
    )
    again = Measured.model_validate_json(measured.model_dump_json())
    assert again == measured
    assert again.outcomes.margin.tobytes() == margin.tobytes()
