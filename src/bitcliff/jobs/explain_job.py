"""`bitcliff explain`: a finished run into the same run with its explanation."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from bitcliff import __version__
from bitcliff.adapters import DataOptions, load_examples
from bitcliff.adapters.corruptions import picture_corruptions
from bitcliff.assess import Audit
from bitcliff.assess.explain.activations import explain_activations
from bitcliff.assess.explain.context import (
    Context,
    Side,
    check_policies,
    default_policies,
    recorded_allocations,
)
from bitcliff.assess.explain.corruptions import explain_corruptions
from bitcliff.assess.explain.indicators import explain_indicators
from bitcliff.assess.explain.inputs import explain_inputs
from bitcliff.assess.explain.layers import explain_layers
from bitcliff.assess.explain.remedies import explain_remedies
from bitcliff.assess.explain.twin import check_twin
from bitcliff.errors import InputError
from bitcliff.jobs.assess_job import AssessJob, Listener
from bitcliff.jobs.fine_tune import fine_tuner
from bitcliff.jobs.plan_file import PLAN
from bitcliff.jobs.run_directory import check_is_folder, finished_record, held
from bitcliff.jobs.stored_run import open_stored
from bitcliff.policy.stored import StoredPolicy
from bitcliff.records import Record, record_json, write_record, write_text_atomic
from bitcliff.records.explanation import Explanation
from bitcliff.records.part import Part
from bitcliff.report import write_report
from bitcliff.types.settings import CorruptionSettings
from bitcliff.types.subject import Examples
from bitcliff.verdict import judge

_PARTIAL = "explanation.partial.json"

PARTS: Mapping[str, Callable[[Context], Part]] = {
    "layers": explain_layers,
    "activations": explain_activations,
    "inputs": explain_inputs,
    "corruptions": lambda context: explain_corruptions(context, picture_corruptions),
    "indicators": explain_indicators,
    "remedies": explain_remedies,
}
"""One question each, by the name of its field in `Explanation`, in the order of the report."""


_OF_ANSWERS = ("inputs", "corruptions")
"""What can be asked without looking inside."""

_ON_TRAINING = ("layers", "inputs")
"""What asks for training examples too."""


@dataclass(frozen=True)
class ExplainJob:
    """What to explain.

    Attributes:
        run: the run directory. policies: names in its record; none: the ones that matter most.
        parts: the questions to ask, of `PARTS`; none: all.
        n_train: examples of the training split, at most; 0 leaves it out.
        against: another network's run on the same data, for transitory points of the two.
        corrupting: how much is measured on corrupted pictures.
        fine_tune: epochs of fine-tuning as one of the remedies; 0 leaves it out.
        command: the command line, for the record; "" where that of the run tells it.
    """

    run: Path
    policies: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    n_train: int = 200
    against: Path | None = None
    corrupting: CorruptionSettings = field(default_factory=CorruptionSettings)
    fine_tune: int = 0
    command: str = ""


class _Partial(BaseModel):
    """Answers of an explanation that has not ended, and what they belong to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fingerprint: str
    answers: dict[str, dict[str, Any]]


def run_explain(job: ExplainJob, listener: Listener) -> Record:
    """Load what the run was about, ask each question, write record and report anew.

    Answers are kept as they come: after a kill the same command goes on from there.

    Raises:
        InputError: not a finished run, or its model or data are not what they were.
    """
    _check_parts(job.parts)
    check_is_folder(job.run)
    twin = None if job.against is None else finished_record(job.against)
    with held(job.run):
        record = finished_record(job.run)
        policies = tuple(dict.fromkeys(job.policies)) or default_policies(record)
        check_policies(record, policies)
        job = replace(job, parts=_askable(job, record, policies, listener))
        kept = _kept(job, record, policies)
        if twin is not None:
            check_twin(record, twin)
        context = replace(_context(job, record, policies, listener), twin=twin)
        answers = _answers(job, context, kept, listener)
        record = record.model_copy(update={"explanation": Explanation.model_validate(answers)})
        write_record(record, job.run)
        _write_plan(record, job.run)
        write_report(record, judge(record, record.settings.max_drop), job.run)
        (job.run / _PARTIAL).unlink(missing_ok=True)
    return record


def _write_plan(record: Record, run: Path) -> None:
    remedies = record.explanation.remedies if record.explanation else None
    if remedies is None or remedies.plan is None:
        (run / PLAN).unlink(missing_ok=True)  # of an earlier explanation
    else:
        write_text_atomic(run / PLAN, remedies.plan.text())


def _check_parts(parts: tuple[str, ...]) -> None:
    for part in parts:
        if part not in PARTS:
            raise InputError(f"--only {part}: not known; there are {', '.join(PARTS)}")


def _askable(
    job: ExplainJob, record: Record, policies: tuple[str, ...], listener: Listener
) -> tuple[str, ...]:
    """The questions; of runtimes alone, which show no bits, only those about answers."""
    if not record.names_in_runtimes.issuperset(policies):
        return job.parts
    for part in job.parts:
        if part not in _OF_ANSWERS:
            raise InputError(
                f"--only {part}: {', '.join(policies)} shows no bits to explain; "
                "name a policy that has some too"
            )
    listener.stage(f"Asked of a runtime's answers alone: {' and '.join(job.parts or _OF_ANSWERS)}")
    return job.parts or _OF_ANSWERS


def _answers(
    job: ExplainJob, context: Context, kept: Mapping[str, Any], listener: Listener
) -> dict[str, Any]:
    """The fields of the explanation: kept from before, or worked out now."""
    n_train = _training_examples_of(job, context, kept)
    answers: dict[str, Any] = {"policies": list(context.everyone), "n_train": n_train}
    # `assess --explain` that was killed assesses again: to the same record but for the times.
    untimed = context.record.provenance.model_copy(update={"started": "", "finished": ""})
    bare = context.record.model_copy(update={"explanation": None, "provenance": untimed})
    twin = context.twin and record_json(context.twin)
    asked = [__version__, answers, twin, asdict(job.corrupting), job.fine_tune]
    text = json.dumps([record_json(bare), asked])
    fingerprint = hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()
    answers |= kept
    found = _read_partial(job.run / _PARTIAL, fingerprint)
    for name in PARTS:
        if name not in (job.parts or PARTS):
            continue
        if name not in found:
            listener.stage(f"Explaining: {name}")
            # A later question may build on an earlier answer: remedies on the layers that break.
            so_far = {"explanation": Explanation.model_validate(answers)}
            so_far_context = replace(context, record=context.record.model_copy(update=so_far))
            found[name] = PARTS[name](so_far_context).model_dump(mode="json")
            partial = _Partial(fingerprint=fingerprint, answers=found)
            write_text_atomic(job.run / _PARTIAL, partial.model_dump_json())
        answers[name] = found[name]
    before = context.record.explanation
    commands = [one for one in before.commands if one != job.command] if before and kept else []
    answers["commands"] = [*commands, job.command] if job.command else commands
    return answers


def _kept(job: ExplainJob, record: Record, policies: Sequence[str]) -> dict[str, Any]:
    """The answers there are to questions that are not asked now.

    Raises:
        InputError: they are of other policies, so that they could not stand beside the new ones.
    """
    if record.explanation is None or not job.parts:
        return {}
    before = record.explanation.model_dump(mode="json")
    kept = {name: before[name] for name in PARTS if name not in job.parts and before[name]}
    shipped = record.names_in_runtimes
    if kept and before["policies"] != sorted(policies, key=lambda name: name in shipped):
        raise InputError(
            f"{job.run}: its answers to {', '.join(kept)} are about "
            f"{', '.join(before['policies'])}, and would be lost; give the same --policy, or "
            "explain a copy of the run"
        )
    return kept


def _training_examples_of(job: ExplainJob, context: Context, kept: Mapping[str, Any]) -> int:
    """How many training examples the answers, also those kept, speak of.

    Raises:
        InputError: the new ones would speak of others than those kept.
    """
    n_train = 0 if context.train is None else len(context.train.examples)
    before = context.record.explanation
    if before is None or not kept.keys() & {*_ON_TRAINING}:
        return n_train
    if _asks_for_training(job) and n_train != before.n_train:
        raise InputError(
            f"{job.run}: its answers to {', '.join(kept)} are about {before.n_train} training "
            f"examples, not {n_train}, and would be lost; give --train-examples {before.n_train}, "
            "or explain a copy of the run"
        )
    return before.n_train


def _asks_for_training(job: ExplainJob) -> bool:
    return not {*_ON_TRAINING}.isdisjoint(job.parts or PARTS)


def _read_partial(path: Path, fingerprint: str) -> dict[str, dict[str, Any]]:
    try:
        partial = _Partial.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return {}
    return partial.answers if partial.fingerprint == fingerprint else {}


def _context(
    job: ExplainJob, record: Record, policies: tuple[str, ...], listener: Listener
) -> Context:
    shipped = tuple(name for name in policies if name in record.names_in_runtimes)
    policies = tuple(name for name in policies if name not in shipped)
    stored = open_stored(job.run, record, listener, in_runtimes=shipped)
    assess, audit, own = stored.assess, stored.audit, stored.own
    allocations = {name: recorded_allocations(record, name) for name in policies}
    test = Side("test", audit, stored.suite, stored.base, allocations)
    train = _train_side(job, assess, test, own, policies, listener)
    tune = None
    if job.fine_tune and "remedies" in (job.parts or PARTS):
        tune = fine_tuner(audit, assess.data, job.fine_tune, job.run, listener.progress)
    return Context(
        record,
        policies,
        test,
        train,
        runtimes=shipped,
        tell=listener.progress,
        corrupting=job.corrupting,
        tune=tune,
    )


def _train_side(
    job: ExplainJob,
    assess: AssessJob,
    test: Side,
    own: StoredPolicy | None,
    policies: tuple[str, ...],
    listener: Listener,
) -> Side | None:
    """The training split, where the data has one; policies that look for their bits look anew,
    where the layers are asked about."""
    if not (job.n_train and _asks_for_training(job)) or assess.data_options.split == "train":
        return None
    examples = _training_examples(job, assess, test)
    if examples is None:
        return None
    # Other questions ask for the examples alone, and a search for the worst bits takes long.
    searched = policies if "layers" in (job.parts or PARTS) else ()
    if searched:
        listener.stage(f"Measuring the same policies on {len(examples)} training examples")
    audit = Audit(
        test.audit.subject,
        examples,
        settings=test.audit.settings,
        policy=None if own is None else own.policy,
    )
    suite, base = audit.ready()
    suite.measure_only(
        searched,
        lambda name, done, whole: listener.progress(f"{name}, training split", done, whole),
    )
    allocations = {
        name: torch.tensor([suite.done[name].outcomes[p].bits for p in range(len(examples))])
        for name in searched
    }
    return Side("train", audit, suite, base, allocations)


def _training_examples(job: ExplainJob, assess: AssessJob, test: Side) -> Examples | None:
    """Examples of the training split; None where the data has none."""

    def drawn(limit: int, options: DataOptions) -> Examples:
        return load_examples(
            assess.data,
            subject=test.audit.subject,
            limit=limit,
            seed=assess.settings.seed,
            options=options,
        )

    training = DataOptions(split="train")
    try:
        # Data without splits gives the same examples whatever split is asked for: one will tell.
        known = {drawn(1, options).sha256 for options in (training, assess.data_options)}
        return drawn(job.n_train, training) if len(known) == 2 else None
    except InputError:
        return None
