import math

import pytest
import torch

from bitcliff.errors import InputError
from bitcliff.tasks import Threshold

NOTHING = torch.empty(0)


@pytest.mark.parametrize("shape", [(40,), (40, 1), (40, 1, 1)])
@pytest.mark.parametrize("at", [0.1, 0.5, 0.9])
def test_the_decision_is_the_side_before_and_after_a_sigmoid(
    shape: tuple[int, ...], at: float
) -> None:
    given = torch.linspace(-6, 6, 40)
    given = given[(given - math.log(at / (1 - at))).abs() > 1e-3].repeat(2)[:40]
    task, output = Threshold(at), given.sigmoid()
    above = [int(value > at) for value in output.tolist()]
    assert task.scores(output.view(shape), NOTHING).argmax(1).tolist() == above
    assert task.scores_before(given.view(shape), NOTHING).argmax(1).tolist() == above
    assert 0 < sum(above) < 40


@pytest.mark.parametrize("at", [-1.0, 0.0, 1.0, 3.0])
def test_what_no_probability_can_cross_is_crossed_by_no_log_odds(at: float) -> None:
    odds = torch.tensor([-50.0, 0.0, 50.0])
    before = Threshold(at).scores_before(odds, NOTHING)
    assert before.argmax(1).tolist() == [int(at <= 0)] * 3


def test_a_threshold_is_chosen_by_what_the_scores_are() -> None:
    assert Threshold().chosen(torch.tensor([0.0, 0.3, 1.0])) == Threshold(0.5)
    assert Threshold().chosen(torch.tensor([0.2, float("nan")])) == Threshold(0.5)
    assert Threshold().chosen(torch.tensor([-0.1, 0.3])) == Threshold(0.0)
    assert Threshold(2.0).chosen(torch.tensor([0.3])) == Threshold(2.0)
    assert Threshold(0.25).decisions == ("at most 0.25", "above 0.25")
    assert Threshold(0.25).name == "threshold:0.25"


@pytest.mark.parametrize("output", [torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64)])
def test_what_is_not_one_score_is_refused(output: torch.Tensor) -> None:
    with pytest.raises(InputError, match=r"must give one score an example, but gave shape \(3"):
        Threshold().scores(output, NOTHING)
