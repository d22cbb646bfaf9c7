"""`bitcliff provoke`: a model, its data and a format into a run directory."""

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from bitcliff.adapters.corruptions import image_corruptions
from bitcliff.adapters.optional import require
from bitcliff.audit import AssessSettings
from bitcliff.audit.prepare import Prepared, prepare
from bitcliff.errors import InputError
from bitcliff.questions.corrupting import normalisation_shift
from bitcliff.questions.guard.observe import guard_of
from bitcliff.questions.guard.statistics import exportable
from bitcliff.questions.guard.store import GUARD
from bitcliff.questions.provocation.observe import Guarded, Provoking, provoking
from bitcliff.questions.provocation.page import render_provocation
from bitcliff.questions.provocation.record import Attempt, Provocation, Searched
from bitcliff.questions.provocation.sets import Neighbourhood, neighbourhood
from bitcliff.questions.provocation.store import PROVOKE
from bitcliff.questions.provocation.universal.observe import scanning
from bitcliff.questions.provocation.universal.page import render_universal
from bitcliff.questions.provocation.universal.record import Found, Universal
from bitcliff.questions.provocation.universal.store import UNIVERSAL
from bitcliff.record.provenance import now
from bitcliff.run.assess_job import AssessJob, Listener, load_subject_and_data, resolved_config
from bitcliff.run.measuring import measuring, write_inputs, written
from bitcliff.run.partial import Partial
from bitcliff.run.run_directory import check_run_directory, finished_measurement
from bitcliff.types.corruption import Corruption
from bitcliff.types.presets import PRESETS, Format
from bitcliff.types.settings import ProvokeSettings
from bitcliff.types.subject import Inputs

FAILURES = "failures"
_ATTEMPTS = TypeAdapter(list[Attempt])
Kept = TypeVar("Kept")


@dataclass(frozen=True)
class ProvokeJob:
    """Everything one run needs.

    Attributes:
        what: the model, the data and the run directory, as for an assessment; of its own settings
            the seed. name, numerics: the format that is set against float. guard: a run of
            `bitcliff guard`, whose guard failing inputs must get past.
    """

    what: AssessJob
    name: str
    numerics: Format
    guard: Path | None = None
    settings: ProvokeSettings = field(default_factory=ProvokeSettings)


def run_provoke(job: ProvokeJob, listener: Listener) -> Provocation:
    """Load, search every set, write. Bad input is refused before anything is written.

    After a kill the same command goes on with the search at which it was.

    Raises:
        InputError, NumericError: in one line what is wrong.
    """
    began, out = now(), job.what.out
    check_run_directory(out, PROVOKE.command)
    network = _network(job, listener)
    around = [_around(name, network) for name in network.sets]
    config = _config(job, network)
    with measuring(PROVOKE.command, out, config, began) as partial:
        if not _goes_on(partial, listener):  # Those there are of another run.
            shutil.rmtree(out / FAILURES, ignore_errors=True)
        searched = [_searched(network, one, partial, listener, out) for one in around]
        observed = network.observed(searched, partial.started, job.what.command)
        return written(PROVOKE, observed, out, config, render_provocation)


def run_universal(job: ProvokeJob, listener: Listener) -> Universal:
    """Load, scan every class for a trigger, try what helps, write; as `run_provoke`.

    Raises:
        InputError, NumericError: in one line what is wrong.
    """
    began, out = now(), job.what.out
    check_run_directory(out, UNIVERSAL.command)
    if job.guard is not None:
        raise InputError("--guard has no effect with --universal; leave one of them out")
    network = _network(job, listener)
    scan, config = scanning(network), _config(job, network)
    with measuring(UNIVERSAL.command, out, config, began) as partial:
        _goes_on(partial, listener)

        def keep(key: str, make: Callable[[], Found]) -> Found:
            return kept(partial, key, Found.model_validate, Found.model_dump, make)

        scans = scan.scanned(keep, listener.progress)
        remedies = scan.remedied(scans, keep, listener.progress)
        observed = scan.observed(scans, remedies, partial.started, job.what.command)
        return written(UNIVERSAL, observed, out, config, render_universal)


def _network(job: ProvokeJob, listener: Listener) -> Provoking:
    """Both networks, run on the examples as they are."""
    prepared = _prepared(job, listener)
    listener.stage(f"Float and {job.name}, on the examples as they are")
    guard = None if job.guard is None else _guard(job.guard, job.name, job.numerics, prepared)
    return provoking(prepared, job.name, job.numerics, job.settings, guard)


def _config(job: ProvokeJob, network: Provoking) -> dict[str, Any]:
    prepared, guard = network.prepared, network.guard
    config = resolved_config(job.what, prepared.subject, prepared.examples, prepared.float_sha256)
    return config | {
        "settings": job.settings.model_dump(),
        "numerics": job.numerics.model_dump(mode="json"),
        "guard": None if guard is None else [guard.words, str(guard.guard)],
    }


def _goes_on(partial: Partial, listener: Listener) -> bool:
    if partial.resumed:
        listener.stage(f"Going on after {partial.resumed} searches made before")
    return bool(partial.resumed)


def _prepared(job: ProvokeJob, listener: Listener) -> Prepared:
    subject, examples = load_subject_and_data(job.what, listener)
    settings = AssessSettings(
        numerics=(job.name,),
        formats={} if job.name in PRESETS else {job.name: job.numerics},
        budgets=(),
        include_stem=True,  # as it is deployed
        exclude=job.settings.exclude,
        fold_batchnorm=job.settings.fold_batchnorm,
        seed=job.settings.seed,
    )
    prepared = prepare(subject, examples, settings)
    listener.plan(prepared.points)
    return prepared


def _guard(run: Path, name: str, shipped: Format, prepared: Prepared) -> Guarded:
    """The guard that a run measured of the same network in the same format.

    Raises:
        InputError: it is of another, or looks at more than the scores.
    """
    record = finished_measurement(run, GUARD)
    observed = record.observed
    if (observed.numerics, observed.formula) != (name, shipped.formula):
        raise InputError(
            f"--guard {run}: it guards {observed.numerics} ({observed.formula}), and not {name} "
            f"({shipped.formula})"
        )
    if observed.provenance.weights_sha256 != prepared.subject.weights_sha256:
        raise InputError(f"--guard {run}: it guards a network of other weights")
    rule = exportable(observed.settings)
    words = f"the guard by {rule} (at most {100 * observed.settings.alpha:g} % lost unnoticed)"
    return Guarded(guard_of(record, rule), words)


def _around(name: str, network: Provoking) -> Neighbourhood:
    def optimiser() -> Callable[..., Any]:
        found: Callable[..., Any] = require("cmaes", "provoke", f"--within {name}").CMA
        return found

    def corruptions() -> tuple[Corruption, ...]:
        return (*image_corruptions(), normalisation_shift)

    return neighbourhood(name, network.prepared, network.parents, corruptions, optimiser)


def _searched(
    network: Provoking, around: Neighbourhood, partial: Partial, listener: Listener, out: Path
) -> Searched:
    def save(method: str, place: int, parent: Inputs, changed: Inputs) -> None:
        parts = (re.sub(r"\W+", "-", name) for name in (around.within.name, method))
        file = (out / FAILURES).joinpath(*parts) / f"{place:05d}.safetensors"
        write_inputs(file, {"example": parent, "failing": changed})

    def keep(key: str, make: Callable[[], list[Attempt]]) -> list[Attempt]:
        return kept(partial, key, _ATTEMPTS.validate_python, _ATTEMPTS.dump_python, make)

    return network.searched(around, keep, listener.progress, save)


def kept(
    partial: Partial,
    key: str,
    read: Callable[[Any], Kept],
    dump: Callable[[Kept], Any],
    make: Callable[[], Kept],
) -> Kept:
    """What was kept by its name, or else made and kept."""
    found = partial.get_as(key, read)
    if found is None:
        found = make()
        partial.put(key, dump(found))
    return found
