"""`bitcliff export`: a finished run's network as an ONNX file that quantizes as the run did."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch

from bitcliff import __version__
from bitcliff.adapters.runtimes.onnx_graph import check_onnx, require_exporter
from bitcliff.audit import AssessSettings
from bitcliff.errors import InputError
from bitcliff.export import quantized_model, serialized
from bitcliff.export.quantized_graph import Source
from bitcliff.points import Attachment, discover, floors_at
from bitcliff.policy import Uniform
from bitcliff.quant import MAX_BITS, MIN_BITS
from bitcliff.record import Record, check_writable, write_bytes_atomic
from bitcliff.run.assess_job import Listener
from bitcliff.run.plan_file import check_plan, planned, read_plan
from bitcliff.run.runtimes import beyond, quantized_file
from bitcliff.run.stored_run import StoredRun, open_stored, record_to_export
from bitcliff.run.verify_job import check_policy
from bitcliff.types.runtime_choice import RuntimeChoice

_EVEN = "uniform-"


@dataclass(frozen=True)
class ExportJob:
    """What to write.

    Attributes:
        run: the run directory. out: the file; None: one in the run directory, named by the policy.
        policy: a name in the run's record, or with a plan "uniform-B"; None: bits are an input.
        plan: a plan.yaml whose points in float, scheme and floors are taken instead of the run's.
        runtime: whose own quantized file to write; None: one that quantizes as the run simulated.
    """

    run: Path
    policy: str | None = None
    plan: Path | None = None
    out: Path | None = None
    runtime: RuntimeChoice | None = None


def run_export(job: ExportJob, listener: Listener) -> Path:
    """Write the file, whole or not at all, and say where it is.

    Raises:
        InputError: not a finished run, its model or data are not what they were, no such policy,
            or a network that cannot be written as ONNX. MissingExtra: onnx is not installed.
    """
    record = record_to_export(job.run)
    if job.runtime is not None:
        return _export_shipped(job, job.runtime, record, listener)
    require_exporter("bitcliff export")
    if job.policy is not None and job.plan is None:
        check_policy(record, job.policy)
    out = job.out or job.run / f"{job.policy or 'quantized'}.onnx"
    check_writable(out, "--out")
    stored = open_stored(job.run, record, listener)
    attachment, settings = stored.prepared.evaluator.attachment, stored.prepared.settings
    if job.plan is not None:
        attachment, settings = _planned(job.plan, stored)
    floors = floors_at(settings, attachment.plan)
    source = _even(job.policy, floors, attachment) if job.plan else _source(job, record, stored)
    listener.stage("Writing the network as ONNX")
    model = quantized_model(
        attachment,
        stored.prepared.evaluator.inputs,
        source,
        metadata={
            "bitcliff": __version__,
            "model": record.subject.model,
            "weights_sha256": record.provenance.weights_sha256,
            "policy": job.policy or "none",
            "scheme": str(attachment.scheme),
            "weight_bits": json.dumps(attachment.weight_bits),
            "per_channel": json.dumps(attachment.per_channel),
            "points": json.dumps([point.name for point in attachment.plan.points]),
            "bits": _bits_in_words(source),
            "floors": json.dumps(dict(settings.floors)),
            "in_float": json.dumps(list(settings.in_float)),
        },
    )
    data = serialized(model)
    check_onnx(data)
    write_bytes_atomic(out, data)
    return out


def _export_shipped(
    job: ExportJob, runtime: RuntimeChoice, record: Record, listener: Listener
) -> Path:
    """What the runtime's own quantization makes of the network."""
    if job.policy is not None:
        raise InputError("--policy has no effect with --runtime; leave it out")
    out = job.out or job.run / f"{runtime.name}.onnx"
    check_writable(out, "--out")
    plan = None if job.plan is None else read_plan(job.plan)
    stored = open_stored(job.run, record, listener)
    prepared = stored.prepared
    settings = prepared.settings
    if plan is not None:
        check_plan(plan, prepared.subject)
        settings = settings.changed(in_float=tuple(plan.float_points))
        for what in beyond(plan, bits=8):
            listener.stage(f"NOT APPLIED by {runtime.label} of the plan: {what}")
    listener.stage(f"Quantizing with {runtime.label}")
    data = quantized_file(runtime, prepared.subject, prepared.examples, settings)
    write_bytes_atomic(out, data)
    return out


def _planned(file: Path, stored: StoredRun) -> tuple[Attachment, AssessSettings]:
    plan, subject = read_plan(file), stored.prepared.subject
    check_plan(plan, subject)
    settings = planned(stored.prepared.settings, plan)
    points = discover(subject.module, stored.prepared.examples.inputs, settings)
    attachment = Attachment(
        subject.module, points, settings.scheme, settings.weight_bits, settings.per_channel
    )
    return attachment, settings


def _even(policy: str | None, floors: list[int] | None, attachment: Attachment) -> Source:
    """With a plan: one width for all, raised to the floors, or an input."""
    if policy is None:
        return None
    width = policy.removeprefix(_EVEN)
    if not (policy.startswith(_EVEN) and width.isdecimal()) or not (
        MIN_BITS <= int(width) <= MAX_BITS
    ):
        raise InputError(
            f"--policy {policy}: the bits of the run's other policies are for its own points; "
            f"with --plan give {_EVEN}B, B in {MIN_BITS} to {MAX_BITS}, or leave --policy out"
        )
    bits = Uniform(len(attachment.plan), int(width)).bits
    return bits if floors is None else torch.maximum(bits, torch.tensor(floors))


def _source(job: ExportJob, record: Record, stored: StoredRun) -> Source:
    """Where a policy of the run takes its bits from."""
    policy = next((one for one in record.policies if one.name == job.policy), None)
    if policy is None:
        return None
    if policy.threat == "co-trained":
        return stored.co_trained
    return None if policy.allocation is None else torch.tensor(policy.allocation)


def _bits_in_words(source: Source) -> str:
    if isinstance(source, torch.Tensor):
        return json.dumps(source.tolist())
    return "an input" if source is None else f"chosen in the graph, {source.total} in all"
