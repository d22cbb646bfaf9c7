"""A network and its data, ready to be measured: everything checked, run once in float."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from jaxtyping import Int
from torch import Tensor

from bitcliff.audit.evaluator import Evaluator, Scores, margins
from bitcliff.audit.float_texts import FloatTexts
from bitcliff.audit.folding import measure_folding
from bitcliff.audit.inputs import laid_out_for_speed
from bitcliff.audit.outcomes import Predictions, predictions_of
from bitcliff.budget import feasible_totals, total_from_mean
from bitcliff.errors import InfeasibleBudget, InputError, NumericError
from bitcliff.points import Attachment, Plan, discover, floors_at, take
from bitcliff.points.final_activation import final_of, to_logits
from bitcliff.points.find_task import find_task, refuse_labels
from bitcliff.points.fold import fold_batchnorm
from bitcliff.points.forward import batch_size, logits_of, outputs_of
from bitcliff.points.plan import Point
from bitcliff.policy import Policy
from bitcliff.record import Folding
from bitcliff.tasks import Threshold, task_of
from bitcliff.tasks.against_float import AgainstFloat
from bitcliff.tasks.classification import other_task
from bitcliff.types.presets import Format
from bitcliff.types.runtime import Runtime
from bitcliff.types.settings import COST_UNIT, AssessSettings
from bitcliff.types.subject import Examples, Inputs, Subject, tensors_sha256

# Activations held at once in a forward pass: small enough to stay near the processor.
_ELEMENTS_A_BATCH = 32_000_000
_LARGEST_BATCH = 256
# Of the spread of the scores: far more than kernels that add in another order part by.
_SAME_SCORES = 1e-3

ChoosePolicy = Callable[[Plan], Policy | None]
"""From the points found to the policy that was trained together with the network, if any."""


@dataclass(frozen=True)
class Prepared:
    """The only thing that is handed along; nothing in it is assigned anew.

    Attributes:
        subject: the network, folded where that was asked for. settings: as asked for, the margin
            resolved.
        evaluator: the network attached to its data, with a count of what was spent on it.
        in_float: what the network gives in float, of all examples.
        folding: what folding BatchNorm changed, where it was asked for.
        policy: one trained together with the network. runtimes: what else it is run by.
        float_otherwise: by the size of the batches that a runtime is handed, or a format whose
            scale a batch shares, what float predicts in the same ones, where that is not what
            `in_float` says.
    """

    subject: Subject
    examples: Examples
    settings: AssessSettings
    evaluator: Evaluator
    in_float: Scores
    folding: Folding | None = None
    policy: Policy | None = None
    runtimes: tuple[Runtime, ...] = ()
    float_otherwise: Mapping[int, Predictions] = field(default_factory=dict)

    @property
    def points(self) -> Plan:
        """The quantization points that were found."""
        return self.evaluator.attachment.plan

    @property
    def floors(self) -> list[int] | None:
        """The least width at each point; None: every width everywhere."""
        return floors_at(self.settings, self.points)

    @property
    def everyone(self) -> Int[Tensor, " n"]:
        """The places of all examples."""
        return torch.arange(len(self.examples))

    @property
    def targets(self) -> Predictions:
        """(n,) labels, or without them what float predicts, None where it fails."""
        labels = self.examples.labels
        return predictions_of(self.in_float) if labels is None else labels.tolist()

    @property
    def n_classes(self) -> int:
        """How many outputs the network has."""
        return int(self.in_float.logits.shape[1])

    @property
    def usual_margin(self) -> float:
        """Median lead of what float predicts, as the record has margins."""
        in_float = self.in_float
        return float(margins(in_float.logits, in_float.predictions)[in_float.finite].median())

    @cached_property
    def float_texts(self) -> FloatTexts:
        """What a language model gives in float at each position of texts."""
        return FloatTexts(self.subject.module)

    @property
    def float_sha256(self) -> str:
        """Of the float network's scores: what it computes, whatever code it is made of."""
        return tensors_sha256({"logits": self.in_float.logits})


def prepare(
    subject: Subject,
    examples: Examples,
    settings: AssessSettings,
    choose_policy: ChoosePolicy = lambda _points: None,
    runtimes: Iterable[Runtime] = (),
) -> Prepared:
    """Find the points, attach the network, run it once in float; refuse what will not do.

    Raises:
        InfeasibleBudget: before the network is run on the data. InputError, NumericError: settings,
            model, policy, runtimes and data do not go together, or the network fails in float.
    """
    runtimes = tuple(runtimes)
    if not (settings.budgets or settings.numerics or settings.compared or runtimes):
        raise InputError("--budget must name at least one mean of bits per point")
    settings = _with_margin(settings, labelled=examples.labels is not None)
    find_task(subject.module, examples.inputs)
    if examples.labels is not None:
        refuse_labels(subject.module, examples.name)
    came, names = subject.module, tuple[str, ...]()
    if settings.fold_batchnorm:
        module, names = fold_batchnorm(came, examples.inputs)
        subject = replace(subject, module=module)
    points = _points(subject, examples, settings)
    policy = choose_policy(points)
    if policy is not None and policy.points != len(points):
        raise InputError(
            f"the policy is for {policy.points} points, but {len(points)} are quantized here"
        )
    _check_budgets(subject, points, settings)
    subject = _with_output(subject, examples)
    plain = _evaluator(subject, examples, settings, points)
    task = task_of(subject.module)
    if isinstance(task, AgainstFloat):
        task.forget()
    in_float = _in_float(plain, subject)
    _check_float(subject, examples, in_float)
    folding = None
    if settings.fold_batchnorm:
        size = plain.batch_size
        folding = measure_folding(came, names, in_float.logits, plain.inputs, size)
    final = plain.attachment.final = final_of(subject.module, in_float.logits)
    in_float = replace(in_float, logits=to_logits(in_float.logits, final))
    found = Prepared(
        subject=subject,
        examples=examples,
        settings=settings,
        evaluator=_with_reference(plain, in_float, examples.labels, settings),
        in_float=in_float,
        folding=folding,
        policy=policy,
        runtimes=runtimes,
    )
    for runtime in found.runtimes:
        check_runtime(runtime, found)
    for name in (*settings.numerics, *settings.options):
        _check_format(name, found)
    return replace(found, float_otherwise=_float_otherwise(found))


def _with_output(subject: Subject, examples: Examples) -> Subject:
    """The same, with its output named where that shows only when it is run."""
    if subject.black_box or subject.output is not None:
        return subject
    with torch.no_grad():
        output, others = outputs_of(subject.module, take(examples.inputs, torch.tensor([0, 1])))
    return replace(subject, output=output, other_outputs=others)


def _in_float(plain: Evaluator, subject: Subject) -> Scores:
    """As what is simulated is run; where nothing is, each example by itself, as it is deployed."""
    if subject.black_box:
        return float_in_batches(plain, subject, 1)
    return plain.float_scores(torch.arange(batch_size(plain.inputs)))


def float_in_batches(evaluator: Evaluator, subject: Subject, size: int) -> Scores:
    """Just as a runtime is run."""

    def run(inputs: Inputs) -> Tensor:
        with torch.no_grad():
            return logits_of(subject.module, inputs).float().cpu()

    return evaluator.runtime_scores(torch.arange(batch_size(evaluator.inputs)), run, size)


def _float_otherwise(found: Prepared) -> dict[int, Predictions]:
    """By batch size; other kernels for another size round otherwise, which does not count."""
    sizes = {size for one in found.runtimes for size in one.sizes(found.evaluator.batch_size)}
    if not all(found.settings.format_of(name).isolated for name in found.settings.numerics):
        sizes.add(1)  # its batches, the last one filled up, are those of `in_float`
    if found.subject.black_box:
        sizes.discard(1)  # so it was run already
    usual, otherwise = found.in_float, dict[int, Predictions]()
    whole = usual.logits[usual.finite]
    spread = float(whole.max() - whole.min())
    for size in sorted(sizes):
        alike = float_in_batches(found.evaluator, found.subject, size)
        gap = (alike.logits - usual.logits).abs().amax(1)
        other = (gap > _SAME_SCORES * spread) & (alike.predictions != usual.predictions)
        fails = alike.finite != usual.finite
        if bool((other & usual.finite & alike.finite | fails).any()):
            otherwise[size] = predictions_of(alike)
    return otherwise


def _check_format(name: str, prepared: Prepared) -> None:
    """Before any long work.

    Raises:
        InputError: the format is for no layer of this network, or refuses one.
    """
    shipped, attachment = prepared.settings.format_of(name), prepared.evaluator.attachment
    points = prepared.points.points
    told = prepared.settings.asked_for(name)
    points_covered(f"{told} rounds", [shipped], prepared.points)
    odd = [point.name for point in points if attachment.refuses(shipped, point)]
    if odd:
        raise InputError(
            f"{told}: its runtime takes no layer whose inputs are a number which its blocks do not "
            f"divide: leave them out by --exclude {' --exclude '.join(map(repr, odd))}"
        )


def check_runtime(runtime: Runtime, prepared: Prepared) -> None:
    """One example and one batch, before any long work.

    Raises:
        InputError: it cannot run them, or gives something else than a score for each class.
    """
    evaluator = prepared.evaluator
    for size in runtime.sizes(evaluator.batch_size):
        scores = runtime.run(take(evaluator.inputs, torch.arange(size)))
        if scores.shape != (size, prepared.n_classes):
            raise InputError(
                f"--runtime {runtime.name}: it gives {tuple(scores.shape)} for {size} examples "
                f"and not ({size}, {prepared.n_classes}), as the network in float does"
            )


def _with_margin(settings: AssessSettings, labelled: bool) -> AssessSettings:
    if settings.margin == "label" and not labelled:
        raise InputError("--margin label needs labels, and the data has none")
    if settings.margin != "auto":
        return settings
    return settings.changed(margin="label" if labelled else "prediction")


def _points(subject: Subject, examples: Examples, settings: AssessSettings) -> Plan:
    if subject.black_box:
        return Plan(seen=(), weights={}, missed=(), where=settings.points)
    points = discover(subject.module, examples.inputs, settings)
    names = (*settings.numerics, *settings.options)
    if any(settings.format_of(name).cache is not None for name in names):
        points = replace(points, missed=(*points.missed, *points.untold))
    if not settings.options:
        return points
    formats = [settings.format_of(name) for name in settings.options]
    covered = points_covered(f"--options {','.join(settings.options)}: they round", formats, points)
    left = [point for point in points.points if point not in covered]
    return points.without(left, "not all formats of --options are for it") if left else points


def points_covered(who: str, formats: Sequence[Format], points: Plan) -> list[Point]:
    """The points that all of the formats are for.

    Args:
        who: the option with its formats, and that they round, as a refusal begins.

    Raises:
        InputError: there is none.
    """
    covered = [
        point
        for point in points.points
        if all(points.rounds(shipped, point) for shipped in formats)
    ]
    if not covered:
        cache = all(shipped.cache is not None for shipped in formats)
        where, what = (
            ("keys and values of attention alone", "such")
            if cache
            else ("linear layers alone", "a linear layer's input")
        )
        untold = [f" that can be told ({one.name}: {one.reason})" for one in points.untold[:1]]
        raise InputError(
            f"{who} {where}, and of the {len(points)} quantization points none is {what}"
            f"{''.join(untold) if cache else ''}"
        )
    return covered


def mix_cost(mean: float, points: int, settings: AssessSettings) -> int:
    """What every plan of a budget costs, in 1/32 bit: exactly `mean` bits at each of the points.

    Raises:
        InfeasibleBudget: no mix costs that; the nearest means that one does are named.
    """
    costs = list(settings.mix.values())
    wanted, totals = round(mean * COST_UNIT * points), feasible_totals(points, costs)
    if wanted in totals:
        return wanted
    nearest = sorted(sorted(totals, key=lambda total: abs(total - wanted))[:2])
    means = " or ".join(f"{total / COST_UNIT / points:.7g}" for total in nearest)
    raise InfeasibleBudget(
        f"--budget {mean:g} cannot be met by {points} points of {' or '.join(settings.mix)}: the "
        f"nearest that can are {means}"
    )


def _check_budgets(subject: Subject, points: Plan, settings: AssessSettings) -> None:
    if subject.black_box:
        return
    means: dict[int, float] = {}
    floors = floors_at(settings, points)
    for mean in settings.budgets:
        if settings.options:
            total = mix_cost(mean, len(points), settings)
        else:
            total = total_from_mean(mean, len(points), settings.bits, floors)
        if total in means:
            raise InputError(
                f"--budget {means[total]:g} and {mean:g} are the same total for "
                f"{len(points)} points: give one of them"
            )
        means[total] = mean


def _evaluator(
    subject: Subject, examples: Examples, settings: AssessSettings, points: Plan
) -> Evaluator:
    attachment = Attachment(
        subject.module, points, settings.scheme, settings.weight_bits, settings.per_channel
    )
    elements = sum(torch.Size(point.shape).numel() for point in points.points)
    fitting = max(1, min(_LARGEST_BATCH, _ELEMENTS_A_BATCH // max(elements, 1)))
    # The tail is padded: more than there are examples would only be padding.
    size = min(settings.batch_size or fitting, len(examples))
    return Evaluator(attachment, laid_out_for_speed(examples.inputs), size)


def _with_reference(
    evaluator: Evaluator,
    in_float: Scores,
    labels: Int[Tensor, " n"] | None,
    settings: AssessSettings,
) -> Evaluator:
    """The same, knowing what margins are measured against and which are usual."""
    against = in_float.predictions
    if labels is not None and settings.margin == "label":
        against = labels
    sizes = margins(in_float.logits, in_float.predictions)[in_float.finite]
    if evaluator.attachment.final != "none" and len(evaluator.attachment.plan):
        # Logarithms have an end; what a search follows has none.
        sizes = evaluator.float_margins(torch.arange(len(against)))
    return replace(evaluator, reference=against, scale=float(sizes.median()))


def _check_float(subject: Subject, examples: Examples, in_float: Scores) -> None:
    classes, labels = in_float.logits.shape[1], examples.labels
    told, task = in_float.predictions[in_float.finite], task_of(subject.module)
    if isinstance(task, Threshold) and len(told) and bool((told == told[0]).all()):
        scores = in_float.logits[in_float.finite, 1]
        raise InputError(
            f"--task {task.name}: the scores of all {len(told)} examples lie on one side of it, "
            f"from {float(scores.min()):.4g} to {float(scores.max()):.4g}: give a threshold "
            "between, or examples of both sides"
        )
    if classes < 2:
        raise InputError(f"the model gives {other_task(in_float.logits.shape)}")
    if labels is not None and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise InputError(
            f"labels lie in {int(labels.min())}..{int(labels.max())}, but the model has "
            f"{classes} classes: they must lie in 0..{classes - 1}"
        )
    if not bool(in_float.finite.any()):
        point = next(point for point in in_float.failed_at if point)
        raise NumericError(
            f"{subject.name} gives NaN or infinity in float already, for every example "
            f"(at {point}); give a model that works in float"
        )
