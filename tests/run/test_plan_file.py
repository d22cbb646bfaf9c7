from pathlib import Path

import pytest
import torch

from bitcliff.audit import AssessSettings, Audit
from bitcliff.audit.evaluator import Evaluator
from bitcliff.audit.from_python import own_subject
from bitcliff.errors import InfeasibleBudget, InputError
from bitcliff.record.plan import QuantizationPlan
from bitcliff.run.plan_file import check_plan, of_plan, planned, read_plan
from tests.small_networks import chain

PLAN = QuantizationPlan(
    model="timm:resnet18",
    weights_sha256="ab" * 32,
    float_points=["layer1.0.conv1", "matmul@2:lhs"],
    floors={"fc": 5},
    scheme="percentile(99.9)",
    budget=[4.0, 5.5],
)


def test_a_plan_survives_its_file(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(PLAN.text())
    assert read_plan(tmp_path / "plan.yaml") == PLAN
    bare = QuantizationPlan(model="a: b # c")
    (tmp_path / "bare.yaml").write_text(bare.text())
    assert read_plan(tmp_path / "bare.yaml") == bare
    assert "floors" not in bare.text()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model: m\nfloat_point: [a]", "unknown key float_point; did you mean float_points?"),
        ("float_points: [a]", "the key model is missing"),
        ("model: m\nfloors: {a: 4.5}", "floors.a: Input should be a valid integer"),
        ("model: m\nfloors: {a: '4'}", "floors.a: Input should be a valid integer"),
        ("model: m\nrandomised: 1", "randomised: Input should be a valid boolean"),
        ("model: m\nfloat_points: a", "float_points: Input should be a valid list"),
        ("model: m\nmodel: n", "the key model stands twice"),
        ("model: m\nbudget: [.nan]", "budget.0: Input should be a finite number"),
        ("- model", "must hold `key: value` lines, with keys such as "),
        ("path,label", "float_points"),
        ("model: [", "not YAML"),
    ],
)
def test_a_bad_plan_is_told_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text(text)
    with pytest.raises(InputError) as error:
        read_plan(file)
    assert words in str(error.value)
    assert str(error.value).startswith(f"--plan {file}: ")
    assert "\n" not in str(error.value)


def test_a_plan_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--plan .*plan.yaml: cannot be read: No such file"):
        read_plan(tmp_path / "plan.yaml")


def audit_with(plan: QuantizationPlan, **settings: object) -> Audit:
    asked = AssessSettings(budgets=(5.5,), **settings)  # type: ignore[arg-type]
    return Audit(chain(points=4), [torch.randn(8, 4)], settings=planned(asked, plan))


def test_what_a_plan_says_is_done() -> None:
    plan = QuantizationPlan(model="m", float_points=["2"], floors={"4": 6}, scheme="paper")
    audit = audit_with(plan)
    assert [point.name for point in audit.prepared.points.points] == ["4", "6", "8"]
    reasons = {point.name: point.reason for point in audit.prepared.points.seen}
    assert reasons["2"] == "kept in float by the plan"
    assert audit.prepared.settings.scheme == "paper"
    assert audit.prepared.floors == [6, 3, 3]


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ({"float_points": ["22"]}, "float_points: the model has no point '22'; did you mean 2?"),
        ({"float_points": ["head"]}, "no point 'head'; its points are 0, 2, 4, ..."),
        ({"floors": {"44": 4}}, "floors: the model has no point '44'; did you mean 4?"),
        ({"floors": {"0": 4}}, "floors: 0 is not quantized: stem input"),
        ({"floors": {"2": 4}, "float_points": ["2"]}, "floors: 2 is not quantized: kept in float"),
        ({"floors": {"2": 12}}, "floors: 2 must get 12 bits or more, but the widths are 3 to 10"),
        ({"scheme": "percentil(3)"}, "scheme 'percentil(3)' is not known"),
    ],
)
def test_a_plan_that_does_not_fit_the_model(plan: dict[str, object], words: str) -> None:
    with pytest.raises(InputError) as error:
        _ = audit_with(QuantizationPlan(model="m", **plan)).prepared  # type: ignore[arg-type]
    assert words in str(error.value)
    assert not str(error.value).startswith("--")
    with pytest.raises(InputError, match=r"^--plan a/plan\.yaml: \w"), of_plan(Path("a/plan.yaml")):
        raise error.value


def test_floors_above_the_budget_are_refused_before_any_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran: list[object] = []
    monkeypatch.setattr(Evaluator, "float_scores", lambda *what: ran.append(what))
    floors = dict.fromkeys(["2", "4", "6"], 9)
    with pytest.raises(InfeasibleBudget, match="with their floors"):
        _ = audit_with(QuantizationPlan(model="m", floors=floors)).prepared
    assert not ran


def test_a_plan_for_other_weights() -> None:
    subject = own_subject(chain())
    with pytest.raises(InputError, match="made for weights abababababab of timm:resnet18"):
        check_plan(PLAN, subject)
    check_plan(PLAN.model_copy(update={"weights_sha256": subject.weights_sha256}), subject)
    check_plan(PLAN.model_copy(update={"weights_sha256": None}), subject)


def test_exclude_patterns_stay_beside_a_plan() -> None:
    plan = QuantizationPlan(model="m", float_points=["2"])
    audit = audit_with(plan, exclude=("4",))
    assert [point.name for point in audit.prepared.points.points] == ["6", "8"]
