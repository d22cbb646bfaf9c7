"""Counts that follow from the time allowed."""

from dataclasses import replace

import pytest
import torch

from bitcliff.audit.effort import SHARES, counts_at, fitting_effort, passes, seconds_a_pass
from bitcliff.audit.from_python import own_examples, own_subject
from bitcliff.audit.prepare import Prepared, prepare
from bitcliff.audit.schedule import Schedule
from bitcliff.types.settings import AssessSettings
from tests.small_networks import chain

USUAL = AssessSettings(budgets=(4.0, 5.5), uniform=(8,), minutes=3.0)


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    return prepare(own_subject(chain(0, 3, 8)), own_examples([x]), USUAL)


def at(prepared: Prepared, share: float) -> int:
    settings = prepared.settings.changed(**counts_at(prepared.settings, share))
    return passes(replace(prepared, settings=settings))


def test_counts_are_cut_alike_and_neither_raised_nor_cut_to_nothing() -> None:
    assert counts_at(USUAL, 1.0) == {"draws": 20, "rounds": 12, "exchanges": 40, "evaluations": 32}
    assert counts_at(USUAL, 0.5) == {"draws": 10, "rounds": 6, "exchanges": 20, "evaluations": 16}
    assert counts_at(USUAL, 0.1) == {"draws": 3, "rounds": 2, "exchanges": 4, "evaluations": 8}
    few = USUAL.changed(draws=1, rounds=0, exchanges=0, evaluations=0)
    assert counts_at(few, 0.5) == {"draws": 1, "rounds": 0, "exchanges": 0, "evaluations": 0}


@pytest.mark.parametrize("share", SHARES)
def test_the_most_that_fits_is_chosen(prepared: Prepared, share: float) -> None:
    """A second a pass: just as many minutes as the passes of that share take, and a hair less."""
    minutes = at(prepared, share) / 60
    chosen = fitting_effort(prepared, minutes, 1.0)
    assert (chosen.share, chosen.seconds) == (share, at(prepared, share))
    assert chosen.usual == at(prepared, 1.0)
    assert chosen.counts == counts_at(USUAL, share)
    assert chosen.settings == prepared.settings.changed(**chosen.counts)
    less = fitting_effort(prepared, minutes * 0.999, 1.0)
    assert less.share == SHARES[min(SHARES.index(share) + 1, len(SHARES) - 1)]
    assert (less.seconds > 60 * minutes * 0.999) == (share == SHARES[-1])


def test_a_run_takes_no_more_passes_than_are_reckoned_with(prepared: Prepared) -> None:
    settings = prepared.settings.changed(**counts_at(prepared.settings, 0.1))
    small = replace(prepared, settings=settings)
    schedule, before = Schedule(small), small.evaluator.spent.cost
    schedule.run()
    # The three repeats of what was found, and its outcome, are a few passes more for each search.
    searches = sum(one.outcomes.repeats is not None for one in schedule.done.values())
    spent = small.evaluator.spent.cost - before
    assert spent <= passes(small) + 5 * 6 * searches
    assert spent > passes(small) / 4


def test_timing_leaves_no_trace_in_what_is_found(prepared: Prepared) -> None:
    small = replace(prepared, settings=prepared.settings.changed(**counts_at(USUAL, 0.1)))
    first, second = Schedule(small), Schedule(small)
    first.run()
    assert 0 < seconds_a_pass(small) < 60
    second.run()
    assert first.done == second.done
