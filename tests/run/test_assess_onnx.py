"""An ONNX file from the command's job to its record and its explanation."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from bitcliff.adapters import load_model
from bitcliff.adapters.onnx import operators
from bitcliff.errors import InputError
from bitcliff.points import logits_of
from bitcliff.run.assess_job import AssessJob, run_assess
from bitcliff.run.explain_job import ExplainJob, run_explain
from bitcliff.run.run_directory import CONFIG
from bitcliff.run.stored_job import stored_job
from bitcliff.run.train_config import TeacherConfig
from bitcliff.run.training_data import load_network
from tests.adapters.onnx.networks import export, images, small
from tests.contract.subjects import SETTINGS
from tests.run.test_assess_job import Notes

X = images(20)


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., AssessJob]:
    """On labels that the network gives itself, but for two."""

    def make(fold: bool = False, unfolded: bool = False) -> AssessJob:
        spec = export(small(), tmp_path / "net.onnx", unfolded=unfolded)
        labels = small()(X).argmax(1)
        labels[:2] = (labels[:2] + 1) % 5
        np.savez(tmp_path / "data.npz", x=X.numpy(), y=labels.numpy())
        settings = SETTINGS.changed(fold_batchnorm=fold)
        data = str(tmp_path / "data.npz")
        return AssessJob(spec, data, tmp_path / "run", "bitcliff ...", settings=settings)

    return make


def test_a_file_is_compared_then_assessed(job: Callable[..., AssessJob]) -> None:
    notes, asked = Notes(), job()
    record, _ = run_assess(asked, notes.listener())
    assert notes.stages[2:4] == [
        "Comparing with ONNX Runtime",
        "ONNX Runtime gives the same answers on 20 examples",
    ]
    assert record.float_.accuracy is not None
    assert record.float_.accuracy.k == 18
    assert [p.name for p in record.subject.points] == ["stem", "body.0", "head"]
    assert record.coverage.complete
    assert record.provenance.weights_sha256 == load_model(asked.model).weights_sha256
    assert not record.provenance.runs_user_code
    assert record.folding is None


def test_a_wrong_operator_leaves_no_run(
    job: Callable[..., AssessJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(operators.OPERATORS, "Relu", torch.abs)
    with pytest.raises(InputError, match=r"\(Relu\) is the first that differs"):
        run_assess(job(), Notes().listener())
    assert not job().out.exists()


def test_folding_is_in_the_record_and_kept_by_explain(job: Callable[..., AssessJob]) -> None:
    asked = job(fold=True, unfolded=True)
    record, _ = run_assess(asked, Notes().listener())
    assert record.settings.fold_batchnorm
    assert record.folding is not None
    assert (record.folding.names, record.folding.left) == (["norm", "body.1"], 0)
    assert record.folding.changed == []
    changed = record.figures.folding_changed
    assert changed is not None
    assert (changed.k, changed.n) == (0, 20)
    plain = logits_of(load_model(asked.model).module, X)
    assert 0 < record.folding.largest_difference < 1e-4 * float(plain.max() - plain.min())
    assert stored_job(asked.out)[0].settings.fold_batchnorm
    explained = run_explain(ExplainJob(asked.out, questions=("layers",)), Notes().listener())
    assert "layers" in explained.answers
    config = json.loads((asked.out / CONFIG).read_text())
    config["settings"]["fold_batchnorm"] = False
    (asked.out / CONFIG).write_text(json.dumps(config))
    with pytest.raises(InputError, match="not the settings of the run's record"):
        run_explain(ExplainJob(asked.out, questions=("layers",)), Notes().listener())


def test_nothing_to_fold_is_told(job: Callable[..., AssessJob]) -> None:
    record, _ = run_assess(job(fold=True), Notes().listener())
    assert record.folding is not None
    found = record.folding
    assert (found.names, found.left, found.largest_difference) == ([], 0, 0)


def test_a_file_is_not_trained(tmp_path: Path) -> None:
    config = TeacherConfig.model_validate(
        {"model": "net.onnx", "data": "digits", "initial": "random", "epochs": 1}
    )
    with pytest.raises(InputError, match="an ONNX file can be assessed, but not trained"):
        load_network(config, 0)
