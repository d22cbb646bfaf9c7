"""A finished run opened again: its model and data, checked to be those it was measured on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from bitcliff.audit.evaluator import margins
from bitcliff.audit.prepare import Prepared, prepare
from bitcliff.errors import InputError
from bitcliff.policy.learned import LearnedPolicy
from bitcliff.record import Record
from bitcliff.run.assess_job import (
    AssessJob,
    Listener,
    co_trained_policy,
    load_subject_and_data,
)
from bitcliff.run.run_directory import CONFIG, check_is_folder, finished_record
from bitcliff.run.runtimes import runtimes_of
from bitcliff.run.stored_job import stored_job
from bitcliff.types.runtime import Runtime
from bitcliff.types.subject import Examples, Subject

# Of the usual margin: far more than another machine's rounding moves it.
_SAME_MARGIN = 1e-3


@dataclass(frozen=True)
class StoredRun:
    """What a run was about.

    Attributes:
        assess: its configuration. prepared: its network and data, checked to be those.
        subject: the network as it came, before anything was folded.
        not_loaded: of the policies whose runtimes were wanted where they can be had, why not.
    """

    assess: AssessJob
    prepared: Prepared
    subject: Subject
    not_loaded: Mapping[str, str] = field(default_factory=dict)

    @property
    def co_trained(self) -> LearnedPolicy | None:
        """The policy that was trained together with the network, if any."""
        policy = self.prepared.policy
        return policy if isinstance(policy, LearnedPolicy) else None


def record_to_export(run: Path) -> Record:
    """The record of a run that ended and whose network can be written as a file.

    Raises:
        InputError: as `finished_record`, `run` is no folder, or the network was not looked inside.
    """
    check_is_folder(run)
    record = finished_record(run)
    if record.subject.black_box:
        raise InputError(
            f"{run}: its network was not looked inside, so there is nothing of it to export; "
            f"assess {record.subject.model} without --black-box"
        )
    return record


def open_stored(
    run: Path,
    record: Record,
    listener: Listener,
    in_runtimes: tuple[str, ...] = (),
    if_there: tuple[str, ...] = (),
) -> StoredRun:
    """Load what the run was about, with its number of threads.

    Args:
        in_runtimes: policies of the record whose runtimes are wanted too. if_there: others, whose
            runtimes are taken where they are what they were.

    Raises:
        InputError: the model, the data, the configuration or a runtime's version are not what they
            were.
    """
    assess, threads = stored_job(run)
    torch.set_num_threads(threads)
    subject, examples = load_subject_and_data(assess, listener)
    for what, found in (("weights", subject.weights_sha256), ("data", examples.sha256)):
        if found != getattr(record.provenance, f"{what}_sha256"):
            raise InputError(
                f"{run}: the {what} of {assess.model} on {assess.data} changed "
                "since the run; assess again"
            )
    runtimes = _same_runtimes(assess, record, in_runtimes, subject, examples)
    not_loaded = dict[str, str]()
    for name in if_there:
        try:
            runtimes += _same_runtimes(assess, record, (name,), subject, examples)
        except InputError as reason:
            not_loaded[name] = str(reason)
    prepared = prepare(
        subject,
        examples,
        assess.settings,
        lambda points: co_trained_policy(assess, subject, points, listener),
        runtimes,
    )
    _check_same_settings(run, record, prepared)
    _check_same_scores(run, assess.model, record, prepared)
    return StoredRun(assess, prepared, subject, not_loaded)


def _same_runtimes(
    assess: AssessJob,
    record: Record,
    names: tuple[str, ...],
    subject: Subject,
    examples: Examples,
) -> list[Runtime]:
    """The runtimes behind these policies, in the versions of the run."""
    run = assess.out
    wanted = {policy.runtime for policy in record.policies if policy.name in names}
    before = {
        one.runtime: one.runtime_version or ""
        for one in (policy.condition for policy in record.policies)
        if one.runtime is not None and one.runtime in wanted
    }
    choices = [choice for choice in assess.runtimes if choice.label in before]
    if len(choices) < len(before):
        raise InputError(
            f"{run}: it was measured in {', '.join(before)} as an older Bitcliff ran it; assess "
            f"again with --runtime {', '.join(choice.label for choice in assess.runtimes)}"
        )
    runtimes = runtimes_of(choices, subject, examples, assess.settings)
    for runtime in runtimes:
        if runtime.version != before[runtime.name]:
            raise InputError(
                f"{run}: it was measured in {before[runtime.name]}, and {runtime.version} is "
                "installed; assess again"
            )
    return runtimes


def _check_same_settings(run: Path, record: Record, prepared: Prepared) -> None:
    """A configuration that was changed by hand would explain another run than was recorded."""
    # The threshold judges a run and does not change what is measured.
    threshold, size = record.settings.max_drop, prepared.evaluator.batch_size
    now = prepared.settings.changed(batch_size=size, max_drop=threshold)
    points = [point.name for point in record.subject.points if point.quantized]
    if now != record.settings or points != [point.name for point in prepared.points.points]:
        raise InputError(f"{run / CONFIG}: not the settings of the run's record; assess again")


def _check_same_scores(run: Path, model: str, record: Record, prepared: Prepared) -> None:
    """The code of a model may have changed though its weights have not.

    Another machine rounds otherwise, so margins need only be close.
    """
    in_float, evaluator = prepared.in_float, prepared.evaluator
    final = evaluator.attachment.final
    if (record.subject.final_activation or "none") != final:
        raise InputError(
            f"{run}: {model} ends in a {final}, and the run's margins are of probabilities, as an "
            "older Bitcliff took them; assess again"
        )
    found = margins(in_float.logits, evaluator.reference)
    known = torch.from_numpy(record.table.margin.copy())
    same = torch.isfinite(known) == in_float.finite
    apart = (known - found).abs().nan_to_num(0.0) > _SAME_MARGIN * evaluator.scale
    if not bool(same.all()) or bool((apart & in_float.finite).any()):
        raise InputError(f"{run}: {model} answers otherwise in float than in the run; assess again")
