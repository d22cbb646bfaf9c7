"""`bitcliff explain`: a finished run into the same run with its explanation."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bitcliff import __version__
from bitcliff.adapters import DataOptions, load_examples
from bitcliff.adapters.corruptions import image_corruptions
from bitcliff.audit.prepare import prepare
from bitcliff.audit.schedule import Schedule
from bitcliff.errors import InputError
from bitcliff.questions.activations.observe import observe_activations
from bitcliff.questions.context import (
    Context,
    Side,
    allocation_of,
    check_policies,
    default_policies,
)
from bitcliff.questions.corruptions.observe import observe_corruptions
from bitcliff.questions.distributions.observe import observe_distributions
from bitcliff.questions.indicators.observe import observe_indicators
from bitcliff.questions.inputs.observe import observe_inputs
from bitcliff.questions.inputs.reference_run import reference_run
from bitcliff.questions.kinds import KINDS
from bitcliff.questions.layers.observe import observe_layers
from bitcliff.questions.layers.record import Layers
from bitcliff.questions.lengths.observe import observe_lengths
from bitcliff.questions.mitigations.observe import observe_mitigations
from bitcliff.questions.mitigations.record import Mitigations
from bitcliff.questions.plan_in_runtime import float_plan, in_runtimes
from bitcliff.questions.sections import write_run_report
from bitcliff.questions.variants.observe import observe_variants
from bitcliff.questions.variants.statistics import formats_among
from bitcliff.record import (
    Explained,
    Record,
    record_json,
    record_of,
    with_answer,
    write_record,
    write_text_atomic,
)
from bitcliff.record.part import Part
from bitcliff.record.plan import QuantizationPlan
from bitcliff.run.assess_job import AssessJob, Listener
from bitcliff.run.fine_tune import fine_tuner
from bitcliff.run.partial import Partial
from bitcliff.run.plan_file import PLAN
from bitcliff.run.run_directory import EXPLANATION, check_is_folder, finished_record, held
from bitcliff.run.runtimes import keeping
from bitcliff.run.second_data import second_data
from bitcliff.run.stored_run import open_stored
from bitcliff.types.settings import CorruptionSettings, LengthSettings
from bitcliff.types.subject import Examples
from bitcliff.verdict import judge

QUESTIONS: Mapping[str, Callable[[Context], Part]] = {
    "layers": observe_layers,
    "activations": observe_activations,
    "inputs": observe_inputs,
    "distributions": observe_distributions,
    "corruptions": lambda context: observe_corruptions(context, image_corruptions),
    "lengths": observe_lengths,
    "indicators": observe_indicators,
    "mitigations": observe_mitigations,
    "variants": observe_variants,
}
"""One each, by its key in a record, in the order of the report."""


_OF_ANSWERS = ("inputs", "distributions", "corruptions", "lengths")
"""What can be asked without looking inside."""

_OF_RUNTIMES = ("layers", *_OF_ANSWERS)
"""What can be asked of a runtime that the network can be handed to anew."""

_WITH_PLANS = frozenset({"layers", "mitigations"})

_ON_TRAINING = ("layers", "inputs")
"""What asks for training examples too."""


@dataclass(frozen=True)
class ExplainJob:
    """What to explain.

    Attributes:
        run: the run directory. policies: names in its record; none: the ones that matter most.
        questions: those to ask, of `QUESTIONS`; none: all.
        n_train: examples of the training split, at most; 0 leaves it out.
        against: another network's run on the same data, for transitory points of the two.
        shift: other data, as `--data` names it, that inputs may come from instead.
        corrupting: how much is measured on corrupted images. lengths: that examples are padded to.
        fine_tune: epochs of fine-tuning as one of the mitigations; 0 leaves it out.
        command: the command line, for the record; "" where that of the run tells it.
    """

    run: Path
    policies: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    n_train: int = 200
    against: Path | None = None
    shift: str | None = None
    corrupting: CorruptionSettings = field(default_factory=CorruptionSettings)
    lengths: LengthSettings = field(default_factory=LengthSettings)
    fine_tune: int = 0
    command: str = ""


def run_explain(job: ExplainJob, listener: Listener) -> Record:
    """Load what the run was about, ask each question, write record and report anew.

    Answers are kept as they come: after a kill the same command goes on from there.

    Raises:
        InputError: not a finished run, or its model or data are not what they were.
    """
    for name in job.questions:
        if name not in QUESTIONS:
            raise InputError(f"--only {name}: not known; there are {', '.join(QUESTIONS)}")
    check_is_folder(job.run)
    reference = None if job.against is None else finished_record(job.against)
    with held(job.run):
        record = finished_record(job.run)
        policies = tuple(dict.fromkeys(job.policies)) or default_policies(record)
        check_policies(record, policies)
        job = replace(job, questions=_askable(job, record, policies, listener))
        kept = _kept(job, record, policies)
        if reference is not None:
            reference_run(record, reference)  # before any work
        context = replace(_context(job, record, policies, listener), reference=reference)
        explained = Explained(
            policies=list(context.everyone),
            n_train=_training_examples_of(job, context, kept),
            commands=_commands(job, record.explained, kept),
        )
        partial = Partial(job.run / EXPLANATION, _basis(job, context, explained))
        record = _answered(job, context, explained, kept, partial, listener)
        write_record(record, job.run)
        _write_plan(record, job.run)
        write_run_report(record, judge(record, record.settings.max_drop), job.run)
        partial.clear()
    return record


def _write_plan(record: Record, run: Path) -> None:
    """The plan for the worst case; without one, for a runtime, where it was run."""
    plan = next(_plans(record), None)
    if plan is None:
        (run / PLAN).unlink(missing_ok=True)  # of an earlier explanation
    else:
        write_text_atomic(run / PLAN, plan.text())


def _plans(record: Record) -> Iterator[QuantizationPlan]:
    found, layers = record.answer("mitigations", Mitigations), record.answer("layers", Layers)
    if found is not None and found.plan is not None:
        yield found.plan
    if layers is None:
        return
    yield from (one.plan for one in layers.kept if one.plan is not None)
    for sweep in (*layers.simulated, *layers.sweeps):
        yield from (float_plan(record, one.points) for one in sweep.in_runtimes if one.recommended)


def _askable(
    job: ExplainJob, record: Record, policies: tuple[str, ...], listener: Listener
) -> tuple[str, ...]:
    """The questions; of runtimes and formats alone, which show no bits, only those about answers,
    about layers that are kept in float, and of formats what would help."""
    formats = formats_among(record, policies)
    if "variants" in job.questions and not formats:
        raise InputError(
            f"--only variants: {', '.join(policies)} is no shipped format; name one with --policy"
        )
    if not record.names_deployed.issuperset(policies):
        return job.questions
    of_it = _OF_ANSWERS if record.subject.black_box else _OF_RUNTIMES
    if formats:
        of_it = (*of_it, "variants")
    for name in job.questions:
        if name not in of_it:
            raise InputError(
                f"--only {name}: {', '.join(policies)} shows no bits to explain; "
                "name a policy that has some too"
            )
    asked = job.questions or of_it
    listener.stage(f"Asked of what shows no bits: {', '.join(asked)}")
    return asked


def _basis(job: ExplainJob, context: Context, explained: Explained) -> list[Any]:
    """All that the answers follow from."""
    # `assess --explain` that was killed assesses again: to the same record but for the times.
    untimed = context.record.provenance.model_copy(update={"started": "", "finished": ""})
    bare = {"explained": None, "provenance": untimed}
    measured = record_json(record_of(context.record.observed.model_copy(update=bare)))
    about = explained.model_dump(exclude={"commands"})
    reference = context.reference and record_json(context.reference)
    settings = [job.corrupting.model_dump(), job.lengths.model_dump(), job.fine_tune]
    settings.append(None if context.second is None else context.second.examples.sha256)
    return [__version__, measured, about, reference, settings]


def _answered(
    job: ExplainJob,
    context: Context,
    explained: Explained,
    kept: Sequence[str],
    partial: Partial,
    listener: Listener,
) -> Record:
    """The record with an answer to each question that is asked, beside those that are kept."""
    observed = context.record.observed.model_copy(update={"explained": explained})
    before = {key: one.observed for key, one in context.record.answers.items()}
    others = {key: one for key, one in before.items() if key in kept or key not in QUESTIONS}
    record = record_of(observed, others, KINDS)
    formats = formats_among(record, context.deployed)
    for name, observe in QUESTIONS.items():
        if name not in (job.questions or QUESTIONS) or (name == "variants" and not formats):
            continue
        answer = partial.get_as(name, KINDS[name].observed.model_validate)
        if answer is None:
            listener.stage(f"Explaining: {name}")
            # A later question may build on an earlier one: mitigations on the layers that break.
            answer = observe(replace(context, record=record))
            partial.put(name, answer.model_dump())
        record = with_answer(record, name, answer, KINDS[name])
    # In the order in which a reader works them out.
    return record_of(observed, {key: one.observed for key, one in record.answers.items()}, KINDS)


def _commands(job: ExplainJob, before: Explained | None, kept: Sequence[str]) -> list[str]:
    """The commands that gave the answers, this one last."""
    commands = [one for one in before.commands if one != job.command] if before and kept else []
    return [*commands, job.command] if job.command else commands


def _kept(job: ExplainJob, record: Record, policies: Sequence[str]) -> list[str]:
    """The questions that are not asked now and have been answered before.

    Raises:
        InputError: they are of other policies, so that they could not stand beside the new ones.
    """
    if record.explained is None or not job.questions:
        return []
    kept = [name for name in QUESTIONS if name not in job.questions and name in record.answers]
    shipped, before = record.names_deployed, record.explained.policies
    if kept and before != sorted(policies, key=lambda name: name in shipped):
        raise InputError(
            f"{job.run}: its answers to {', '.join(kept)} are about {', '.join(before)}, and would "
            "be lost; give the same --policy, or explain a copy of the run"
        )
    return kept


def _training_examples_of(job: ExplainJob, context: Context, kept: Sequence[str]) -> int:
    """How many training examples the answers, also those kept, speak of.

    Raises:
        InputError: the new ones would speak of others than those kept.
    """
    n_train = 0 if context.train is None else len(context.train.examples)
    before = context.record.explained
    if before is None or {*_ON_TRAINING}.isdisjoint(kept):
        return n_train
    if _asks_for_training(job) and n_train != before.n_train:
        raise InputError(
            f"{job.run}: its answers to {', '.join(kept)} are about {before.n_train} training "
            f"examples, not {n_train}, and would be lost; give --train-examples {before.n_train}, "
            "or explain a copy of the run"
        )
    return before.n_train


def _asks_for_training(job: ExplainJob) -> bool:
    return not {*_ON_TRAINING}.isdisjoint(job.questions or QUESTIONS)


def _context(
    job: ExplainJob, record: Record, policies: tuple[str, ...], listener: Listener
) -> Context:
    shipped = tuple(name for name in policies if name in record.names_deployed)
    policies = tuple(name for name in policies if name not in shipped)
    others = _to_run_plans_in(job, record, shipped)
    stored = open_stored(job.run, record, listener, in_runtimes=shipped, if_there=others)
    assess, prepared = stored.assess, stored.prepared
    allocations = {name: allocation_of(record.outcomes[name]) for name in policies}
    test = Side("test", prepared, allocations)
    train = _train_side(job, assess, test, policies, listener)
    tune = None
    if job.fine_tune and "mitigations" in (job.questions or QUESTIONS):
        tune = fine_tuner(
            prepared,
            assess.data,
            assess.data_options,
            job.fine_tune,
            job.run,
            listener.progress,
        )
    return Context(
        record,
        policies,
        test,
        train,
        deployed=shipped,
        second=None
        if job.shift is None
        else second_data(job.shift, assess, prepared, (*policies, *shipped), listener.progress),
        keep_in_float=None
        if not (shipped or others) or record.subject.black_box
        else keeping(assess.runtimes, stored.subject, prepared.examples, assess.settings),
        not_loaded=stored.not_loaded,
        tell=listener.progress,
        corrupting=job.corrupting,
        lengths=job.lengths,
        tune=tune,
    )


def _to_run_plans_in(
    job: ExplainJob, record: Record, explained: tuple[str, ...]
) -> tuple[str, ...]:
    """Conditions in runtimes beside those explained: for them what helps in simulation is run."""
    if record.subject.black_box or _WITH_PLANS.isdisjoint(job.questions or QUESTIONS):
        return ()
    return tuple(name for name in in_runtimes(record) if name not in explained)


def _train_side(
    job: ExplainJob,
    assess: AssessJob,
    test: Side,
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
    searched = policies if "layers" in (job.questions or QUESTIONS) else ()
    if searched:
        listener.stage(f"Measuring the same policies on {len(examples)} training examples")
    run = test.prepared
    schedule = Schedule(prepare(run.subject, examples, run.settings, lambda _points: run.policy))
    schedule.measure_only(
        searched,
        lambda name, done, whole: listener.progress(f"{name}, training split", done, whole),
    )
    allocations = {name: allocation_of(schedule.done[name].outcomes) for name in searched}
    return Side("train", schedule.prepared, allocations)


def _training_examples(job: ExplainJob, assess: AssessJob, test: Side) -> Examples | None:
    """Examples of the training split; None where the data has none."""

    def drawn(limit: int, options: DataOptions) -> Examples:
        return load_examples(
            assess.data,
            subject=test.prepared.subject,
            limit=limit,
            seed=assess.settings.seed,
            options=options,
        )

    training = assess.data_options.changed(split="train")
    try:
        # Data without splits gives the same examples whatever split is asked for: one will tell.
        known = {drawn(1, options).sha256 for options in (training, assess.data_options)}
        return drawn(job.n_train, training) if len(known) == 2 else None
    except InputError:
        return None
