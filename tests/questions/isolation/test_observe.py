"""Victims and companions in ONNX Runtime: a planted pair, and a network that is brittle."""

from typing import cast

import pytest
import torch
from torch import Tensor, nn

from bitcliff.adapters.assembly import make_subject
from bitcliff.errors import InputError, NumericError
from bitcliff.questions.isolation.bench import Bench, beside
from bitcliff.questions.isolation.companion_search import Attempt
from bitcliff.questions.isolation.observe import Measurement
from bitcliff.questions.isolation.positive_control import (
    planted_flips,
    planted_pair,
    planted_subject,
)
from bitcliff.questions.isolation.record import Attack
from bitcliff.types.runtime import Runtime
from bitcliff.types.settings import IsolationSettings
from bitcliff.types.subject import Examples
from tests.questions.isolation.networks import QUICK, benches, brittle

Tried = tuple[list[int], list[dict[str, Attack]], bool]


def test_the_planted_companion_flips_in_the_runtime_and_not_in_float() -> None:
    bench, reference = benches(planted_subject(), planted_pair())
    assert planted_flips(bench)
    assert not planted_flips(reference)


def test_a_planted_victim_among_others_is_found_with_its_companion() -> None:
    subject, pair = planted_subject(), planted_pair()
    mild = torch.zeros(4, 64)
    mild[range(4), range(3, 7)] = 1.0
    examples = Examples(
        name="planted",
        inputs=torch.cat([pair, mild]),
        labels=None,
        ids=("victim", "giant", "a", "b", "c", "d"),
        n_available=6,
        sha256="0" * 64,
    )
    settings = QUICK.changed(batch=4)
    found = Measurement(subject, examples, settings, *benches(subject, examples.inputs)).prepared()
    assert found.shop is None
    assert found.crafting.startswith("none: the inputs are not images")
    rows = found.baseline(lambda _done, _whole: None)
    assert [row.alone for row in rows] == [1, 2, 3, 4, 5, 6]
    # Beside the giant all others lose their ones, and class 0 has a head start.
    assert {one for row in rows for one in row.random} >= {0}
    tried = found.attack(0, rows[0])
    attack = tried.attacks["from the data"]
    assert (attack.companion, attack.prediction, attack.flipped_at) == ("giant", 0, 1)
    assert (attack.runs, attack.flips) == (5, 1)
    assert tried.checked.full == [0] * 5
    assert (tried.checked.swapped, tried.checked.reference, tried.checked.ours_same_bits) == (
        0,
        1,
        True,
    )
    assert isinstance(tried.companion, torch.Tensor)
    assert torch.equal(tried.companion, pair[1:])


@pytest.fixture(scope="module")
def tried() -> Tried:
    """Predictions alone, and the attacks on each victim."""
    measurement = brittle()
    rows = measurement.baseline(lambda _done, _whole: None)
    found = [measurement.attack(place, row) for place, row in enumerate(rows)]
    controls = [row.copies == row.alone and row.copies_same_bits for row in rows]
    controls += [one == row.reference_alone for row in rows for one in row.reference_random]
    controls += [same for row in rows for same in row.ours_same_bits]
    controls += [one.checked.ours_same_bits for one in found]
    controls += [
        one.checked.reference == r.reference_alone for one, r in zip(found, rows, strict=True)
    ]
    return [row.alone for row in rows], [one.attacks for one in found], all(controls)


def test_the_controls_change_nothing(
    tried: Tried,
) -> None:
    assert tried[2]


def test_attacks_spend_what_they_may_and_tell_what_they_found(
    tried: Tried,
) -> None:
    for alone, attacks in zip(tried[0], tried[1], strict=True):
        assert attacks["from the data"].runs == QUICK.candidates
        assert attacks["widest ranges"].runs == 1
        for attack in attacks.values():
            assert (attack.flipped_at is not None) == (attack.prediction != alone)
            assert (attack.flips > 0) == (attack.prediction != alone)
            if attack.prediction != alone:
                assert attack.margin <= 0
        for name in ("gradients", "random search"):
            assert attacks[name].runs == (attacks[name].flipped_at or QUICK.effort)


def test_no_effort_leaves_the_searches_out() -> None:
    measurement = brittle()
    lazy = QUICK.changed(effort=0)
    baseline = measurement._alone(0)
    measurement.settings = lazy
    try:
        assert "gradients" not in measurement.attack(0, baseline).attacks
    finally:
        measurement.settings = QUICK


def runtime_giving(scores: torch.Tensor) -> Bench:
    return Bench(Runtime("mine", "1", "", lambda _inputs: scores, lambda _inputs: scores))


def test_a_tie_that_changes_the_prediction_is_a_flip_and_stays_the_worst() -> None:
    attempt = Attempt(runtime_giving(torch.tensor([[1.0, 1.0], [0.0, 0.0]])), torch.zeros(1, 2), 1)
    attempt.offer(torch.ones(1, 2), "tie")
    assert (attempt.flipped_at, attempt.prediction, attempt.name) == (1, 0, "tie")
    attempt.bench = runtime_giving(torch.tensor([[0.0, 1.0], [0.0, 0.0]]))
    attempt.offer(torch.ones(1, 2), "harmless")
    assert (attempt.name, attempt.runs, attempt.flips) == ("tie", 2, 1)


def test_what_a_runtime_does_wrong_is_told_in_one_line() -> None:
    inputs = torch.zeros(2, 3)
    with pytest.raises(NumericError, match="--runtime mine: gives NaN or infinity"):
        runtime_giving(torch.full((2, 2), torch.nan)).scores(inputs)
    with pytest.raises(InputError, match=r"gave scores \(1, 2\) for a batch of 2"):
        runtime_giving(torch.zeros(1, 2)).scores(inputs)

    def fail(_inputs: object) -> torch.Tensor:
        raise ValueError("fixed\nbatch")

    with pytest.raises(InputError, match="does not run a batch of 2: fixed batch"):
        Bench(Runtime("mine", "1", "", fail, fail)).scores(inputs)


def test_named_tensors_are_joined_by_name() -> None:
    joined = beside({"a": torch.zeros(1, 2)}, {"a": torch.ones(2, 2)})
    assert not isinstance(joined, torch.Tensor)
    assert joined["a"][:, 0].tolist() == [0, 1, 1]


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match="--batch must be 2 or more, not 1"):
        IsolationSettings(batch=1)
    with pytest.raises(InputError, match="--batch 20: there are only 14 examples"):
        Measurement(
            brittle().subject,
            brittle().examples,
            QUICK.changed(batch=20),
            brittle().bench,
            brittle().reference,
        )


class _Placed(nn.Module):
    """Scores hang on the place in the batch, as with kernels that sum in another order."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        place = torch.cumsum(torch.ones_like(x[:, :1]), 0)
        return cast(Tensor, self.layer(x)) + 1e-3 * place


def test_the_place_in_a_batch_is_not_the_companions_doing() -> None:
    subject = make_subject("placed", _Placed(), None, None)
    inputs = torch.rand(14, 64, generator=torch.Generator().manual_seed(0))
    ids = tuple(map(str, range(14)))
    examples = Examples("noise", inputs, None, ids, n_available=14, sha256="0" * 64)
    found = Measurement(subject, examples, QUICK, *benches(subject, inputs)).prepared()
    rows = found.baseline(lambda _done, _whole: None)
    assert all(same for row in rows for same in row.ours_same_bits)
