"""`bitcliff verify`: a finished run's policies in ONNX Runtime, compared with the simulation."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from jaxtyping import Int
from torch import Tensor

from bitcliff.adapters.runtimes.onnx_graph import (
    Graph,
    load_graph,
    require_exporter,
    runtime_version,
)
from bitcliff.errors import InputError
from bitcliff.export import drop_observed, named_inputs, quantized_model, serialized
from bitcliff.export.quantized_graph import AFTER, BEFORE, BITS, SCORES
from bitcliff.questions.sections import write_run_report
from bitcliff.questions.verification.observe import (
    ExportedFile,
    FileOutput,
    Run,
    seconds_each,
    verify_policy,
)
from bitcliff.questions.verification.record import KEY, VerificationObserved
from bitcliff.questions.verification.statistics import KIND
from bitcliff.record import Record, with_answer, write_record
from bitcliff.run.assess_job import Listener
from bitcliff.run.run_directory import held
from bitcliff.run.stored_run import StoredRun, open_stored, record_to_export
from bitcliff.tasks import Task, task_of
from bitcliff.types.subject import Inputs, Texts
from bitcliff.verdict import judge


@dataclass(frozen=True)
class VerifyJob:
    """What to verify. `policies`: names in the record; none: all that allocate bits."""

    run: Path
    policies: tuple[str, ...] = ()


def run_verify(job: VerifyJob, listener: Listener) -> Record:
    """Export the run's network, run it elsewhere, write record and report anew.

    Raises:
        InputError: not a finished run, its model or data are not what they were, or the network
            cannot be exported. MissingExtra: ONNX Runtime is not installed.
    """
    record = record_to_export(job.run)
    names = _chosen(record, job)
    runtime = runtime_version()
    require_exporter("bitcliff verify")
    with held(job.run):
        stored = open_stored(job.run, record, listener)
        observed = _observe(record, names, stored, runtime, listener)
        record = with_answer(record, KEY, observed, KIND)
        write_record(record, job.run)
        write_run_report(record, judge(record, record.settings.max_drop), job.run)
    return record


def policies_with_bits(record: Record) -> list[str]:
    """The policies whose figures rest on bits."""
    return [policy.name for policy in record.policies if policy.mean_bits is not None]


def check_policy(record: Record, name: str) -> None:
    """Refuse a name that the run has no bits under.

    Raises:
        InputError: it has not; the text says under which it has.
    """
    known = policies_with_bits(record)
    if name not in known:
        raise InputError(
            f"--policy {name}: not a policy of this run that allocates bits; "
            f"it has {', '.join(known) or 'none'}"
        )


def _chosen(record: Record, job: VerifyJob) -> list[str]:
    for name in job.policies:
        check_policy(record, name)
    names = list(dict.fromkeys(job.policies)) or policies_with_bits(record)
    if not names:
        raise InputError(
            f"{job.run}: none of its policies allocates bits, so there is nothing to verify; "
            "assess the network with --budget"
        )
    return names


def _observe(
    record: Record, names: list[str], stored: StoredRun, runtime: str, listener: Listener
) -> VerificationObserved:
    evaluator = stored.prepared.evaluator
    if isinstance(evaluator.inputs, Texts):  # the file takes all padded to the longest
        evaluator = replace(evaluator, inputs=dict(evaluator.inputs))
    attachment, inputs = evaluator.attachment, evaluator.inputs
    task = task_of(attachment.model)
    listener.stage("Writing the network as ONNX")
    began = time.perf_counter()
    model = quantized_model(attachment, inputs, observed=True)
    seconds = time.perf_counter() - began
    observe = _as_run(load_graph(serialized(model)), task, len(attachment.plan))
    drop_observed(model)
    given_bits = _as_run(load_graph(serialized(model)), task)
    found = []
    for number, name in enumerate(names):
        listener.progress(name, number, len(names))
        run = given_bits
        if record.by_name[name].kind == "co-trained":
            chosen = quantized_model(attachment, inputs, stored.co_trained)
            run = _as_run(load_graph(serialized(chosen)), task)
        file, ids = ExportedFile(run, observe), stored.prepared.examples.ids
        found.append(verify_policy(name, evaluator, record.outcomes[name], file, ids))
    listener.progress("done", len(names), len(names))
    ours, theirs = seconds_each(evaluator, given_bits)
    return VerificationObserved(
        runtime=runtime,
        export_seconds=seconds,
        seconds_ours=ours,
        seconds_runtime=theirs,
        policies=found,
    )


def _as_run(graph: Graph, task: Task, points: int = 0) -> Run:
    """A file in a runtime as the comparison runs it; `points`: how many of them it tells of."""

    def run(inputs: Inputs, bits: Int[Tensor, "batch points"]) -> FileOutput:
        given: Mapping[str, Tensor] = graph({**named_inputs(inputs), BITS: bits})
        values = [(given[f"{BEFORE}.{p}"], given[f"{AFTER}.{p}"]) for p in range(points)]
        return FileOutput(task.scores(given[SCORES], inputs), given.get(BITS), values)

    return run
