"""What was answered about a run holds only where the run that is measured again is the same."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bitcliff.audit import AssessSettings
from bitcliff.questions.context import Context
from bitcliff.record.part import Part
from bitcliff.run import allowed_time, explain_job
from bitcliff.run.assess_job import AssessJob, Listener, run_assess
from bitcliff.run.explain_job import QUESTIONS, ExplainJob, run_explain

ASKED = ("layers", "activations")


class Timed(Exception):
    """Passes were timed."""


def timed(_prepared: object) -> float:
    raise Timed


def test_a_kill_while_it_is_explained_costs_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages: list[str] = []
    listener = Listener(stages.append, lambda _plan: None, lambda *_step: None)
    # Where nothing fits it is run with the least effort, which the usual one is not.
    settings = AssessSettings(budgets=(5.5,), uniform=(5,), minutes=1e-6)
    run = tmp_path / "run"
    monkeypatch.chdir(tmp_path)
    np.savez("data.npz", x=np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32))
    network = "py:tests.small_networks:chain"
    job = AssessJob(network, "data.npz", run, "bitcliff", settings=settings)
    explain = ExplainJob(run, ("uniform-5",), ASKED, 0)

    def killed(_context: Context) -> Part:
        raise KeyboardInterrupt

    def assess_and_explain(**asked: Callable[[Context], Part]) -> None:
        run_assess(job, listener)
        with monkeypatch.context() as patched:
            patched.setattr(explain_job, "QUESTIONS", {**QUESTIONS, **asked})
            run_explain(explain, listener)

    with pytest.raises(KeyboardInterrupt):
        assess_and_explain(activations=killed)
    monkeypatch.setattr(allowed_time, "seconds_a_pass", timed)
    # Another time was allowed: what was chosen for the first says nothing.
    with pytest.raises(Timed):
        run_assess(replace(job, settings=settings.changed(minutes=2e-6)), listener)
    assess_and_explain(layers=killed)  # which is not asked again
    assert stages.count("Timing the first passes") == 2
    # Nothing is left to go on with: an assessment of its own is timed by itself.
    with pytest.raises(Timed):
        run_assess(job, listener)
