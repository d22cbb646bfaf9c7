"""`bitcliff guard`: a model, its data and a format into a rule for what runs again in float."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from bitcliff import __version__
from bitcliff.adapters.runtimes.onnx_graph import (
    check_onnx,
    load_graph,
    require_exporter,
    runtime_version,
)
from bitcliff.audit import AssessSettings
from bitcliff.audit.prepare import Prepared, prepare
from bitcliff.errors import InputError
from bitcliff.export import named_inputs, quantized_model, serialized
from bitcliff.export.quantized_graph import NEEDS_FLOAT, SCORES
from bitcliff.points import take
from bitcliff.questions.guard.observe import Deployed, guard_of, observe_guard, shared_out
from bitcliff.questions.guard.page import render_guard
from bitcliff.questions.guard.record import REPORT, Exported, GuardObserved, GuardRecord
from bitcliff.questions.guard.statistics import exportable
from bitcliff.questions.guard.store import GUARD
from bitcliff.record import check_writable, write_bytes_atomic
from bitcliff.record.provenance import now
from bitcliff.run.assess_job import (
    AssessJob,
    Listener,
    load_subject_and_data,
    resolved_config,
    with_stem,
)
from bitcliff.run.measuring import measuring, written
from bitcliff.run.run_directory import check_run_directory
from bitcliff.tasks import task_of
from bitcliff.types.guard import GuardSettings
from bitcliff.types.presets import PRESETS, Format
from bitcliff.types.settings import Selection

_SIGNALS = "Quantized, and what each pass shows of itself"


@dataclass(frozen=True)
class GuardJob:
    """Everything one run needs.

    Attributes:
        what: the model, the data and the run directory, as for an assessment. numerics: what is
            deployed, a shipped format and its name; None: the bits of the settings. export: a file
            to write the quantized network with its guard into.
    """

    what: AssessJob
    numerics: tuple[str, Format] | None = None
    settings: GuardSettings = field(default_factory=GuardSettings)
    export: Path | None = None


def run_guard(job: GuardJob, listener: Listener) -> GuardRecord:
    """Load, measure, calibrate, write. Bad input is refused before anything is written.

    A run takes a pass in float and one quantized: one that was killed is begun anew.

    Raises:
        InputError, NumericError: in one line what is wrong. MissingExtra: what exports is not
            installed.
    """
    began, out = now(), job.what.out
    _check(job)
    check_run_directory(out, "guard")
    subject, examples = load_subject_and_data(job.what, listener)
    shared_out(len(examples), job.settings)  # too few are refused before anything is run
    settings = with_stem(_assessed(job), subject, examples)
    listener.stage("Finding the quantization points")
    prepared = prepare(subject, examples, settings)
    listener.plan(prepared.points)
    config = resolved_config(job.what, subject, examples, prepared.float_sha256)
    config |= {"settings": settings.model_dump(mode="json"), "guard": job.settings.model_dump()}

    def progress(done: int, whole: int) -> None:
        listener.progress(_SIGNALS, done, whole)

    with measuring("guard", out, config, began) as partial:
        deployed = _deployed(job, prepared)
        observed = observe_guard(
            prepared, deployed, job.settings, partial.started, job.what.command, progress
        )
        record = written(GUARD, observed, out, config, render_guard)
        if job.export is not None:
            # What was measured is kept, should the network have no words in ONNX.
            listener.stage("Writing the network with its guard as ONNX, and running it there")
            observed = _export(job.export, prepared, deployed, observed)
            record = written(GUARD, observed, out, config, render_guard)
        return record


def _check(job: GuardJob) -> None:
    """What of the options does not go together."""
    if (job.numerics is None) == (job.settings.bits is None):
        raise InputError("give what is deployed: either --numerics or --bits")
    if job.export is None:
        return
    if job.numerics is not None:
        raise InputError(
            f"--export with --numerics {job.numerics[0]}: the graph of a file has integer grids of "
            "an example alone; give --bits instead of --numerics, or leave --export out"
        )
    require_exporter("bitcliff guard --export")
    check_writable(job.export, "--export")


def _assessed(job: GuardJob) -> AssessSettings:
    """The assessment in which the same is deployed."""
    asked = job.settings
    fields = {name: getattr(asked, name) for name in Selection.model_fields} | {"seed": asked.seed}
    if job.numerics is not None:
        name, shipped = job.numerics
        own = {} if name in PRESETS else {name: shipped}
        return AssessSettings(numerics=(name,), formats=own, budgets=(), **fields)
    assert asked.bits is not None  # noqa: S101  (`_check` has seen to it)
    return AssessSettings(bits=(asked.bits,), budgets=(asked.bits,), uniform=(), **fields)


def _deployed(job: GuardJob, prepared: Prepared) -> Deployed:
    points, settings = len(prepared.points), prepared.settings
    if job.numerics is not None:
        name, shipped = job.numerics
        return Deployed(name, shipped.formula, shipped.isolated, (shipped,) * points)
    width = settings.bits[0]
    formula = f"{width} bits at every point, a range an example ({settings.scheme}); 16-bit weights"
    return Deployed(f"{width} bits", formula, True, torch.full((points,), width))


def _export(
    file: Path, prepared: Prepared, deployed: Deployed, observed: GuardObserved
) -> GuardObserved:
    """Write the file, run it on the examples reported on, and note what it says of them."""
    assert isinstance(deployed.quantized, Tensor)  # noqa: S101  (`_check` has seen to it)
    evaluator, record = prepared.evaluator, GUARD.of(observed)
    inputs = evaluator.inputs
    if isinstance(inputs, Mapping):  # the file takes texts padded to the longest
        inputs = dict(inputs)
    name = exportable(observed.settings)
    model = quantized_model(
        evaluator.attachment,
        inputs,
        deployed.quantized,
        guard=guard_of(record, name),
        metadata={
            "bitcliff": __version__,
            "model": observed.subject.model,
            "weights_sha256": observed.provenance.weights_sha256,
            "bits": deployed.name,
            "guard": name,
            "alpha": str(observed.settings.alpha),
            "delta": str(observed.settings.delta),
        },
    )
    data = serialized(model)
    check_onnx(data)
    reported = torch.from_numpy(np.flatnonzero(observed.part == REPORT))
    found = _in_the_runtime(data, prepared, inputs, reported)
    write_bytes_atomic(file, data)
    exported = Exported(sha256=sha256(data).hexdigest(), runtime=runtime_version(), **found)
    return observed.model_copy(update={"exported": exported})


def _in_the_runtime(
    data: bytes, prepared: Prepared, inputs: Any, index: Int[Tensor, " m"]
) -> dict[str, Any]:
    graph, task = load_graph(data), task_of(prepared.subject.module)
    flags, predictions = list[Tensor](), list[Tensor]()
    for part in index.split(prepared.evaluator.batch_size):
        batch = take(inputs, part)
        given = graph(named_inputs(batch))
        flags.append(given[NEEDS_FLOAT])
        predictions.append(task.scores(given[SCORES], batch).argmax(1))
    return {
        "needs_float": torch.cat(flags).to(torch.int32).numpy(),
        "prediction": torch.cat(predictions).to(torch.int32).numpy(),
    }
