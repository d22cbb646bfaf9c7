"""Runtimes and the black box through the whole run."""

import json
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import ModelProto

from bitcliff.adapters import load_model
from bitcliff.adapters.runtimes.onnx_graph import load_graph
from bitcliff.errors import InputError, MissingExtra
from bitcliff.export import float_onnx
from bitcliff.questions.corruptions.record import CorruptionsObserved
from bitcliff.questions.inputs.record import InputsAtRisk
from bitcliff.questions.kinds import KINDS
from bitcliff.questions.runtimes.page import runtimes_lines
from bitcliff.questions.runtimes.record import KEY, RuntimeObserved, RuntimesObserved
from bitcliff.record import Record, read_record, record_json
from bitcliff.record.plan import QuantizationPlan
from bitcliff.run.assess_job import AssessJob, run_assess
from bitcliff.run.explain_job import ExplainJob, run_explain
from bitcliff.run.export_job import ExportJob, run_export
from bitcliff.run.plan_file import planned
from bitcliff.run.stored_job import stored_job
from bitcliff.run.verify_job import VerifyJob, run_verify
from bitcliff.types.runtime_choice import OrtOptions, RuntimeChoice
from bitcliff.types.settings import CorruptionSettings
from tests.a_record import figures_in, observed_in
from tests.adapters.onnx.classifiers import WEIGHTS, X, Y, classifier, of_its_batch, quantized
from tests.adapters.onnx.networks import save
from tests.contract.subjects import SETTINGS
from tests.questions.page_text import text_of
from tests.run.test_assess_job import FILES, Notes, break_down, figures, job

__all__ = ["job"]

ORT = RuntimeChoice("ort-dynamic", OrtOptions())
TORCH = RuntimeChoice("torch-dynamic")


@pytest.fixture(scope="module")
def network_file() -> bytes:
    return float_onnx(load_model("base-digits").module, torch.zeros(2, 1, 8, 8))


@pytest.fixture
def black_box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network_file: bytes) -> AssessJob:
    """The digits network as a file of which nothing else is known."""
    monkeypatch.chdir(tmp_path)
    Path("network.onnx").write_bytes(network_file)
    return AssessJob(
        "network.onnx",
        "digits",
        Path("run"),
        "bitcliff ...",
        limit=20,
        runtimes=(ORT,),
        black_box=True,
        settings=SETTINGS,
    )


def observed(record: Record) -> list[RuntimeObserved]:
    found = observed_in(record, KEY, RuntimesObserved)
    return found.runtimes


def test_an_interrupted_run_with_runtimes_goes_on_to_the_same_record(
    job: AssessJob,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = replace(job, runtimes=(TORCH, RuntimeChoice("torchao-dynamic")))
    run_assess(replace(job, out=Path("whole")), Notes().listener())
    with monkeypatch.context() as patch:
        break_down(patch, after=18)
        with pytest.raises(KeyboardInterrupt):
            run_assess(job, Notes().listener())
    notes = Notes()
    record, _ = run_assess(job, notes.listener())
    assert "Going on after 18 steps taken before" in notes.stages
    assert figures(job.out) == figures(Path("whole"))
    assert [one.name for one in observed(record)] == ["torch-dynamic", "torchao-dynamic"]
    assert json.loads((job.out / "config.json").read_text())["runtimes"] == [
        {"name": "torch-dynamic", "options": None},
        {"name": "torchao-dynamic", "options": None},
    ]
    assert stored_job(job.out)[0].runtimes == job.runtimes
    rows = (job.out / "examples.csv").read_text()
    assert "torch-dynamic-batch" in rows
    assert 'name="torch-dynamic-batch"' in (job.out / "junit.xml").read_text()


def test_a_runtime_that_is_named_twice(job: AssessJob) -> None:
    job = replace(job, runtimes=(TORCH, TORCH))
    with pytest.raises(InputError, match="--runtime torch-dynamic: named 2 times"):
        run_assess(job, Notes().listener())
    assert not job.out.exists()


def test_a_black_box_is_judged_by_its_answers_alone(black_box: AssessJob) -> None:
    record, verdict = run_assess(black_box, Notes().listener())
    assert sorted(path.name for path in black_box.out.iterdir()) == FILES
    assert record_json(read_record(black_box.out, KINDS)) == record_json(record)
    assert record.subject.black_box
    assert record.subject.points == []
    assert [policy.name for policy in record.policies] == ["ort-dynamic", "ort-dynamic-batch"]
    assert [one.policy for one in verdict.judgements] == ["ort-dynamic", "ort-dynamic-batch"]
    (runtime,) = observed(record)
    assert runtime.rungs == []
    assert runtime.speed.simulation is None
    assert record.float_.accuracy is not None
    page = (black_box.out / "report.html").read_text()
    assert "not looked inside" in page
    assert "Quantized by ort-dynamic, " in page
    assert "worst found" not in page.lower()
    found, _ = stored_job(black_box.out)
    assert (found.black_box, found.runtimes) == (True, (ORT,))


def test_of_a_black_box_nothing_is_exported(black_box: AssessJob) -> None:
    run_assess(black_box, Notes().listener())
    message = "run: its network was not looked inside, .* assess network.onnx without --black-box"
    with pytest.raises(InputError, match=message):
        run_export(ExportJob(black_box.out), Notes().listener())
    with pytest.raises(InputError, match=message):
        run_verify(VerifyJob(black_box.out), Notes().listener())


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_without_the_exporter_its_extra_is_named(
    job: AssessJob, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    run_assess(replace(job, runtimes=()), Notes().listener())
    monkeypatch.setitem(sys.modules, package, None)
    needs = rf"needs the package {package}: pip install 'bitcliff\[onnx\]'"
    with pytest.raises(MissingExtra, match=f"bitcliff export {needs}"):
        run_export(ExportJob(job.out), Notes().listener())
    with pytest.raises(MissingExtra, match=f"bitcliff verify {needs}"):
        run_verify(VerifyJob(job.out), Notes().listener())
    with pytest.raises(MissingExtra, match=needs):
        run_assess(replace(job, runtimes=(ORT,), out=Path("b")), Notes().listener())


def test_a_folder_with_an_isolate_run_is_left_alone(job: AssessJob) -> None:
    job.out.mkdir()
    (job.out / "config.json").write_text("{}")
    (job.out / "isolate.json").write_text("{}")
    with pytest.raises(InputError, match="holds a run of `bitcliff isolate`; name another"):
        run_assess(job, Notes().listener())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"runtimes": ()}, "--black-box: nothing to compare with float; give --runtime"),
        ({"weights": Path("w.pt")}, "--weights has no effect with --black-box"),
        ({"model": "missing.onnx"}, "missing.onnx: no such file"),
    ],
)
def test_what_a_black_box_cannot_have(
    black_box: AssessJob, change: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        run_assess(replace(black_box, **change), Notes().listener())  # type: ignore[arg-type]
    assert not black_box.out.exists()


def test_of_a_runtime_it_is_explained_what_answers_tell(
    job: AssessJob,
) -> None:
    run_assess(replace(job, runtimes=(TORCH,)), Notes().listener())
    notes = Notes()
    asked = ExplainJob(job.out, ("torch-dynamic", "torch-dynamic-batch"), n_train=0)
    record = run_explain(asked, notes.listener())
    asked_of = "layers, inputs, distributions, corruptions, lengths"
    assert f"Asked of what shows no bits: {asked_of}" in notes.stages
    assert [*record.answers] == ["runtimes", "least_widths", *asked_of.split(", ")]
    inputs = figures_in(record, "inputs", InputsAtRisk)
    assert [one.policy for one in inputs.policies] == list(asked.policies)
    with pytest.raises(InputError, match="--only activations: torch-dynamic shows no bits"):
        run_explain(ExplainJob(job.out, ("torch-dynamic",), ("activations",)), notes.listener())


def test_a_black_box_is_explained_on_corrupted_pictures(black_box: AssessJob) -> None:
    record, _ = run_assess(black_box, Notes().listener())
    settings = CorruptionSettings(degrees=(5,), seeds=1, examples=6)
    asked = ExplainJob(black_box.out, questions=("corruptions",), n_train=0, corrupting=settings)
    explained = run_explain(asked, Notes().listener())
    found = observed_in(explained, "corruptions", CorruptionsObserved)
    assert set(found.bits.values()) == {"the corrupted image is rounded anew"}
    assert {name for cell in found.cells for name in cell.marks} == {
        "float",
        *(policy.name for policy in record.policies),
    }


PLAN = QuantizationPlan(
    model="py:own_network:net", float_points=["4"], floors={"6": 9}, scheme="paper"
)


def planned_job(job: AssessJob, *runtimes: RuntimeChoice) -> AssessJob:
    settings = planned(job.settings.changed(bits=tuple(range(2, 10)), budgets=(6.0,)), PLAN)
    return replace(job, plan=PLAN, settings=settings, runtimes=runtimes)


def test_a_plan_is_applied_in_each_runtime_and_what_is_not_is_told(job: AssessJob) -> None:
    unsigned = RuntimeChoice("ort-dynamic", OrtOptions(weights="uint8", operators=("MatMul",)))
    notes = Notes()
    record, _ = run_assess(planned_job(job, ORT, unsigned, TORCH), notes.listener())
    ort, other, torch_ = observed(record)
    assert [ort.name, other.name] == [
        "ort-dynamic",
        "ort-dynamic:weights=uint8,operators=MatMul",
    ]
    assert (ort.options, other.options, torch_.options) == (ORT.options, unsigned.options, None)
    assert (ort.quantized, ort.in_float["MatMul"]) == ({"MatMul": 4}, 1)
    assert (torch_.quantized, torch_.in_float) == ({"Linear": 4}, {"Linear": 1})
    ranges = "ranges are the runtime's own, not those of paper"
    assert ort.not_applied == ["6 has 8 bits, fewer than its floor of 9", ranges]
    assert torch_.not_applied == ["6 has 7 bits, fewer than its floor of 9", ranges]
    assert f"NOT APPLIED by {other.name} of the plan: {ranges}" in notes.stages
    terminal = "\n".join(runtimes_lines(record))
    assert f"! {other.name}: of the plan, {ranges}." in terminal
    assert "quantize_dynamic as it is by default" in terminal
    assert "In integers: 4 MatMul; in float: 1 MatMul, 4 Relu." in terminal
    assert ("may saturate" in terminal) == bool(ort.may_saturate)
    page = text_of((job.out / "report.html").read_text())
    assert "Of the plan, not applied: 6 has 8 bits" in page
    assert ("May saturate" in page) == bool(ort.may_saturate)
    assert record_json(read_record(job.out, KINDS)) == record_json(record)
    assert stored_job(job.out)[0].runtimes == (ORT, unsigned, TORCH)
    # What is explained is the same runtime, with the plan, opened again.
    asked = ExplainJob(job.out, (other.name,), ("inputs",), n_train=0)
    assert "inputs" in run_explain(asked, Notes().listener()).answers


def test_the_quantized_file_is_written_with_the_plans_layers_in_float(job: AssessJob) -> None:
    run_assess(replace(job, runtimes=(ORT,)), Notes().listener())
    Path("plan.yaml").write_text(PLAN.text())
    notes = Notes()
    asked = ExportJob(job.out, plan=Path("plan.yaml"), runtime=ORT)
    file = run_export(asked, notes.listener())
    assert file == job.out / "ort-dynamic.onnx"
    kinds = Counter(node.op_type for node in onnx.load(file).graph.node)
    assert (kinds["MatMulInteger"], kinds["MatMul"]) == (4, 1)
    assert any(stage.startswith("NOT APPLIED by ort-dynamic") for stage in notes.stages)
    whole = run_export(ExportJob(job.out, runtime=ORT, out=Path("whole.onnx")), notes.listener())
    x = torch.from_numpy(np.load("data.npz")["x"])[:1]
    record = read_record(job.out, KINDS)
    shipped = load_graph(whole.read_bytes())({"input": x})["scores"]
    assert shipped.argmax() == record.examples[0].outcomes["ort-dynamic"].prediction


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"runtime": TORCH}, "--runtime torch-dynamic: writes no file of its own; give ort-dyna"),
        ({"runtime": ORT, "policy": "uniform-4"}, "--policy has no effect with --runtime"),
    ],
)
def test_what_is_not_exported(job: AssessJob, changes: dict[str, Any], says: str) -> None:
    run_assess(replace(job, runtimes=()), Notes().listener())
    before = sorted(job.out.iterdir())
    with pytest.raises(InputError, match=says):
        run_export(ExportJob(job.out, **changes), Notes().listener())
    assert sorted(job.out.iterdir()) == before


def test_a_run_of_before_there_were_options_is_not_opened_as_another(job: AssessJob) -> None:
    run_assess(replace(job, runtimes=(ORT,)), Notes().listener())
    file = job.out / "config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps(config | {"runtimes": ["ort-dynamic"]}))
    label = "ort-dynamic:weights=uint8,operators=Conv+Gemm+MatMul"
    assert [one.label for one in stored_job(job.out)[0].runtimes] == [label]
    with pytest.raises(InputError, match="as an older Bitcliff ran it; assess") as error:
        run_explain(ExplainJob(job.out, ("ort-dynamic",), n_train=0), Notes().listener())
    assert str(error.value).endswith(f"again with --runtime {label}")


def of_a_file(folder: Path, model: ModelProto, *runtimes: RuntimeChoice) -> AssessJob:
    """Not looked into, on the examples that its float is all right on."""
    save(model, folder / "net.onnx")
    np.savez(folder / "data.npz", x=X, y=Y)
    return AssessJob(
        str(folder / "net.onnx"),
        str(folder / "data.npz"),
        folder / "run",
        "bitcliff ...",
        runtimes=runtimes,
        black_box=True,
        settings=SETTINGS.changed(batch_size=16),
    )


def test_what_batches_do_in_float_is_not_blamed_on_quantization(tmp_path: Path) -> None:
    asked = of_a_file(tmp_path, of_its_batch(), ORT)
    record, verdict = run_assess(asked, Notes().listener())
    alone, batch = record.policies
    assert (alone.condition.batch_size, batch.condition.batch_size) == (1, 16)
    # Alone, every example is zero once the mean of its batch is taken off.
    assert record.float_.accuracy is not None
    assert record.float_.accuracy.k == int(np.bincount(Y)[WEIGHTS["b"].argmax()])
    assert alone.flips.all.k == batch.flips.all.k == 0
    assert batch.accuracy is not None
    assert batch.accuracy.k > 60
    assert record.float_otherwise is not None
    assert record.float_otherwise[0] == 16
    assert verdict.status == "inconclusive"
    assert "Float itself depends on its batch" in (asked.out / "report.html").read_text()
    assert record_json(read_record(asked.out, KINDS)) == record_json(record)


def test_the_file_that_ships_is_judged_beside_float(tmp_path: Path) -> None:
    asked = of_a_file(tmp_path, classifier())
    shipped = quantized(tmp_path / "net.onnx", "QDQ")
    asked = replace(asked, runtimes=(RuntimeChoice(f"file:{shipped}"),))
    record, verdict = run_assess(asked, Notes().listener())
    names = [f"file:{shipped}", f"file:{shipped}-batch"]
    assert [one.policy for one in verdict.judgements] == names
    assert [policy.name for policy in record.policies] == names
    assert record.float_otherwise is None
    (runtime,) = observed(record)
    assert (runtime.quantized, runtime.rungs) == ({"MatMul": 2}, [])
    assert stored_job(asked.out)[0].runtimes == asked.runtimes
    # Another file under the same name is another runtime, which is not gone on with.
    quantized(tmp_path / "net.onnx", "dynamic").replace(shipped)
    with pytest.raises(InputError, match=r"it was measured in onnxruntime .*, file .*assess again"):
        run_explain(ExplainJob(asked.out, (names[0],), ("inputs",)), Notes().listener())
