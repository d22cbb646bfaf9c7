"""A network that is sure of itself, with and without the softmax or sigmoid that it ends in."""

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from bitcliff.adapters import load_examples, load_model
from bitcliff.audit import AssessSettings, Audit
from bitcliff.audit.prepare import Prepared
from bitcliff.audit.schedule import Schedule
from bitcliff.questions.context import Side
from bitcliff.questions.indicators.observe import float_network, indicator_values
from bitcliff.record import Record
from bitcliff.types.subject import Examples
from tests.adapters.onnx.networks import export
from tests.small_networks import SoftmaxByHand

# So sure that nearly every row is of exact ones and zeros in float32.
SURE = 16.0
N, MEAN = 12, 5.0
SEARCH = AssessSettings(
    budgets=(MEAN,), uniform=(), rounds=2, exchanges=2, evaluations=0, draws=1, batch_size=N
)


class Ending(nn.Module):
    """A network so sure of itself, and what comes last."""

    def __init__(self, body: nn.Module, end: nn.Module) -> None:
        super().__init__()
        self.body, self.end = copy.deepcopy(body), end
        with torch.no_grad():
            for parameter in self.body.get_submodule("fc").parameters():
                parameter.mul_(SURE)

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.body(x))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def examples() -> Examples:
    return load_examples("digits", subject=load_model("brittle-digits"), limit=N)


def ending(end: nn.Module) -> nn.Module:
    return Ending(load_model("brittle-digits").module, end).eval()


def some(examples: Examples) -> Tensor:
    assert isinstance(examples.inputs, Tensor)
    return examples.inputs[:2]


def assessed(network: nn.Module, examples: Examples) -> Record:
    return Audit(network, examples, settings=SEARCH).assess()


@pytest.fixture(scope="module")
def on_logits(examples: Examples) -> Record:
    return assessed(ending(nn.Identity()), examples)


@pytest.fixture(scope="module")
def on_softmax(examples: Examples) -> Record:
    return assessed(ending(nn.Softmax(1)), examples)


def same_findings(one: Record, other: Record) -> None:
    for name, outcomes in one.outcomes.items():
        assert outcomes.prediction.tolist() == other.outcomes[name].prediction.tolist(), name
        if outcomes.bits is not None:
            assert outcomes.bits.tolist() == other.outcomes[name].bits.tolist(), name  # type: ignore[union-attr]


def test_the_worst_case_behind_a_softmax_is_that_on_logits(
    examples: Examples, on_logits: Record, on_softmax: Record
) -> None:
    assert isinstance(examples.inputs, Tensor)
    scores = ending(nn.Softmax(1))(examples.inputs)
    assert float((scores.amax(1) == 1).float().mean()) > 0.7
    same_findings(on_logits, on_softmax)
    assert on_softmax.subject.final_activation == "softmax"
    assert on_logits.subject.final_activation == "none"
    right = on_logits.by_name["worst-5"].accuracy
    assert right is not None
    assert right.k <= N // 2


def test_also_in_an_onnx_file_and_where_the_softmax_is_not_seen(
    examples: Examples, on_logits: Record, tmp_path: Path
) -> None:
    spec = export(ending(nn.Softmax(1)), tmp_path / "net.onnx", x=some(examples))
    file = Audit(load_model(spec), examples, settings=SEARCH).assess()
    by_hand = assessed(ending(SoftmaxByHand()), examples)
    wanted = on_logits.by_name["worst-5"].accuracy
    for found in (file, by_hand):
        assert found.by_name["worst-5"].accuracy == wanted


def test_margins_of_the_record_tell_sure_from_surer(on_logits: Record, on_softmax: Record) -> None:
    known = on_logits.table.margin
    within = abs(known) < 85  # beyond, a float32 holds no second probability
    assert within.sum() > N // 2
    assert on_softmax.table.margin[within] == pytest.approx(known[within], rel=1e-4)


def test_float_indicators_are_those_of_the_logits(examples: Examples) -> None:
    values = []
    for end in (nn.Identity(), nn.Softmax(1)):
        prepared: Prepared = Audit(ending(end), examples, settings=SEARCH).prepared
        values.append(indicator_values(float_network(Side("test", prepared, {}))))
    assert values[1] == pytest.approx(values[0], rel=1e-5)


def test_sigmoids_are_followed_as_their_logits_are(examples: Examples) -> None:
    """Decisions are those of the sigmoids, though, where two that give 1 are a tie."""
    prepared = [
        Audit(ending(end), examples, settings=SEARCH).prepared
        for end in (nn.Identity(), nn.Sigmoid())
    ]
    same = torch.full((N, len(prepared[0].points)), 5)
    given = [one.evaluator.margins(one.everyone, same) for one in prepared]
    assert torch.equal(*given)
    options = torch.tensor(SEARCH.bits)
    slopes = [one.evaluator.gradients(one.everyone, same, options) for one in prepared]
    torch.testing.assert_close(*slopes)
    assert float(slopes[1].abs().max()) > 0
    assert prepared[1].evaluator.attachment.final == "sigmoid"
    assert Schedule(prepared[1]).evaluator.scale == prepared[0].evaluator.scale
