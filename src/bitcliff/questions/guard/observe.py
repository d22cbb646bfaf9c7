"""Every example in float and quantized, with the signals that the quantized pass gives."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int
from torch import Tensor

from bitcliff.audit.compose import provenance_of, subject_info
from bitcliff.audit.evaluator import Evaluator
from bitcliff.audit.outcomes import predictions_of
from bitcliff.audit.prepare import Prepared
from bitcliff.audit.signals import Formats, Shown, named_signals, run_quantized, shown
from bitcliff.errors import InputError
from bitcliff.points.forward import part_of
from bitcliff.policy.guard import Guard
from bitcliff.questions.guard.record import (
    CALIBRATE,
    FIT,
    REPORT,
    GuardObserved,
    GuardRecord,
    Timed,
)
from bitcliff.record.arrays import classes
from bitcliff.stats.risk_control import examples_needed
from bitcliff.tasks import task_of
from bitcliff.tasks.against_float import AgainstFloat
from bitcliff.types.guard import GuardSettings

# Examples whose passes are timed, at most.
_TIMED = 32


@dataclass(frozen=True)
class Deployed:
    """What is deployed: a format at each point, or bits at each.

    Attributes:
        name, formula: for people. isolated: whether nothing is shared by a batch.
    """

    name: str
    formula: str
    isolated: bool
    quantized: Formats | Int[Tensor, " points"]


def shared_out(n: int, settings: GuardSettings) -> Int[Tensor, " n"]:
    """What each of n examples is for, drawn by the seed.

    Raises:
        InputError: those that calibrate are too few for the limit, or a part would be empty.
    """
    needed = examples_needed(settings.alpha, settings.delta)
    fit, calibrate = math.floor(settings.fit * n), math.floor(settings.calibrate * n)
    if calibrate < needed:
        enough = math.ceil(needed / settings.calibrate)
        enough += math.floor(settings.calibrate * enough) < needed  # in floating point
        raise InputError(
            f"--alpha {settings.alpha:g} --delta {settings.delta:g}: {needed} examples are needed "
            f"to calibrate on even if none is missed, and there are {calibrate} of {n}: give "
            f"{enough} examples or more, or a larger --alpha"
        )
    if fit < 2 or fit + calibrate >= n:
        raise InputError(f"--fit {settings.fit:g}: of {n} examples none are left in a part")
    part = np.full(n, REPORT)
    order = np.random.default_rng(settings.seed).permutation(n)
    part[order[:fit]], part[order[fit : fit + calibrate]] = FIT, CALIBRATE
    return torch.from_numpy(part)


def check_task(prepared: Prepared) -> None:
    """Refuse decisions whose lead cannot be had without float.

    Raises:
        InputError: the task's scores are measured against float's own outcome.
    """
    task = task_of(prepared.subject.module)
    if isinstance(task, AgainstFloat):
        raise InputError(
            f"--task {task.name}: its scores say how far an outcome is from float's own or the "
            "label, which no guard knows where a network is deployed; a guard is for decisions "
            "that are read off the scores, such as classes"
        )


def observe_guard(
    prepared: Prepared,
    deployed: Deployed,
    settings: GuardSettings,
    started: str,
    command: str,
    progress: Callable[[int, int], None] = lambda _done, _whole: None,
) -> GuardObserved:
    """All that a measurement observes, ending now.

    Raises:
        InputError: too few examples, or decisions that are read against float.
    """
    check_task(prepared)
    part = shared_out(len(prepared.examples), settings)
    labels = prepared.examples.labels
    against: Literal["label", "float"] = "float" if labels is None else "label"
    if settings.against == "label" and labels is None:
        raise InputError("--against label needs labels, and the data has none")
    if settings.against == "auto":
        settings = settings.changed(against=against)
    found = shown(_told(prepared, progress), deployed.quantized)
    peaks = usual_peaks(found, part == FIT)
    subject, attachment = prepared.subject, prepared.evaluator.attachment
    return GuardObserved(
        subject=subject_info(
            subject,
            prepared.examples,
            prepared.points,
            attachment.incidents.strays,
            prepared.n_classes,
            attachment.final,
        ),
        settings=settings,
        numerics=deployed.name,
        formula=deployed.formula,
        isolated=deployed.isolated,
        ids=list(prepared.examples.ids),
        labels=None if labels is None else classes(labels.tolist()),
        part=classes(part.tolist()),
        float_prediction=classes(predictions_of(prepared.in_float)),
        prediction=classes(predictions_of(found.scores)),
        signals={name: one.numpy() for name, one in named_signals(found, peaks).items()},
        usual_peaks=peaks.numpy(),
        seconds=_timed(prepared, deployed.quantized),
        provenance=provenance_of(subject, prepared.examples, settings.seed, started, command),
    )


def usual_peaks(found: Shown, fit: Bool[Tensor, " n"]) -> Float64[Tensor, " points"]:
    """The median over these examples, zero where none of them is finite."""
    peaks = found.at_points.peak[fit & found.scores.finite]
    if not len(peaks):
        return torch.zeros(found.at_points.peak.shape[1], dtype=torch.float64)
    return peaks.nan_to_num(0.0, 0.0, 0.0).median(0).values


def guard_of(record: GuardRecord, name: str) -> Guard:
    """A guard of the record, by its name, as it is run."""
    (rule,) = (one for one in record.figures.guards if one.name == name)
    ends = {"all": -math.inf, "none": math.inf}
    threshold = rule.at.threshold
    return Guard(
        signals=tuple(rule.signals),
        centre=tuple(rule.centre),
        spread=tuple(rule.spread),
        weights=tuple(rule.weights),
        threshold=ends[rule.at.flags] if threshold is None else threshold,
    )


def _told(prepared: Prepared, progress: Callable[[int, int], None]) -> Evaluator:
    evaluator, n = prepared.evaluator, len(prepared.examples)
    whole = math.ceil(n / evaluator.batch_size)
    done = iter(range(1, n + 1))
    return replace(evaluator, on_batch=lambda: progress(min(next(done), whole), whole))


def _timed(prepared: Prepared, quantized: Formats | Int[Tensor, " points"]) -> Timed:
    """Of some examples, each way three times in turn, the least of each: others use the machine."""
    index = torch.arange(min(len(prepared.examples), _TIMED))
    some = replace(
        prepared.evaluator, inputs=part_of(prepared.evaluator.inputs, index), on_batch=None
    )
    ways: tuple[Callable[[], object], ...] = (
        lambda: some.float_scores(index),
        lambda: run_quantized(some, index, quantized),
        lambda: shown(some, quantized),
    )
    seconds = [math.inf] * len(ways)
    for place, run in [*enumerate(ways)] * 3:
        began = time.perf_counter()
        run()
        seconds[place] = min(seconds[place], (time.perf_counter() - began) / len(index))
    return Timed(in_float=seconds[0], quantized=seconds[1], with_signals=seconds[2])
