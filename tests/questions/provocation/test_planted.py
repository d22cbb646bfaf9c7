"""Networks with a trigger planted in their inputs are told from those without one."""

import math
from dataclasses import replace

import pytest
import torch

from bitcliff.audit import inputs
from bitcliff.policy.guard import Guard
from bitcliff.questions.provocation.observe import Guarded, provoking
from bitcliff.questions.provocation.pixels import Ball
from bitcliff.questions.provocation.record import CONTROL, GRADIENTS, RANDOM
from bitcliff.questions.provocation.scale import scale_of
from bitcliff.questions.provocation.sets import neighbourhood
from bitcliff.types.settings import ProvokeSettings
from tests.questions.provocation.networks import FOUR, REACH, prepared


def found(seed: int, planted: bool, effort: int, guard: Guarded | None = None) -> dict[str, int]:
    """By each search, images that it makes fail."""
    name = f"linf:{REACH}"
    network = prepared(seed, planted)
    # Above all that rounding does to the signal by itself.
    settings = ProvokeSettings(within=(name,), effort=effort, delta=1.0)
    given = provoking(network, "four", FOUR, settings, guard)
    around = neighbourhood(name, network, given.parents, lambda _: (), lambda: dict)
    searched = given.searched(around, lambda _key, make: make(), lambda *_: None)
    for attempts in searched.attempts.values():
        for attempt in attempts:
            failure = attempt.failure
            assert failure is None or failure.distance <= REACH
    return {
        method: sum(attempt.failure is not None for attempt in attempts)
        for method, attempts in searched.attempts.items()
    }


def counted(networks: int, planted: bool, effort: int = 240) -> dict[str, int]:
    """By each search, the networks in which it finds something."""
    every = [found(seed, planted, effort) for seed in range(networks)]
    return {method: sum(one[method] > 0 for one in every) for method in every[0]}


def test_every_trigger_is_found_and_none_where_there_is_none() -> None:
    with_one, without = counted(3, planted=True), counted(3, planted=False)
    assert with_one[GRADIENTS] == 3
    assert with_one[CONTROL] == 0
    assert not any(without.values())


def test_the_control_finds_what_is_there_to_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    # Float nudged by so much is another network, and the same search must say so.
    monkeypatch.setattr(inputs, "NUDGE", 3.0)
    assert found(0, planted=False, effort=120)[CONTROL] > 0


@pytest.mark.slow
def test_of_a_hundred_every_trigger_is_found_and_none_in_a_hundred_without() -> None:
    with_one, without = counted(100, True), counted(100, False)
    assert with_one[GRADIENTS] == 100
    assert with_one[RANDOM] < 30  # 13 were measured
    assert with_one[CONTROL] == 0
    assert not any(without.values())


def test_what_fails_must_get_past_the_guard() -> None:
    # What the trigger leaves is a lead of 0.05, which a guard of the margin sees.
    by_lead = Guard(("margin",), (0.0,), (1.0,), (-1.0,), 0.0)
    for threshold, passes in ((0.02, True), (0.2, False)):
        guard = replace(by_lead, threshold=-math.log(threshold + 1e-3))
        seen = found(0, True, 240, Guarded(guard, "a guard"))
        assert bool(seen[GRADIENTS]) == passes


def test_the_trigger_is_what_the_tests_say() -> None:
    network = prepared(0, planted=True)
    given = provoking(network, "four", FOUR, ProvokeSettings())
    module, images = network.subject.module, given.parents
    sides = torch.as_tensor(module.sides).view(1, 1, 8, 8)
    ball = Ball("linf", REACH, scale_of(images, network.subject.preprocessing))
    moved = ball.projected(images[0] + REACH * sides[0], images[0])  # type: ignore[index]
    before, after = module(images[:1])[0], module(moved[None])[0]  # type: ignore[index]
    assert float((before - after).abs().max()) < 0.5 * given.delta
    network.evaluator.inputs = moved[None]
    scores = network.evaluator.format_scores(network.everyone[:1], (FOUR, FOUR))
    assert scores.predictions.tolist() == [1]
