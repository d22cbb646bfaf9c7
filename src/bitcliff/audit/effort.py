"""How hard to look, chosen so that an assessment fits into some minutes.

Counts are cut alike. What a machine has time for is not what another has, so the counts that were
chosen are settings of the run, and whoever resumes or repeats it takes them from there.
"""

import time
from dataclasses import dataclass, replace

import torch

from bitcliff.audit.prepare import Prepared
from bitcliff.audit.schedule import Schedule
from bitcliff.audit.search import Problem, even_allocation, generator, gradient_search
from bitcliff.budget import total_from_mean
from bitcliff.types.settings import AssessSettings

SHARES = (1.0, 0.75, 0.5, 0.35, 0.25, 0.15, 0.1)
"""Of the usual counts, the largest first."""

_LEAST = {"draws": 3, "rounds": 2, "exchanges": 4, "evaluations": 8}
# Of what is tried out, and examples it is tried on at most.
_ROUNDS, _EXCHANGES, _EXAMPLES = 1, 2, 32


@dataclass(frozen=True)
class Effort:
    """What was chosen.

    Attributes:
        settings: with its counts. share: of the usual ones.
        seconds: what the assessment is estimated to take at most, and `usual` with the usual ones.
    """

    settings: AssessSettings
    share: float
    seconds: float
    usual: float

    @property
    def counts(self) -> dict[str, int]:
        """Those of the settings that were cut, by name."""
        return {name: getattr(self.settings, name) for name in _LEAST}


def counts_at(usual: AssessSettings, share: float) -> dict[str, int]:
    """Counts of draws, rounds, moves and evaluations; never more than usual, nor too few to say
    anything."""
    return {
        name: min(getattr(usual, name), max(least, round(share * getattr(usual, name))))
        for name, least in _LEAST.items()
    }


def fitting_effort(prepared: Prepared, minutes: float, seconds_a_pass: float) -> Effort:
    """The most that fits, or the least there is.

    Args:
        seconds_a_pass: of one example, with the share that a search has in it.
    """
    found = list[Effort]()
    for share in SHARES:
        settings = prepared.settings.changed(**counts_at(prepared.settings, share))
        seconds = seconds_a_pass * passes(replace(prepared, settings=settings))
        found.append(Effort(settings, share, seconds, found[0].seconds if found else seconds))
        if seconds <= 60 * minutes:
            break
    return found[-1]


def passes(prepared: Prepared) -> int:
    """Examples to pass forward at most; worst cases count twice, since they are looked for again
    with fewer options."""
    steps = list(Schedule(prepared).steps())
    return sum(step.cost * (2 if step.condition.kind == "worst" else 1) for step in steps)


def seconds_a_pass(prepared: Prepared) -> float:
    """Of one example forward, measured on the first steps of a real search, which are not kept."""
    evaluator, asked = prepared.evaluator, prepared.settings
    points, floors = len(prepared.points), prepared.floors
    index = prepared.everyone[: min(_EXAMPLES, evaluator.batch_size)]
    options, groups = torch.tensor(asked.bits), torch.arange(len(index))
    total = total_from_mean(asked.budgets[0], points, asked.bits, floors)
    problem = Problem(evaluator, index, groups, options, total, floors=floors)
    even = even_allocation(problem, points)
    evaluator.margins(index, even)  # what is first run is slower
    before, began = evaluator.spent.cost, time.perf_counter()
    gradient_search(problem, even, _ROUNDS, _EXCHANGES, generator(0))
    taken = time.perf_counter() - began
    return taken / (evaluator.spent.cost - before)
