from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bitcliff.audit import Audit
from bitcliff.audit.evaluator import Evaluator
from bitcliff.audit.from_python import own_examples, own_subject
from bitcliff.audit.prepare import Prepared, prepare
from bitcliff.errors import InfeasibleBudget, InputError, NumericError
from bitcliff.points import Plan, discover
from bitcliff.policy import Uniform
from bitcliff.tasks import Classification, judge_as
from bitcliff.types.runtime import Runtime
from bitcliff.types.settings import AssessSettings
from tests.contract.subjects import EFFORT, SETTINGS
from tests.small_networks import DigitsCNN, NotFinite, Pointless, chain

X = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(12) % 3


def prepared_of(
    model: nn.Module, data: Any, settings: AssessSettings = SETTINGS, **more: Any
) -> Prepared:
    return prepare(own_subject(model), own_examples(data), settings, **more)


def test_float_runs_once_on_every_example_in_a_whole_run() -> None:
    """Quantized scores are far from float's at two bits: so a pass in float is told by its own."""
    model = chain(0, points=4, width=10)
    with torch.no_grad():
        in_float = model(X)
    settings = EFFORT.changed(bits=(2, 3), budgets=(2.5,), uniform=(2,), weight_bits=2)
    audit = Audit(model, [(X, Y)], settings=settings.changed(batch_size=5))
    passes = {"float": 0, "quantized": 0}
    seen = torch.zeros(len(X), dtype=torch.int64)

    def hear(_module: nn.Module, given: tuple[Tensor], output: Tensor) -> None:
        (inputs,) = given
        if len(inputs) != 5:  # discovery's
            return
        places = (inputs[:, None] == X).all(2).int().argmax(1)
        same = torch.isclose(output, in_float[places], rtol=1e-4, atol=1e-5).all(1)
        passes["float" if bool(same.all()) else "quantized"] += 1
        if bool(same.all()):
            seen[places.unique()] += 1

    model.register_forward_hook(hear)
    assert len(audit.prepared.in_float.logits) == len(X)
    record = audit.assess()
    assert "worst-2.5" in record.by_name
    assert seen.tolist() == [1] * len(X)
    # Twelve examples, five at a time.
    assert passes["float"] == 3
    assert passes["quantized"] > 3 * len(record.policies)


def test_nothing_that_is_prepared_can_be_assigned() -> None:
    prepared = prepared_of(chain(0), [(X, Y)])
    named = [field.name for field in fields(Prepared)]
    assert {"subject", "examples", "settings", "evaluator", "in_float", "policy"} <= {*named}
    computed = [name for name, what in vars(Prepared).items() if isinstance(what, property)]
    assert {"points", "targets", "floors", "everyone"} <= {*computed}
    for name in (*named, *computed, "another"):
        with pytest.raises(FrozenInstanceError):
            setattr(prepared, name, None)


def test_what_is_prepared_is_what_the_network_says() -> None:
    model = chain(0, points=4, width=10)
    with torch.no_grad():
        scores = model(X)
    prepared = prepared_of(model, [(X, Y)])
    torch.testing.assert_close(prepared.in_float.logits, scores)
    assert prepared.targets == Y.tolist()
    assert prepared.everyone.tolist() == list(range(12))
    assert (len(prepared.points), prepared.n_classes, prepared.floors) == (4, 3, None)
    assert prepared.evaluator.reference.tolist() == Y.tolist()
    unlabelled = prepared_of(model, [X])
    assert unlabelled.targets == scores.argmax(1).tolist()
    top = scores.topk(2, 1).values
    gaps = (top[:, 0] - top[:, 1]).sort().values
    # The median is the lower one of the two in the middle.
    assert unlabelled.evaluator.scale == pytest.approx(float(gaps[5]))


def runtime_with(classes: int, batched: int | None = None) -> Runtime:
    """Gives zeros for so many classes, where `batched` is given another number in batches."""

    def run(inputs: object) -> Tensor:
        assert isinstance(inputs, Tensor)
        wide = classes if batched is None or len(inputs) == 1 else batched
        return torch.zeros(len(inputs), wide)

    return Runtime("odd", "odd 1", "gives zeros", run, run, quantized={"Linear": 1})


@pytest.mark.parametrize(
    ("runtime", "words"),
    [
        (runtime_with(2), r"--runtime odd: it gives \(1, 2\) for 1 examples and not \(1, 3\)"),
        (runtime_with(3, batched=4), r"it gives \(12, 4\) for 12 examples and not \(12, 3\)"),
    ],
)
def test_a_runtime_that_gives_other_scores_is_refused(runtime: Runtime, words: str) -> None:
    with pytest.raises(InputError, match=words):
        prepared_of(chain(0), [X], runtimes=[runtime])


def test_there_must_be_something_to_measure() -> None:
    with pytest.raises(InputError, match="--budget must name at least one mean of bits"):
        prepared_of(chain(0), [X], SETTINGS.changed(budgets=()))
    deployed = prepared_of(chain(0), [X], SETTINGS.changed(budgets=()), runtimes=[runtime_with(3)])
    assert deployed.settings.explores_nothing


def test_a_runtime_that_takes_no_batches_is_tried_on_one_example() -> None:
    alone = replace(runtime_with(3, batched=4), batches=False)
    assert prepared_of(chain(0), [X], runtimes=[alone]).runtimes == (alone,)


def test_a_policy_for_other_points_is_refused() -> None:
    with pytest.raises(InputError, match="the policy is for 7 points, but 5 are quantized here"):
        prepared_of(chain(0), [X], choose_policy=lambda _points: Uniform(7, 4))
    chosen: list[Plan] = []

    def choose(points: Plan) -> Uniform:
        chosen.append(points)
        return Uniform(len(points), 4)

    prepared = prepared_of(chain(0), [X], choose_policy=choose)
    assert chosen == [prepared.points]
    assert prepared.policy is not None
    assert prepared.policy.points == 5


ONE_OUTPUT = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 1)).eval()
judge_as(ONE_OUTPUT, Classification())
NO_LOGITS = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Unflatten(1, (2, 2))).eval()
BAD: list[tuple[str, Any, Any, dict[str, Any], str]] = [
    ("training mode", chain(0).train(), [X], {}, "training mode"),
    ("one example", chain(0), [X[:1]], {}, "two examples or more"),
    ("no point", Pointless().eval(), [X.repeat(1, 3)], {}, "no quantization point"),
    ("all left out", chain(0), [X], {"exclude": ("*",)}, "left out"),
    ("no labels", chain(0), [X], {"margin": "label"}, "--margin label needs labels"),
    ("label too high", chain(0), [(X, Y + 1)], {}, r"in 1..3, but the model has 3 classes"),
    ("label below zero", chain(0), [(X, Y - 1)], {}, r"they must lie in 0..2"),
    ("one output", ONE_OUTPUT, [X], {}, "one number an example"),
    ("no logits", NO_LOGITS, [X], {}, "class scores"),
    ("wrong shape", chain(0), [X[:, :3]], {}, "."),
]  # fmt: skip


@pytest.mark.parametrize(
    ("model", "data", "changes", "words"), [b[1:] for b in BAD], ids=[b[0] for b in BAD]
)
def test_what_will_not_do_is_refused(model: Any, data: Any, changes: Any, words: str) -> None:
    with pytest.raises((InputError, RuntimeError), match=words) as caught:
        prepared_of(model, data, SETTINGS.changed(**changes))
    assert isinstance(caught.value, InputError) or words == "."


def test_a_network_that_fails_in_float_is_refused() -> None:
    x = torch.rand(4, 1, 8, 8)
    with pytest.raises(NumericError, match="NotFinite gives NaN or infinity in float already"):
        prepared_of(NotFinite().eval(), [x])


def test_networks_are_told_apart_by_what_they_compute() -> None:
    class Twice(nn.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.net, self.factor = chain(0), factor

        def forward(self, x: Tensor) -> Tensor:
            return self.factor * self.net(x)  # type: ignore[no-any-return]

    one, same, other = (prepared_of(Twice(factor).eval(), [X]) for factor in (1, 1, 2))
    assert one.subject.weights_sha256 == other.subject.weights_sha256
    assert one.float_sha256 == same.float_sha256 != other.float_sha256


def test_batches_are_small_for_large_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert prepared_of(chain(0), [X]).evaluator.batch_size == 12
    many = torch.randn(400, 4)
    assert prepared_of(chain(0), [many]).evaluator.batch_size == 256

    def vast(*what: Any) -> Plan:
        plan = discover(*what)
        return replace(plan, seen=tuple(replace(p, shape=(10**6,)) for p in plan.seen))

    monkeypatch.setattr("bitcliff.audit.prepare.discover", vast)
    big = prepared_of(DigitsCNN().eval(), [torch.rand(64, 1, 8, 8)])
    assert big.evaluator.batch_size == 32_000_000 // (4 * 10**6)


def test_the_label_is_pushed_away_from_where_there_are_labels() -> None:
    model = chain(0, points=4, width=10)
    assert prepared_of(model, [(X, Y)]).settings.margin == "label"
    assert prepared_of(model, [X]).settings.margin == "prediction"


def test_means_that_spend_the_same_bits_are_refused() -> None:
    settings = SETTINGS.changed(budgets=(2.5, 2.51))
    with pytest.raises(InputError, match=r"--budget 2.5 and 2.51 are the same total for 4 points"):
        prepared_of(chain(0, points=4), [X], settings)


def test_a_budget_that_cannot_be_met_is_refused_before_any_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is refused says which totals are feasible."""
    ran: list[Any] = []
    settings = EFFORT.changed(bits=(4, 8), budgets=(5.0,))
    audit = Audit(chain(0), [X], settings=settings)
    with monkeypatch.context() as patch:
        patch.setattr(Evaluator, "float_scores", lambda *what: ran.append(what))
        with pytest.raises(InfeasibleBudget, match=r"totals are 20, 24, 28, 32, 36, 40"):
            _ = audit.prepared
        with pytest.raises(InfeasibleBudget):
            audit.assess()
    assert not ran
    assert len(audit.assess(budgets=[4.8]).policies) > 5


class WithFeatures(nn.Module):
    """Gives its features too."""

    def __init__(self) -> None:
        super().__init__()
        self.network = chain()

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"features": x, "logits": self.network(x)}


def test_the_output_that_is_judged_and_those_beside_it_are_known() -> None:
    record = Audit(WithFeatures().eval(), [(X, Y)], settings=SETTINGS).assess()
    assert record.subject.output == "logits"
    assert record.subject.other_outputs == ["features (batch, 4)"]
    plain = prepared_of(chain(), [(X, Y)])
    assert torch.equal(plain.in_float.logits.argmax(1), torch.tensor(record.table.prediction))
    assert plain.subject.other_outputs == ()
