"""`bitcliff batchmates`: a model, its data and a runtime into a run directory."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict
from safetensors.torch import save
from torch import Tensor

from bitcliff.adapters.array_pictures import array_thumbnails
from bitcliff.adapters.runtimes import load_runtime
from bitcliff.assess.batchmates import (
    BatchmatesSettings,
    Bench,
    Measurement,
    compose_batchmates,
    planted_flips,
    planted_subject,
)
from bitcliff.assess.batchmates.measure import Tried
from bitcliff.assess.batchmates.planted import planted_pair
from bitcliff.errors import BitcliffError
from bitcliff.export import float_onnx
from bitcliff.jobs.assess_job import AssessJob, Listener, load_subject_and_data, resolved_config
from bitcliff.jobs.run_directory import (
    BATCHMATES_PARTIAL,
    CONFIG,
    check_run_directory,
    held,
    open_run,
)
from bitcliff.jobs.runtimes import runtimes_of
from bitcliff.points import logits_of, take
from bitcliff.records import (
    make_folder,
    record_json,
    write_bytes_atomic,
    write_text_atomic,
)
from bitcliff.records.batchmates import BATCHMATES_NAME, Baseline, Batchmates, Victim
from bitcliff.records.provenance import now
from bitcliff.report.batchmates import render_batchmates
from bitcliff.types.subject import Inputs, tensors_sha256

PAIRS = "pairs"
# Enough to tell whether the network computes what it did before an interruption.
_PROBED = 8


@dataclass(frozen=True)
class BatchmatesJob:
    """Everything one run needs.

    Attributes:
        what: the model, the data and the run directory, as for an assessment; its own settings of
            an assessment are not used. runtime: its name.
    """

    what: AssessJob
    runtime: str = "ort-dynamic"
    settings: BatchmatesSettings = field(default_factory=BatchmatesSettings)


class _Partial(BaseModel):
    """Victims measured by a run that has not ended, and the configuration they belong to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fingerprint: str
    started: str
    baselines: list[Baseline]
    victims: list[Victim]


def run_batchmates(job: BatchmatesJob, listener: Listener) -> Batchmates:
    """Load, measure every victim, write. Bad input is refused before anything is written.

    After a kill the same command goes on from the victim at which it was.

    Raises:
        InputError, NumericError: in one line what is wrong.
    """
    out = job.what.out
    check_run_directory(out, "batchmates")
    measurement, config = _ready(job, listener)
    planted = _planted(job.runtime)
    open_run(out)
    with held(out):
        partial = _resumed(out, config, listener)
        victims = _victims(measurement, partial, out, listener)
        record = compose_batchmates(
            measurement, victims, planted, partial.started, job.what.command
        )
        page = render_batchmates(record)
        write_text_atomic(out / BATCHMATES_NAME, record_json(record))
        write_text_atomic(out / CONFIG, json.dumps(config, indent=2) + "\n")
        write_text_atomic(out / "report.html", page)
        (out / BATCHMATES_PARTIAL).unlink(missing_ok=True)
    return record


def _ready(job: BatchmatesJob, listener: Listener) -> tuple[Measurement, dict[str, Any]]:
    subject, examples = load_subject_and_data(job.what, listener)
    listener.stage(f"Handing {job.what.model} to {job.runtime}")
    (runtime,) = runtimes_of([job.runtime], subject, examples)
    bench = Bench(runtime)
    listener.stage("Finding the points, and what widens their ranges")
    measurement = Measurement(subject, examples, job.settings, bench, bench.float_twin())
    listener.plan(measurement.plan)
    probed = take(examples.inputs, torch.arange(min(_PROBED, len(examples))))
    with torch.no_grad():
        scores = logits_of(subject.module, probed)
    config = resolved_config(
        job.what, subject, examples, float_sha256=tensors_sha256({"logits": scores})
    )
    config |= {
        "settings": job.settings.model_dump(),
        "runtime": job.runtime,
        "runtime_version": runtime.version,
    }
    return measurement, config


def _planted(runtime: str) -> bool | None:
    """The positive control; None where the runtime does not take so small a network."""
    subject = planted_subject()
    try:
        return planted_flips(
            Bench(
                load_runtime(runtime, subject, lambda: float_onnx(subject.module, planted_pair()))
            )
        )
    except BitcliffError:
        return None


def _resumed(out: Path, config: dict[str, Any], listener: Listener) -> _Partial:
    fingerprint = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
    try:
        found = _Partial.model_validate(json.loads((out / BATCHMATES_PARTIAL).read_bytes()))
    except (OSError, ValueError):
        found = None
    if found is not None and found.fingerprint == fingerprint:
        listener.stage(f"Going on after {len(found.victims)} victims measured before")
        return found
    # Of another run; its pairs would look like this one's.
    shutil.rmtree(out / PAIRS, ignore_errors=True)
    fresh = _Partial(fingerprint=fingerprint, started=now(), baselines=[], victims=[])
    write_text_atomic(out / BATCHMATES_PARTIAL, record_json(fresh))
    return fresh


def _victims(
    measurement: Measurement, partial: _Partial, out: Path, listener: Listener
) -> list[Victim]:
    baselines = partial.baselines or measurement.baseline(
        lambda done, whole: listener.progress("Alone, and in random batches", done, whole)
    )
    victims = list(partial.victims)
    for place in range(len(victims), len(baselines)):
        listener.progress("Chosen and crafted companions", place, len(baselines))
        tried = measurement.attack(place, baselines[place])
        if tried.attacks[tried.checked.attack].flipped_at is not None:
            _write_pair(out, place, measurement.one(place), tried.companion)
        victims.append(_victim(measurement, place, baselines[place], tried))
        kept = partial.model_copy(update={"baselines": baselines, "victims": victims})
        write_text_atomic(out / BATCHMATES_PARTIAL, record_json(kept))
    return victims


def _victim(measurement: Measurement, place: int, baseline: Baseline, tried: Tried) -> Victim:
    examples = measurement.examples
    picture = companion = None
    worst = tried.attacks[tried.checked.attack]
    if worst.flipped_at is not None and examples.thumbnails is not None:
        picture = examples.thumbnails[place]
        if tried.picture is None:
            companion = examples.thumbnails[examples.ids.index(worst.companion)]
        elif drawn := array_thumbnails(tried.picture.numpy(), limits=(0.0, 1.0)):
            companion = drawn[0]
    return Victim(
        id=examples.ids[place],
        label=None if examples.labels is None else int(examples.labels[place]),
        baseline=baseline,
        attacks=tried.attacks,
        checked=tried.checked,
        picture=picture,
        companion_picture=companion,
    )


def _write_pair(out: Path, place: int, victim: Inputs, companion: Inputs) -> None:
    """Both inputs, so that anyone can run them alone and together."""
    tensors: dict[str, Tensor] = {}
    for role, inputs in (("victim", victim), ("companion", companion)):
        named = inputs if isinstance(inputs, Mapping) else {"input": inputs}
        tensors |= {f"{role}.{name}": tensor.contiguous() for name, tensor in named.items()}
    make_folder(out / PAIRS)
    write_bytes_atomic(out / PAIRS / f"{place:05d}.safetensors", save(tensors))
