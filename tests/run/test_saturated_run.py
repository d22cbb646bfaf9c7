"""A network that ends in a softmax through the whole run: assessed, explained, verified."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bitcliff.errors import InputError
from bitcliff.questions.kinds import KINDS
from bitcliff.questions.verification.record import KEY, Verification
from bitcliff.record import read_record
from bitcliff.run.assess_job import AssessJob, run_assess
from bitcliff.run.explain_job import ExplainJob, run_explain
from bitcliff.run.verify_job import VerifyJob, run_verify
from tests.a_record import figures_in
from tests.questions.page_text import text_of
from tests.run.test_assess_job import Notes, job

__all__ = ["job"]


@pytest.fixture
def saturated(job: AssessJob) -> AssessJob:
    """The user's network, sure of itself and with a softmax."""
    Path("own_network.py").write_text(
        "from torch import nn\n"
        "from tests.small_networks import chain\n"
        "def net():\n"
        "    body = chain(0, points=4, width=10)\n"
        "    body[-1].weight.data *= 50\n"
        "    return nn.Sequential(body, nn.Softmax(1)).eval()\n"
    )
    return replace(job, settings=job.settings.changed(budgets=(2.5,), uniform=(4,), evaluations=0))


def test_margins_are_the_same_in_the_run_and_in_onnx_runtime(saturated: AssessJob) -> None:
    record, _ = run_assess(saturated, Notes().listener())
    assert record.subject.final_activation == "softmax"
    assert max(abs(record.table.margin)) > 17
    run_explain(
        ExplainJob(saturated.out, questions=("inputs", "layers"), n_train=0), Notes().listener()
    )
    run_verify(VerifyJob(saturated.out, ("uniform-4",)), Notes().listener())
    explained = read_record(saturated.out, KINDS)
    assert {"inputs", "layers", "verification"} <= explained.answers.keys()
    (verified,) = figures_in(explained, KEY, Verification).policies
    assert verified.largest_difference is not None
    assert verified.largest_difference < 0.1
    page = text_of((saturated.out / "report.html").read_text())
    assert "The network ends in a softmax. Margins are of the logarithms" in page


def test_a_run_whose_margins_were_of_probabilities_must_be_assessed_again(
    saturated: AssessJob,
) -> None:
    run_assess(saturated, Notes().listener())
    file = saturated.out / "record.json"
    fields = json.loads(file.read_text())
    del fields["subject"]["final_activation"]
    file.write_text(json.dumps(fields | {"schema_version": "2.1"}))
    assert read_record(saturated.out, KINDS).subject.final_activation is None
    with pytest.raises(
        InputError, match="run: py:own_network:net ends in a softmax, and the run's"
    ):
        run_explain(ExplainJob(saturated.out, n_train=0), Notes().listener())
