"""Bits by the input: a rule's scores against both its passes, run apart."""

from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bitcliff.adapters import load_examples, load_model
from bitcliff.audit import AssessSettings
from bitcliff.audit.evaluator import margins
from bitcliff.audit.prepare import Prepared, prepare
from bitcliff.cli.main import run
from bitcliff.errors import InputError
from bitcliff.policy.stored import read_policy
from bitcliff.questions.provocation.adaptive import adaptive
from bitcliff.questions.provocation.record import CONTROL
from bitcliff.questions.provocation.rivals import Rivals
from bitcliff.questions.provocation.store import PROVOKE
from bitcliff.types.bits_by import read_bits_by
from bitcliff.zoo.shipped import SHIPPED

N = 24
RULE = "margin:3,9,1/4"


@cache
def network() -> Prepared:
    """The robust digits and the policy that was trained with them."""
    subject = load_model("robust-digits")
    examples = load_examples("digits", subject=subject, limit=N)
    file = SHIPPED["robust-digits"].policy
    assert file is not None
    policy = read_policy(file).policy
    return prepare(subject, examples, AssessSettings(scheme="paper"), lambda _points: policy)


def uniform(bits: int) -> Tensor:
    given = network()
    return given.evaluator.scores(
        given.everyone, torch.full((N, len(given.points)), bits)
    ).logits.double()


def least_sure(scores: Tensor) -> list[int]:
    best = scores.sort(1, descending=True).values
    return (best[:, 0] - best[:, 1]).argsort().tolist()


@pytest.mark.parametrize(("company", "count"), [("data", N // 4), ("worst", 1)])
def test_as_many_as_were_agreed_are_run_again_and_they_are_the_least_sure(
    company: str, count: int
) -> None:
    given, first, second = network(), uniform(3), uniform(9)
    rule = adaptive(read_bits_by(RULE), given, company)  # type: ignore[arg-type]
    again = least_sure(first)[:count]
    expected = first.clone()
    expected[again] = second[again]
    assert rule.unsure(first).sum() == count
    assert torch.equal(rule.scores(given.evaluator).logits.double(), expected)
    assert "5.25 bits in the mean, both passes counted" in rule.formula
    # A search sees the same.
    wanted = torch.zeros(N, dtype=torch.int64)
    inputs = given.evaluator.inputs
    assert isinstance(inputs, Tensor)
    look = Rivals(given.evaluator, rule).look(inputs, inputs, wanted, "none")
    assert look.quantized.tolist() == pytest.approx(margins(expected, wanted).tolist(), abs=1e-4)


def test_what_gives_no_number_is_run_again() -> None:
    rule = adaptive(read_bits_by(RULE), network(), "data")
    assert rule.unsure(torch.tensor([[torch.nan, 1.0], [1e9, 0.0]])).tolist() == [True, False]


def test_the_gradient_is_of_both_passes_on_either_side_of_the_threshold() -> None:
    given, some = (
        network(),
        torch.tensor([*least_sure(uniform(3))[:2], *least_sure(uniform(3))[-2:]]),
    )
    inputs = given.evaluator.inputs
    assert isinstance(inputs, Tensor)
    x, wanted = inputs[some], given.in_float.predictions[some]

    def down(name: str, slopes: str) -> Tensor:
        rule = adaptive(read_bits_by(name), given, "data")
        found = Rivals(given.evaluator, rule).look(x, x, wanted, slopes).down  # type: ignore[arg-type]
        assert found is not None
        return found

    for slopes in ("straight", "scale"):
        mean = (down("uniform:3", slopes) + down("uniform:9", slopes)) / 2
        assert torch.allclose(down(RULE, slopes), mean, atol=1e-4 * float(mean.abs().max()))
    assert not torch.allclose(down("uniform:3", "straight"), down("uniform:3", "scale"))


def test_a_learned_policy_allocates_by_what_is_searched_and_an_even_one_its_total() -> None:
    given = network()
    inputs = given.evaluator.inputs
    assert isinstance(inputs, Tensor)
    learned = adaptive(read_bits_by("co-trained"), given, "data")
    bits, others = learned.bits(inputs), learned.bits(inputs.flip(3))
    assert bits.sum(1).tolist() == others.sum(1).tolist() == [110] * N
    assert not torch.equal(bits, others)
    expected = given.evaluator.scores(given.everyone, bits)
    assert torch.equal(learned.scores(given.evaluator).logits, expected.logits)
    even = adaptive(read_bits_by("uniform:5.35"), given, "data").bits(inputs[:1])
    assert sorted(even[0].tolist()) == [5] * 13 + [6] * 7


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("uniformly", "no such policy; give uniform:5.5"),
        ("uniform:many", "'many' is not understood"),
        ("uniform:1", "widths are 2 to 16 bits"),
        ("uniform:nan", "widths are 2 to 16 bits"),
        ("margin:4,8", "'4,8' is not understood"),
        ("margin:4,8,1/0", "is not understood"),
        ("margin:4,20,1/8", "widths are 2 to 16 bits"),
        ("margin:8,8,1/8", "the second pass must be wider"),
        ("margin:4,8,8/8", "the share that is run again must be below 1"),
    ],
)
def test_what_is_no_policy_is_refused_in_one_line(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as told:
        read_bits_by(text)
    assert "\n" not in str(told.value)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="of 24 examples that is none; give 100 or more"):
        adaptive(read_bits_by("margin:4,8,1/100"), network(), "data")
    with pytest.raises(InputError, match="of --policy uniform:5 nobody shares bits"):
        adaptive(read_bits_by("uniform:5"), network(), "worst")


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["provoke", "robust-digits", "--data", "digits", "--examples", "6", "--effort", "8"]
    rule = ["--scheme", "paper", "--policy", "margin:3,8,1/5", "--within", "linf:24/255"]
    assert run([*asked, *rule, "--out", str(tmp_path / "run")]) == 0
    record = PROVOKE.read(tmp_path / "run")
    assert record.observed.numerics.name == "margin:3,8,1/5"
    assert "a second pass at 8" in record.observed.numerics.description
    assert not any(one.failure for one in record.observed.searched[0].attempts[CONTROL])
    for more, says in [
        (["--policy", "uniform:4", "--numerics", "ort-uint8"], "--numerics has no effect with"),
        (["--policy", "uniform:4", "--universal"], "--policy has no effect with --universal"),
        (["--company", "worst"], "--company has no effect without --policy"),
        (["--scheme", "paper"], "--scheme has no effect without --policy"),
        (["--policy", "missing.safetensors"], "--policy missing.safetensors: no such file"),
    ]:
        assert run([*asked, *more, "--out", str(tmp_path / "other")]) == 2
        assert says in capsys.readouterr().err
    plain = ["provoke", "base-digits", "--data", "digits", "--policy", "co-trained"]
    assert run([*plain, "--examples", "9", "--out", str(tmp_path / "other")]) == 2
    assert "base-digits comes with none" in capsys.readouterr().err
