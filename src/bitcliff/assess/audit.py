"""The assessment of one model on one set of examples: points, policies, figures, record."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from numbers import Integral
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn

from bitcliff.assess.compose import (
    compose_record,
    example_table,
    provenance_of,
    subject_info,
)
from bitcliff.assess.evaluate import Evaluator, Scores, laid_out_for_speed, margins
from bitcliff.assess.folding import measure_folding
from bitcliff.assess.measured import Predictions, predictions_of
from bitcliff.assess.own import own_examples, own_subject
from bitcliff.assess.runtime_check import check_runtime
from bitcliff.assess.suite import Step, Suite
from bitcliff.budget import total_from_mean
from bitcliff.errors import InputError, NumericError
from bitcliff.points import Attachment, Plan, discover, floors_at
from bitcliff.points.fold import fold_batchnorm
from bitcliff.policy import Policy
from bitcliff.records import Folding, Measured, Record
from bitcliff.records.provenance import now
from bitcliff.types.runtime import Runtime
from bitcliff.types.settings import AssessSettings, budgets_within
from bitcliff.types.subject import Examples, Subject, tensors_sha256

# Activations held at once in a forward pass: small enough to stay near the processor.
_ELEMENTS_A_BATCH = 32_000_000
_LARGEST_BATCH = 256


@runtime_checkable
class Store(Protocol):
    """Where measured policies are kept, so that a killed run goes on from there.

    `started` is when the run first began, UTC, ISO 8601.
    """

    started: str

    def get(self, name: str) -> Measured | None:
        """What was measured before under this name, if anything."""

    def put(self, measured: Measured) -> None:
        """Keep it."""


Progress = Callable[[str, int, int], None]
"""Told the policy that is being measured, and cost done and in all."""


class Audit:
    """Assesses a model on examples.

    Args:
        model: any nn.Module in eval mode that gives class scores (batch, classes), or a Subject.
        data: a DataLoader or other iterable of (inputs, labels) or of inputs, or Examples. It is
            read once and held in memory.
        bits: the widths that policies may choose, increasing, 2 to 16.
        scheme: "paper", "onnx" or "percentile(p)".
        settings: everything else; `bits` and `scheme` override what it says.
        policy: one that was trained together with the model; measured beside the others, and
            never judged by default.
        runtimes: other people's, which the same model was handed to; each is measured with every
            example by itself (`NAME`) and in batches (`NAME-batch`), and judged by default.

    Raises:
        InputError: the model or the data will not do; the text says why.
    """

    def __init__(
        self,
        model: nn.Module | Subject,
        data: Examples | Iterable[Any],
        *,
        bits: Iterable[int] | None = None,
        scheme: str | None = None,
        settings: AssessSettings | None = None,
        policy: Policy | None = None,
        runtimes: Iterable[Runtime] = (),
    ) -> None:
        if bits is not None:
            widths = tuple(int(b) if isinstance(b, Integral) else b for b in bits)
            settings = (
                AssessSettings(bits=widths, budgets=budgets_within(widths))
                if settings is None
                else settings.changed(bits=widths)
            )
        settings = settings or AssessSettings()
        if scheme is not None:
            settings = settings.changed(scheme=scheme)
        self.subject = model if isinstance(model, Subject) else own_subject(model)
        self.examples = data if isinstance(data, Examples) else own_examples(data)
        self.settings = _with_margin(settings, labelled=self.examples.labels is not None)
        self._as_it_came, self._folded = self.subject.module, tuple[str, ...]()
        if self.settings.fold_batchnorm:
            module, self._folded = fold_batchnorm(self._as_it_came, self.examples.inputs)
            self.subject = replace(self.subject, module=module)
        self.plan = self._plan()
        if policy is not None and policy.points != len(self.plan):
            raise InputError(
                f"the policy is for {policy.points} points, but {len(self.plan)} are quantized here"
            )
        self.policy = policy
        self.runtimes = tuple(runtimes)

    def _plan(self) -> Plan:
        where = self.settings.points
        if self.subject.black_box:
            return Plan(seen=(), weights={}, missed=(), where=where)
        return discover(self.subject.module, self.examples.inputs, self.settings)

    def assess(
        self,
        budgets: Iterable[float | int] | None = None,
        *,
        progress: Progress | None = None,
        store: Store | None = None,
        command: str | None = None,
    ) -> Record:
        """Measure every policy; see `suite` for which.

        Args:
            budgets: mean bits a point; the settings' by default.
            progress: told how far it is. store: keeps what is measured as it comes.
            command: the command line, for the record.

        Raises:
            InfeasibleBudget: before any work. NumericError: the network fails in float already.
        """
        settings = self.settings
        if budgets is not None:
            settings = settings.changed(budgets=tuple(map(float, budgets)))
        suite, base = self.ready(settings)
        self.measure(suite, progress, store)
        started = now() if store is None else store.started
        return self.record(suite, base, started, command)

    def record(self, suite: Suite, base: Scores, started: str, command: str | None) -> Record:
        """The record of what a suite has measured.

        Args:
            base: what the network says in float. started: when, UTC, ISO 8601.
        """
        evaluator, done = suite.evaluator, list(suite.done.values())
        strays = evaluator.attachment.incidents.strays.union(*(m.strays for m in done))
        classes = base.logits.shape[1]
        return compose_record(
            example_table(self.examples, base, evaluator, done),
            done,
            subject_info(self.subject, self.examples, self.plan, strays, classes),
            suite.settings.changed(batch_size=evaluator.batch_size),
            provenance_of(self.subject, self.examples, suite.settings.seed, started, command),
            folding=self._folding(evaluator.batch_size),
        )

    def _folding(self, batch: int) -> Folding | None:
        if not self.settings.fold_batchnorm:
            return None
        inputs = self.examples.inputs
        return measure_folding(self._as_it_came, self.subject.module, self._folded, inputs, batch)

    def check(self) -> str:
        """Whether settings, model, runtimes and data go together; runs the network in float.

        Returns:
            SHA-256 of the float network's scores: what it computes, whatever code it is made of.

        Raises:
            InfeasibleBudget: before any work. InputError, NumericError: labels out of range, a
                network that fails in float already, or a runtime that cannot run it.
        """
        suite, base = self.ready()
        for runtime in self.runtimes:
            check_runtime(runtime, suite, base.logits.shape[1])
        return tensors_sha256({"logits": base.logits})

    def ready(self, settings: AssessSettings | None = None) -> tuple[Suite, Scores]:
        """The network attached, run once in float, and set to measure policies.

        Raises:
            InfeasibleBudget: before any work. NumericError: the network fails in float already.
        """
        settings = settings or self.settings
        evaluator = self._evaluator(settings)
        base = self._float_scores(evaluator)
        labels = self.examples.labels
        if labels is not None and settings.margin == "label":
            evaluator.reference = labels
        wanted: Predictions = predictions_of(base) if labels is None else labels.tolist()
        return Suite(evaluator, wanted, settings, {}, self.policy, self.runtimes), base

    def _evaluator(self, settings: AssessSettings) -> Evaluator:
        self._check_budgets(settings)
        attachment = Attachment(
            self.subject.module,
            self.plan,
            settings.scheme,
            settings.weight_bits,
            settings.per_channel,
        )
        # The tail is padded: more than there are examples would only be padding.
        size = min(settings.batch_size or self._batch_size(), len(self.examples))
        return Evaluator(attachment, laid_out_for_speed(self.examples.inputs), size)

    def _check_budgets(self, settings: AssessSettings) -> None:
        if self.subject.black_box:
            return
        means: dict[int, float] = {}
        floors = floors_at(settings, self.plan)
        for mean in settings.budgets:
            total = total_from_mean(mean, len(self.plan), settings.bits, floors)
            if total in means:
                raise InputError(
                    f"--budget {means[total]:g} and {mean:g} are the same {total} bits for "
                    f"{len(self.plan)} points: give one of them"
                )
            means[total] = mean

    def _batch_size(self) -> int:
        elements = sum(torch.Size(point.shape).numel() for point in self.plan.points)
        most = min(_LARGEST_BATCH, len(self.examples))
        return max(1, min(most, _ELEMENTS_A_BATCH // max(elements, 1)))

    def _float_scores(self, evaluator: Evaluator) -> Scores:
        """What the network says in float, from here on the evaluator's reference."""
        base = evaluator.float_scores(torch.arange(len(self.examples)))
        self._check_base(base)
        evaluator.reference = base.predictions
        sizes = margins(base.logits, base.predictions)[base.finite]
        evaluator.scale = float(sizes.median())
        return base

    def _check_base(self, base: Scores) -> None:
        classes, labels = base.logits.shape[1], self.examples.labels
        if classes < 2:
            raise InputError(f"the model must tell two classes or more apart, not {classes}")
        if labels is not None and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
            raise InputError(
                f"labels lie in {int(labels.min())}..{int(labels.max())}, but the model has "
                f"{classes} classes: they must lie in 0..{classes - 1}"
            )
        if not bool(base.finite.any()):
            place = next(place for place in base.failed_at if place)
            raise NumericError(
                f"{self.subject.name} gives NaN or infinity in float already, for every example "
                f"(at {place}); give a model that works in float"
            )

    def measure(
        self, suite: Suite, progress: Progress | None = None, store: Store | None = None
    ) -> None:
        """Measure every condition of the suite into `suite.done`, taking up what a store has."""
        steps = list(suite.steps())
        whole, done = sum(step.cost for step in steps), 0
        for step in steps:
            suite.evaluator.on_batch = _teller(suite, step, done, whole, progress)
            suite.evaluator.on_batch()
            name = step.name
            measured = store.get(name) if store is not None else None
            if measured is None:
                measured = suite.measure(step)
                if store is not None:
                    store.put(measured)
            suite.done[name] = measured
            done += step.cost
        suite.evaluator.on_batch = None
        if progress is not None:
            progress("done", whole, whole)


def _with_margin(settings: AssessSettings, labelled: bool) -> AssessSettings:
    if settings.margin == "label" and not labelled:
        raise InputError("--margin label needs labels, and the data has none")
    if settings.margin != "auto":
        return settings
    return settings.changed(margin="label" if labelled else "prediction")


def _teller(
    suite: Suite, step: Step, done: int, whole: int, progress: Progress | None
) -> Callable[[], None]:
    start = suite.evaluator.spent.cost

    def tell() -> None:
        if progress is not None:
            used = min(suite.evaluator.spent.cost - start, step.cost)
            progress(step.name, done + used, whole)

    return tell
