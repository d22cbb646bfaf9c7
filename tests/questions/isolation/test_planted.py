"""Every planted leak is found, where it is; no network without one is accused."""

import pytest
import torch
from torch import Tensor

from bitcliff.audit.compose import subject_info
from bitcliff.audit.format_runtime import format_runtime
from bitcliff.points import Selection, discover
from bitcliff.questions.isolation.proof import condition_of, proof_of
from bitcliff.questions.isolation.proof_statistics import proof_figures, proof_problems
from bitcliff.questions.isolation.record import ProofFigures
from bitcliff.types.subject import Examples
from tests.questions.isolation.planted import LEAKS, TOLD_BY_WORDS, Case, clean, leaking

FEW, FEWER, MANY = range(18), range(6), range(100)
WHOLE = pytest.param(MANY, marks=pytest.mark.slow)


def judged(case: Case) -> ProofFigures:
    plan = discover(case.subject.module, case.inputs, Selection(include_stem=True))
    condition = condition_of(case.name, case.shipped, plan)
    proof = proof_of(case.subject, case.inputs, condition, largest=3)
    ids = tuple("abc")
    examples = Examples("noise", case.inputs, None, ids, n_available=3, sha256="0" * 64)
    told = subject_info(case.subject, examples, plan, (), 5)
    assert not [*proof_problems(proof, told, 3)]
    return proof_figures(proof, told)


def scores_of_the_first(case: Case, others: Tensor) -> Tensor:
    """In the format, its batch-mates being these."""
    runtime = format_runtime(case.name, case.shipped, case.subject, case.inputs)
    return runtime.run(torch.cat([case.inputs[:1], others]))[0]


def is_changed(case: Case) -> bool:
    """By companions of many sizes, in a batch of as many, at the same place."""
    dice = torch.Generator().manual_seed(1)
    alone = scores_of_the_first(case, case.inputs[:1].expand(2, -1, -1))
    return any(
        not torch.equal(
            alone,
            scores_of_the_first(case, size * torch.randn(case.inputs[1:].shape, generator=dice)),
        )
        for size in (1.0, 1.0, 1.0, 1.0, 30.0, 1000.0)
    )


@pytest.mark.parametrize("numbers", [FEW, WHOLE])
def test_every_planted_leak_is_found_where_it_is(numbers: range) -> None:
    for number in numbers:
        case = leaking(number)
        assert is_changed(case), f"no leak was planted: {number} {case.leak}"
        found = judged(case)
        assert not found.proved, f"{number} {case.leak}"
        if case.leak in TOLD_BY_WORDS:
            assert any("not followed" in reason for reason in found.reasons), case.leak
        elif case.after is None:
            assert found.crossing
            assert not found.mixed
        else:
            places = {int(name.split(".")[1]) for name in found.mixed if name[:6] == "blocks"}
            assert all(place > case.after for place in places), case.leak
            assert any("itself, in float" in reason for reason in found.reasons), case.leak
            assert not found.crossing


@pytest.mark.parametrize("numbers", [FEWER, WHOLE])
def test_no_network_without_a_leak_is_accused(numbers: range) -> None:
    for number in numbers:
        case = clean(number)
        found = judged(case)
        assert found.proved, f"{number} {case.name}: {found.reasons}"
        assert found.examples == 1
        assert not is_changed(case), number


def test_all_kinds_are_among_the_few() -> None:
    assert {leaking(number).leak for number in FEW} >= {*LEAKS}
