"""`bitcliff isolate`: a model, its data and a runtime into a run directory."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter

from bitcliff.adapters.array_images import array_thumbnails
from bitcliff.adapters.runtimes import load_runtime
from bitcliff.audit.format_runtime import format_runtime
from bitcliff.errors import BitcliffError, InputError
from bitcliff.export import float_onnx
from bitcliff.points import logits_of, take
from bitcliff.questions.isolation.bench import Bench
from bitcliff.questions.isolation.observe import Measurement, Tried, observed_of
from bitcliff.questions.isolation.page import render_isolation
from bitcliff.questions.isolation.positive_control import (
    planted_flips,
    planted_pair,
    planted_subject,
)
from bitcliff.questions.isolation.proof import condition_of, proof_of
from bitcliff.questions.isolation.proof_statistics import proof_figures
from bitcliff.questions.isolation.record import (
    Baseline,
    Isolation,
    IsolationObserved,
    Proof,
    Victim,
)
from bitcliff.questions.isolation.store import ISOLATION
from bitcliff.record.provenance import now
from bitcliff.run.assess_job import AssessJob, Listener, load_subject_and_data, resolved_config
from bitcliff.run.measuring import measuring, write_inputs, written
from bitcliff.run.partial import Partial
from bitcliff.run.run_directory import check_run_directory
from bitcliff.run.runtimes import runtimes_of
from bitcliff.types.presets import Format
from bitcliff.types.runtime_choice import RuntimeChoice
from bitcliff.types.settings import IsolationSettings
from bitcliff.types.subject import tensors_sha256

PAIRS = "pairs"
# Enough to tell whether the network computes what it did before an interruption.
_PROBED = 8
_RUNTIME = RuntimeChoice("ort-dynamic")
_BASELINES = TypeAdapter(list[Baseline])


@dataclass(frozen=True)
class IsolateJob:
    """Everything one run needs.

    Attributes:
        what: the model, the data and the run directory, as for an assessment; its own settings of
            an assessment are not used. runtime: who quantizes and runs. numerics: instead of it, a
            shipped format that is simulated, and its name.
    """

    what: AssessJob
    runtime: RuntimeChoice = _RUNTIME
    numerics: tuple[str, Format] | None = None
    settings: IsolationSettings = field(default_factory=IsolationSettings)


def run_isolate(job: IsolateJob, listener: Listener) -> Isolation:
    """Load, follow every example; where that proves nothing, look for companions; write. Bad input
    is refused before anything is written.

    After a kill the same command goes on from the victim at which it was.

    Raises:
        InputError, NumericError: in one line what is wrong.
    """
    began, out = now(), job.what.out
    check_run_directory(out, "isolate")
    measurement, config = _ready(job, listener)
    planted = _planted(job)
    proof = _proof(job, measurement, listener)
    with measuring("isolate", out, config, began) as partial:
        if not partial.resumed:  # Pairs there are of another run, and would look like this one's.
            shutil.rmtree(out / PAIRS, ignore_errors=True)

        def observed(victims: Sequence[Victim]) -> IsolationObserved:
            command = job.what.command
            return observed_of(measurement, victims, proof, planted, partial.started, command)

        found = observed([])
        if proof is None or not proof_figures(proof, found.subject).proved:
            found = observed(_searched(measurement, partial, out, listener))
        return written(ISOLATION, found, out, config, render_isolation)


def _proof(job: IsolateJob, measurement: Measurement, listener: Listener) -> Proof | None:
    """None: a runtime is a black box."""
    if job.numerics is None:
        return None
    condition = condition_of(*job.numerics, measurement.plan)
    listener.stage("Following every example through the network")
    inputs = measurement.examples.inputs
    try:
        return proof_of(measurement.subject, inputs, condition, job.settings.batch)
    except InputError as error:  # of a layer that the format does not take
        raise InputError(f"--numerics {condition.name}: {error}") from error


def _searched(
    measurement: Measurement, partial: Partial, out: Path, listener: Listener
) -> list[Victim]:
    if partial.resumed:
        listener.stage(f"Going on after {partial.resumed - 1} victims measured before")
    listener.stage("Finding what widens the points' ranges")
    return _victims(measurement.prepared(), partial, out, listener)


def _ready(job: IsolateJob, listener: Listener) -> tuple[Measurement, dict[str, Any]]:
    subject, examples = load_subject_and_data(job.what, listener)
    if job.numerics is not None:
        runtime = format_runtime(*job.numerics, subject, examples.inputs)
    else:
        listener.stage(f"Handing {job.what.model} to {job.runtime.label}")
        (runtime,) = runtimes_of([job.runtime], subject, examples)
    bench = Bench(runtime)
    listener.stage("Finding the points")
    measurement = Measurement(subject, examples, job.settings, bench, bench.in_float())
    listener.plan(measurement.plan)
    probed = take(examples.inputs, torch.arange(min(_PROBED, len(examples))))
    with torch.no_grad():
        scores = logits_of(subject.module, probed)
    config = resolved_config(
        job.what, subject, examples, float_sha256=tensors_sha256({"logits": scores})
    )
    config |= {
        "settings": job.settings.model_dump(),
        "runtime": job.runtime.fields,
        "runtime_version": runtime.version,
    }
    if job.numerics is not None:
        config["numerics"] = job.numerics[1].model_dump(mode="json")
    return measurement, config


def _planted(job: IsolateJob) -> bool | None:
    """The positive control; None where the runtime does not take so small a network."""
    subject = planted_subject()

    def make_onnx() -> bytes:
        return float_onnx(subject.module, planted_pair())

    try:
        if job.numerics is not None:
            loaded = format_runtime(*job.numerics, subject, planted_pair())
        else:
            loaded = load_runtime(job.runtime.name, subject, make_onnx, job.runtime.options)
        return planted_flips(Bench(loaded))
    except BitcliffError:
        return None


def _victims(
    measurement: Measurement, partial: Partial, out: Path, listener: Listener
) -> list[Victim]:
    # What is kept of the run: the baselines, then each victim by its number.
    baselines = _baselines(measurement, partial, listener)
    victims = []
    for place, baseline in enumerate(baselines):
        victim = partial.get_as(str(place), Victim.model_validate)
        if victim is None:
            listener.progress("Chosen and crafted companions", place, len(baselines))
            tried = measurement.attack(place, baseline)
            if tried.attacks[tried.checked.attack].flipped_at is not None:
                file = out / PAIRS / f"{place:05d}.safetensors"
                pair = {"victim": measurement.one(place), "companion": tried.companion}
                write_inputs(file, pair)
            victim = _victim(measurement, place, baseline, tried)
            partial.put(str(place), victim.model_dump())
        victims.append(victim)
    return victims


def _baselines(measurement: Measurement, partial: Partial, listener: Listener) -> list[Baseline]:
    kept = partial.get_as("baselines", _BASELINES.validate_python)
    if kept is None:
        kept = measurement.baseline(
            lambda done, whole: listener.progress("Alone, and in random batches", done, whole)
        )
        partial.put("baselines", _BASELINES.dump_python(kept))
    return kept


def _victim(measurement: Measurement, place: int, baseline: Baseline, tried: Tried) -> Victim:
    examples = measurement.examples
    image = companion = None
    worst = tried.attacks[tried.checked.attack]
    if worst.flipped_at is not None and examples.thumbnails is not None:
        image = examples.thumbnails[place]
        if tried.image is None:
            companion = examples.thumbnails[examples.ids.index(worst.companion)]
        elif drawn := array_thumbnails(tried.image.numpy(), limits=(0.0, 1.0)):
            companion = drawn[0]
    return Victim(
        id=examples.ids[place],
        label=None if examples.labels is None else int(examples.labels[place]),
        baseline=baseline,
        attacks=tried.attacks,
        checked=tried.checked,
        image=image,
        companion_image=companion,
    )
