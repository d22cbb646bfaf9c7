"""`bitcliff provoke`: a model, its data and a format into a run directory."""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from bitcliff.adapters import load_examples
from bitcliff.adapters.corruptions import image_corruptions
from bitcliff.adapters.optional import require
from bitcliff.adapters.sound_corruptions import sound_corruptions
from bitcliff.audit import AssessSettings
from bitcliff.audit.prepare import Prepared, prepare
from bitcliff.errors import InputError
from bitcliff.points import Plan
from bitcliff.policy import Policy
from bitcliff.questions.corrupting import normalisation_shift
from bitcliff.questions.guard.observe import guard_of
from bitcliff.questions.guard.statistics import exportable
from bitcliff.questions.guard.store import GUARD
from bitcliff.questions.provocation.adaptive import Adaptive, adaptive
from bitcliff.questions.provocation.observe import Guarded, Provoking, provoking
from bitcliff.questions.provocation.page import render_provocation
from bitcliff.questions.provocation.ranking import rank
from bitcliff.questions.provocation.record import Attempt, Provocation, Ranked, Searched
from bitcliff.questions.provocation.sets import Neighbourhood, neighbourhood
from bitcliff.questions.provocation.store import PROVOKE
from bitcliff.questions.provocation.universal.observe import scanning
from bitcliff.questions.provocation.universal.page import render_universal
from bitcliff.questions.provocation.universal.record import Found, Universal
from bitcliff.questions.provocation.universal.store import UNIVERSAL
from bitcliff.record.provenance import now
from bitcliff.run.assess_job import (
    AssessJob,
    Listener,
    co_trained_policy,
    load_subject_and_data,
    resolved_config,
)
from bitcliff.run.measuring import measuring, write_inputs, written
from bitcliff.run.partial import Partial
from bitcliff.run.run_directory import check_run_directory, finished_measurement
from bitcliff.run.second_data import differences
from bitcliff.tasks import task_of
from bitcliff.tasks.against_float import AgainstFloat
from bitcliff.types.bits_by import BitsBy
from bitcliff.types.corruption import Corruption
from bitcliff.types.presets import PRESETS, Format
from bitcliff.types.settings import ProvokeSettings
from bitcliff.types.subject import Examples, Inputs, Subject
from bitcliff.types.within import Within, read_within

FAILURES = "failures"
_ATTEMPTS = TypeAdapter(list[Attempt])
Kept = TypeVar("Kept")


@dataclass(frozen=True)
class ProvokeJob:
    """Everything one run needs.

    Attributes:
        what: the model, the data and the run directory, as for an assessment; of its own settings
            the seed. name, numerics: the format that is set against float, or what gives each input
            its bits. guard: a run of `bitcliff guard`, whose guard failing inputs must get past.
    """

    what: AssessJob
    name: str
    numerics: Format | BitsBy
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
    loaded = load_subject_and_data(job.what, listener)
    pools = [*_pools(job, *loaded, listener)]
    network = _network(job, *loaded, listener)
    if pools and isinstance(task_of(network.prepared.subject.module), AgainstFloat):
        name = pools[0][0].name
        raise InputError(f"--within {name}: for decisions that are read off the scores alone")
    around = [_around(name, network) for name in network.sets]
    config = _config(job, network) | {"pools": [pool.sha256 for _, pool in pools]}
    with measuring(PROVOKE.command, out, config, began) as partial:
        if not _goes_on(partial, listener):  # Those there are of another run.
            shutil.rmtree(out / FAILURES, ignore_errors=True)
        searched = [_searched(network, one, partial, listener, out) for one in around]
        ranked = [_ranked(network, *one, partial, listener, out) for one in pools]
        observed = network.observed(searched, ranked, partial.started, job.what.command)
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
    if isinstance(job.numerics, BitsBy):
        raise InputError("--policy has no effect with --universal; leave one of them out")
    network = _network(job, *load_subject_and_data(job.what, listener), listener)
    scan, config = scanning(network), _config(job, network)
    with measuring(UNIVERSAL.command, out, config, began) as partial:
        _goes_on(partial, listener)

        def keep(key: str, make: Callable[[], Found]) -> Found:
            return kept(partial, key, Found.model_validate, Found.model_dump, make)

        scans = scan.scanned(keep, listener.progress)
        remedies = scan.remedied(scans, keep, listener.progress)
        observed = scan.observed(scans, remedies, partial.started, job.what.command)
        return written(UNIVERSAL, observed, out, config, render_universal)


def _network(
    job: ProvokeJob, subject: Subject, examples: Examples, listener: Listener
) -> Provoking:
    """Both networks, run on the examples as they are."""
    prepared = _prepared(job, subject, examples, listener)
    listener.stage(f"Float and {job.name}, on the examples as they are")
    shipped: Format | Adaptive
    if isinstance(job.numerics, BitsBy):
        shipped = adaptive(job.numerics, prepared, job.settings.company)
    else:
        shipped = job.numerics
    guard = None if job.guard is None else _guard(job.guard, job.name, shipped, prepared)
    return provoking(prepared, job.name, shipped, job.settings, guard)


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


def _prepared(
    job: ProvokeJob, subject: Subject, examples: Examples, listener: Listener
) -> Prepared:
    asked = job.settings
    settings = AssessSettings(
        exclude=asked.exclude, fold_batchnorm=asked.fold_batchnorm, seed=asked.seed
    )
    if isinstance(job.numerics, BitsBy):
        prepared = prepare(
            subject, examples, settings, _policy(job, job.numerics, subject, listener)
        )
    else:
        formats = {} if job.name in PRESETS else {job.name: job.numerics}
        # The stem, too, as it is deployed.
        settings = settings.changed(
            numerics=(job.name,), formats=formats, budgets=(), include_stem=True
        )
        prepared = prepare(subject, examples, settings)
    listener.plan(prepared.points)
    return prepared


def _policy(
    job: ProvokeJob, asked: BitsBy, subject: Subject, listener: Listener
) -> Callable[[Plan], Policy | None]:
    """Of the points, the learned policy if one is asked for.

    Raises:
        InputError: as `co_trained_policy`; or the network comes with none.
    """
    if asked.kind not in ("co-trained", "file"):
        return lambda _points: None
    file = Path(asked.name) if asked.kind == "file" else None
    # So that it is said where they are measured otherwise than they were trained.
    settings = job.what.settings.changed(scheme=job.settings.scheme)
    what = replace(job.what, policy=file, settings=settings)

    def choose(points: Plan) -> Policy:
        found = co_trained_policy(what, subject, points, listener)
        if found is None:
            raise InputError(
                f"--policy {asked.name}: {job.what.model} comes with none for these points; give "
                "the policy.safetensors that `bitcliff train pair` wrote"
            )
        return found

    return choose


def _guard(run: Path, name: str, shipped: Format | Adaptive, prepared: Prepared) -> Guarded:
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

    def corruptions(rate: int | None) -> tuple[Corruption, ...]:
        if rate is None:
            return (*image_corruptions(), normalisation_shift)
        return sound_corruptions(rate)

    return neighbourhood(name, network.prepared, network.parents, corruptions, optimiser)


def _pools(
    job: ProvokeJob, subject: Subject, own: Examples, listener: Listener
) -> Iterator[tuple[Within, Examples]]:
    """The other data, whole; labels that they may have are not looked at.

    Raises:
        InputError: there are none, of another shape, or the examples themselves.
    """
    for name in job.settings.within:
        within = read_within(name)
        if not within.data:
            continue
        if job.settings.max_provoked is not None and len(job.settings.within) == 1:
            raise InputError(f"--max-provoked needs a set around the examples beside {name}")
        listener.stage(f"Loading {within.data}")
        pool = load_examples(
            within.data,
            subject=subject,
            seed=job.settings.seed,
            options=job.what.data_options,
        )
        for problem in differences(own, replace(pool, labels=own.labels)):
            raise InputError(f"--within {name}: {problem}")
        yield within, replace(pool, labels=None)


def _ranked(
    network: Provoking,
    within: Within,
    pool: Examples,
    partial: Partial,
    listener: Listener,
    out: Path,
) -> Ranked:
    def save(place: int, failing: Inputs) -> None:
        folder = out / FAILURES / re.sub(r"\W+", "-", within.name)
        write_inputs(folder / f"{place:05d}.safetensors", {"failing": failing})

    found = partial.get_as(within.name, Ranked.model_validate)
    if found is None:
        found = rank(network, within, pool, listener.progress, save)
        partial.put(within.name, found.model_dump())
    return found


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
