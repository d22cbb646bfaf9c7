"""`bitcliff assess`: a model's name and a data set's name into a run directory."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from bitcliff import __version__
from bitcliff.adapters import DataOptions, ModelOptions, load_examples, load_model
from bitcliff.adapters.black_box.subject import load_black_box_subject
from bitcliff.adapters.onnx.agreement import check_agreement
from bitcliff.adapters.onnx.file import check_one_piece
from bitcliff.adapters.onnx.subject import is_onnx
from bitcliff.adapters.preprocessing import IMAGE_OPTIONS
from bitcliff.audit import AssessSettings
from bitcliff.audit.compose import record_of_schedule
from bitcliff.audit.prepare import Prepared, prepare
from bitcliff.audit.schedule import Schedule
from bitcliff.errors import InputError
from bitcliff.points import Plan
from bitcliff.points.forward import takes_images
from bitcliff.policy import Policy
from bitcliff.policy.stored import read_policy
from bitcliff.questions.difference.observe import observe_difference
from bitcliff.questions.kinds import KINDS
from bitcliff.questions.least_widths.observe import observe_least_widths
from bitcliff.questions.runtimes.observe import observe_runtimes
from bitcliff.questions.sections import write_run_report
from bitcliff.record import (
    Record,
    package_versions,
    with_answer,
    write_record,
    write_text_atomic,
)
from bitcliff.record.plan import QuantizationPlan
from bitcliff.record.provenance import now
from bitcliff.run.allowed_time import counts_in_time
from bitcliff.run.measured_before import MeasuredBefore
from bitcliff.run.partial import Partial
from bitcliff.run.plan_file import PLAN, check_plan
from bitcliff.run.run_directory import CONFIG, PARTIAL, check_run_directory, held, open_run
from bitcliff.run.runtimes import beyond, runtimes_of
from bitcliff.run.shared_out import Workers, here, shared_out
from bitcliff.tasks import task_of
from bitcliff.types.runtime import Runtime
from bitcliff.types.runtime_choice import RuntimeChoice
from bitcliff.types.subject import Examples, Subject, tensors_sha256
from bitcliff.verdict import Verdict, judge
from bitcliff.zoo.shipped import SHIPPED

DEFAULT_MODEL = "efficientnet-lite0"
BUILTIN_DATA = {
    DEFAULT_MODEL: "imagenet-20",
    **{name: shipped.data for name, shipped in SHIPPED.items()},
}
# Means that every uniform policy survives on the built-in network: what breaks it is the spending.
BUILTIN_BUDGETS: dict[str, tuple[float, ...]] = {
    DEFAULT_MODEL: (7.0, 9.0),
    **dict.fromkeys(SHIPPED, (5.5,)),
}


@dataclass(frozen=True)
class AssessJob:
    """Everything one run needs.

    Attributes:
        model, data: names as the user types them. weights: a file, or None.
        policy: a file of the policy that was trained with the weights; None: the model's own, if
            it ships with one.
        plan: already part of `settings`; kept to check that it is for this network.
        limit: examples kept at most; more are subsampled.
        runtimes: as `adapters.runtimes.read_runtime` reads them, to measure too.
        black_box: the model is an ONNX file that is not looked into: the runtimes alone.
        out: the run directory. command: the command line, for the record.
    """

    model: str
    data: str
    out: Path
    command: str
    weights: Path | None = None
    policy: Path | None = None
    plan: QuantizationPlan | None = None
    limit: int | None = 200
    runtimes: tuple[RuntimeChoice, ...] = ()
    black_box: bool = False
    settings: AssessSettings = field(default_factory=AssessSettings)
    model_options: ModelOptions = field(default_factory=ModelOptions)
    data_options: DataOptions = field(default_factory=DataOptions)


@dataclass(frozen=True)
class Listener:
    """Who hears of the run's progress.

    Attributes:
        stage: a sentence when something new begins. plan: the points, once found.
        progress: the policy being measured, cost done, cost in all.
        judged: what a decision is, before the points are told: a run's first line.
    """

    stage: Callable[[str], None]
    plan: Callable[[Plan], None]
    progress: Callable[[str, int, int], None]
    judged: Callable[[str], None] = lambda _words: None


def run_assess(
    job: AssessJob, listener: Listener, workers: Workers = here
) -> tuple[Record, Verdict]:
    """Load, assess, judge, write. Bad input is refused before anything is written.

    Raises:
        InputError, NumericError: in one line what is wrong.
    """
    began = now()
    check_run_directory(job.out, "assess")
    job, prepared, config = prepared_job(job, listener)
    config["policy_sha256"] = prepared.policy and prepared.policy.sha256
    config["runtime_versions"] = [runtime.version for runtime in prepared.runtimes]
    listener.judged(task_of(prepared.subject.module).words)
    listener.plan(prepared.points)
    if prepared.subject.other_outputs:
        others = ", ".join(prepared.subject.other_outputs)
        listener.stage(f"Judged is the output {prepared.subject.output}, and not {others}")
    open_run(job.out)
    with held(job.out):
        partial = Partial(job.out / PARTIAL, config, began)
        if partial.resumed:
            listener.stage(f"Going on after {partial.resumed} steps taken before")
        counts = counts_in_time(prepared, config, partial, job.out, listener.stage)
        job = replace(job, settings=job.settings.changed(**counts))
        prepared = replace(prepared, settings=prepared.settings.changed(**counts))
        config["settings"] = resolved_settings(job)
        with shared_out(prepared.evaluator, workers, config, listener.stage):
            record = _measured(prepared, MeasuredBefore(partial), job, listener)
        verdict = judge(record, job.settings.max_drop)
        # The record first: a new configuration never stands beside an old record.
        write_record(record, job.out)
        if job.plan is None:  # A plan there is of the record before; else it may be this one.
            (job.out / PLAN).unlink(missing_ok=True)
        write_text_atomic(job.out / CONFIG, json.dumps(config, indent=2) + "\n")
        write_run_report(record, verdict, job.out)
        partial.clear()
    return record, verdict


def prepared_job(job: AssessJob, listener: Listener) -> tuple[AssessJob, Prepared, dict[str, Any]]:
    """Load what a job names and run it once in float: with the job as it came out, and its
    configuration.

    Raises:
        InputError, NumericError: in one line what is wrong.
    """
    if job.runtimes and is_onnx(job.model):
        check_one_piece(Path(job.model))
    subject, examples = load_subject_and_data(job, listener)
    job = replace(job, settings=with_stem(job.settings, subject, examples))
    if job.plan is not None:
        check_plan(job.plan, subject)
    runtimes = _runtimes(job, subject, examples, listener)
    listener.stage("Finding the quantization points")
    prepared = prepare(
        subject,
        examples,
        job.settings,
        lambda points: co_trained_policy(job, subject, points, listener),
        runtimes,
    )
    return job, prepared, resolved_config(job, subject, examples, prepared.float_sha256)


def with_stem(settings: AssessSettings, subject: Subject, examples: Examples) -> AssessSettings:
    """Settings that say whether the model's own input is a point.

    Runtimes quantize it in any case. Of images a first layer is a small part, and left in float
    by custom; of features it may be nearly all there is. What is deployed is judged as it is.
    """
    if settings.include_stem is not None:
        return settings
    images = takes_images(examples.inputs, subject.preprocessing)
    return settings.changed(include_stem=not settings.explores_bits or not images)


def _measured(
    prepared: Prepared, store: MeasuredBefore, job: AssessJob, listener: Listener
) -> Record:
    """Every condition measured; then worst cases with fewer options, and what runtimes do, and two
    that are compared, beyond their outcomes."""
    schedule = Schedule(prepared)
    schedule.run(listener.progress, store)
    cuts = observe_least_widths(schedule, store.cut, listener.progress)
    found = observe_runtimes(prepared, listener.progress) if prepared.runtimes else None
    # Last, since it notes when the run ended.
    record = record_of_schedule(schedule, store.started, job.command)
    if found is not None:
        record = with_answer(record, "runtimes", found, KINDS["runtimes"])
    if job.settings.compared:
        difference = observe_difference(prepared, record, listener.progress)
        record = with_answer(record, "difference", difference, KINDS["difference"])
    if cuts is not None:
        record = with_answer(record, "least_widths", cuts, KINDS["least_widths"])
    return record


def _runtimes(
    job: AssessJob, subject: Subject, examples: Examples, listener: Listener
) -> list[Runtime]:
    if job.runtimes:
        named = ", ".join(choice.label for choice in job.runtimes)
        listener.stage(f"Quantizing with {named}")
    found = []
    for runtime in runtimes_of(job.runtimes, subject, examples, job.settings):
        told = runtime.not_applied
        if job.plan is not None:
            told = (*told, *beyond(job.plan, runtime.activation_bits))
        for what in told:
            listener.stage(f"NOT APPLIED by {runtime.name} of the plan: {what}")
        found.append(replace(runtime, not_applied=told))
    return found


def load_subject_and_data(job: AssessJob, listener: Listener) -> tuple[Subject, Examples]:
    """The model and the examples that a job names.

    Raises:
        InputError: they cannot be had, or an option has no effect on them.
    """
    listener.stage(f"Loading {job.model}")
    if job.black_box:
        subject = _black_box(job)
    else:
        subject = load_model(job.model, weights=job.weights, options=job.model_options)
    listener.stage(f"Loading {job.data}")
    examples = load_examples(
        job.data,
        subject=subject,
        limit=job.limit,
        seed=job.settings.seed,
        options=job.data_options,
    )
    if examples.texts is not None or examples.waves is not None:  # how many were cut
        listener.stage(f"Read: {examples.preprocessing}")
    if is_onnx(job.model) and not job.black_box:
        listener.stage("Comparing with ONNX Runtime")
        agreed = check_agreement(job.model, subject.module, examples.inputs, subject.output)
        listener.stage(f"ONNX Runtime gives the same answers on {agreed.examples} examples")
    if subject.preprocessing is None or examples.preprocessing == Examples.preprocessing:
        _refuse_idle(job.model_options, job.data)
    return subject, examples


def _black_box(job: AssessJob) -> Subject:
    if not job.runtimes:
        raise InputError("--black-box: nothing to compare with float; give --runtime ort-dynamic")
    for option in ("weights", "policy", "plan"):
        if getattr(job, option) is not None:
            raise InputError(f"--{option} has no effect with --black-box; leave it out")
    if job.settings.fold_batchnorm:
        raise InputError("--fold-batchnorm has no effect with --black-box; leave it out")
    return load_black_box_subject(job.model, job.model_options)


def co_trained_policy(
    job: AssessJob, subject: Subject, points: Plan, listener: Listener
) -> Policy | None:
    """The policy that was trained together with the network, if there is one for these points."""
    shipped = SHIPPED.get(job.model)
    file = job.policy or (shipped.policy if shipped else None)
    if file is None:
        return None
    if job.settings.floors or job.settings.randomised:
        if job.policy is None:
            listener.stage(f"The policy of {job.model} is left out: it does not keep to the plan")
            return None
        raise InputError(
            f"--policy {file}: it does not keep to floors or random draws; leave out the policy, "
            "or those of the plan"
        )
    own = read_policy(file)
    names = tuple(point.name for point in points.points)
    if names != own.about.points:
        if job.policy is None:
            listener.stage(f"The policy of {job.model} is left out: it is for other points")
            return None
        raise InputError(
            f"--policy {file}: it is for {len(own.about.points)} points named otherwise than the "
            f"{len(names)} that are quantized here"
        )
    if own.about.network_sha256 != tensors_sha256(subject.module.state_dict()):
        raise InputError(f"--policy {file}: it was not trained together with these weights")
    if (own.about.scheme, own.about.weight_bits) != (
        job.settings.scheme,
        job.settings.weight_bits,
    ):
        listener.stage(
            f"The policy was trained with --scheme {own.about.scheme} "
            f"--weight-bits {own.about.weight_bits}, and is measured otherwise here"
        )
    return own.policy


def _refuse_idle(options: ModelOptions, data: str) -> None:
    """An option without effect would let the user believe in another image than was measured."""
    for name in IMAGE_OPTIONS:
        if getattr(options, name) is not None:
            option = "--" + name.replace("_", "-")
            raise InputError(f"{option} has no effect: {data} is taken as it is; leave it out")


def resolved_settings(job: AssessJob) -> dict[str, Any]:
    """The settings, but for the threshold, which judges a run and changes nothing measured."""
    return job.settings.model_dump(exclude={"max_drop"})


def resolved_config(
    job: AssessJob, subject: Subject, examples: Examples, float_sha256: str
) -> dict[str, Any]:
    """Settings, inputs and versions: what must be equal for two runs to agree.

    `float_sha256` is of the float network's scores: weights alone do not tell a model whose code
    was changed.
    """
    return {
        "model": job.model,
        "data": job.data,
        "weights": str(job.weights) if job.weights else None,
        "policy": str(job.policy) if job.policy else None,
        "limit": job.limit,
        "runtimes": [choice.fields for choice in job.runtimes],
        "black_box": job.black_box,
        "settings": resolved_settings(job),
        "model_options": job.model_options.model_dump(),
        "data_options": job.data_options.model_dump(),
        "weights_sha256": subject.weights_sha256,
        "data_sha256": examples.sha256,
        "float_sha256": float_sha256,
        "threads": torch.get_num_threads(),
        "bitcliff": __version__,
        "packages": package_versions(),
    }
