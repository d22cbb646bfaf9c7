"""One decision, written in other ways, is audited alike."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bitcliff import Audit
from bitcliff.audit import AssessSettings
from bitcliff.errors import InputError
from bitcliff.record import Record
from bitcliff.tasks import Threshold, judge_as
from tests.small_networks import chain

X = torch.randn(60, 8, generator=torch.Generator().manual_seed(0))
SETTINGS = AssessSettings(
    bits=tuple(range(3, 9)), budgets=(4.5,), draws=3, rounds=4, exchanges=8, evaluations=8,
    uniform=(4,), include_stem=True,
)  # fmt: skip


class Written(nn.Module):
    """A network with one log-odds, steep enough for a sigmoid to saturate, given as `how` says."""

    def __init__(self, how: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.network, self.how = chain(3, inputs=8, width=16, classes=1), how
        *_, last = self.network.children()
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            last.weight.mul_(60)
            last.bias.sub_(self.network(X).median())

    def forward(self, x: Tensor) -> Tensor:
        return self.how(self.network(x))


def classes(odds: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(odds), odds], 1)


WRITTEN: dict[str, Callable[[Tensor], Tensor]] = {
    "log-odds": lambda odds: odds,
    "log-odds of no dimension": lambda odds: odds[:, 0],
    "sigmoid": torch.sigmoid,
    "sigmoid of no dimension": lambda odds: odds.sigmoid()[:, 0],
    "sigmoid after its last axis went": lambda odds: odds[:, 0].sigmoid(),
}


@pytest.fixture(scope="module")
def of_classes() -> Record:
    return Audit(Written(classes).eval(), [X], settings=SETTINGS).assess()


def predictions(record: Record) -> dict[str, list[int]]:
    return {one.name: one.outcomes.prediction.tolist() for one in record.observed.conditions}


@pytest.mark.parametrize("how", WRITTEN.values(), ids=list(WRITTEN))
def test_one_score_is_audited_as_two_classes_are(
    how: Callable[[Tensor], Tensor], of_classes: Record
) -> None:
    record = Audit(Written(how).eval(), [X], settings=SETTINGS).assess()
    probable = "sigmoid" in str(record.subject.final_activation)
    assert record.subject.task == ("threshold:0.5" if probable else "threshold:0")
    assert record.subject.class_names is not None
    assert record.subject.class_names[1].startswith("above")
    assert predictions(record) == predictions(of_classes)
    worst = record.outcomes["worst-4.5"]
    assert (worst.prediction != record.table.prediction).sum() > 5  # and there is something to find
    ours, theirs = worst.margin, of_classes.outcomes["worst-4.5"].margin
    # Of log-odds in both; a probability that is held as 0 or 1 has lost how sure it was.
    sure = np.abs(theirs) < 12
    assert sure.sum() > 5
    np.testing.assert_allclose(ours[sure], theirs[sure], rtol=2e-2, atol=1e-3)


def test_a_threshold_that_nothing_crosses_is_refused() -> None:
    network = Written(WRITTEN["log-odds"]).eval()
    judge_as(network, Threshold(1e6))
    told = r"--task threshold:1e\+06: the scores of all 60 examples lie on one side"
    with pytest.raises(InputError, match=told):
        Audit(network, [X], settings=SETTINGS).assess()
