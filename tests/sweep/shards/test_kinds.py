"""Runs of every kind of data and condition, their batches run by a worker that is told by bytes."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bitcliff.run.assess_job import AssessJob, run_assess
from bitcliff.run.shared_out import here
from bitcliff.types.options import ModelOptions
from bitcliff.types.settings import AssessSettings
from tests.contract import runs
from tests.sweep.shards import audits


def timeless(out: Path) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads((out / "record.json").read_text())
    for time in ("started", "finished"):
        del fields["provenance"][time]
    # How fast a runtime is, is measured anew each time.
    for of_runtimes in (fields["answers"], fields["figures"]):
        of_runtimes.pop("runtimes", None)
    return fields


@pytest.mark.parametrize(
    "make", [runs.in_a_runtime_and_folded, runs.mixed, runs.compared], ids=lambda one: one.__name__
)
def test_the_record_is_that_of_one_process(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "run")
    alone = timeless(tmp_path / "run")
    monkeypatch.setattr(runs, "run_assess", partial(run_assess, workers=audits.by_bytes))
    make(tmp_path / "run")
    assert timeless(tmp_path / "run") == alone


@pytest.mark.slow
@pytest.mark.parametrize("task", ["next-token", "continuation:4"])
def test_of_texts_too(tmp_path: Path, task: str) -> None:
    """Of one length each batch; of a continuation a score beside each decision."""
    from tests.language_models import prose, save_language_model

    save_language_model(tmp_path)
    (tmp_path / "texts.txt").write_text("\n".join(prose(12)))
    settings = AssessSettings(
        budgets=(4.0,), bits=(3, 4, 6), uniform=(4,), numerics=("vllm-int8-token",), rounds=1,
        exchanges=2, evaluations=2, draws=2, batch_size=2,
    )  # fmt: skip
    found = []
    for name, workers in (("alone", here), ("run", audits.by_bytes)):
        asked = AssessJob(
            f"hf:{tmp_path}", str(tmp_path / "texts.txt"), tmp_path / name, "...",
            settings=settings, model_options=ModelOptions(task=task),
        )  # fmt: skip
        found.append(audits.record(asked, workers))
    assert found[0] == found[1]
