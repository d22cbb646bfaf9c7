"""The assessment of one model on one set of examples: points, policies, figures, record."""

import shlex
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from bitcliff import __version__
from bitcliff.assess.evaluate import Evaluator, Scores, margins
from bitcliff.assess.figures import at_risk, float_figures, policy_figures, with_holm
from bitcliff.assess.measured import Measured, predictions_of
from bitcliff.assess.settings import AssessSettings
from bitcliff.assess.suite import Suite
from bitcliff.errors import InputError, NumericError
from bitcliff.points import Attachment, Plan, discover
from bitcliff.points.plan import Missed
from bitcliff.records import (
    Coverage,
    ExampleRow,
    PointRow,
    Provenance,
    Record,
    Settings,
    SubjectInfo,
    Uncovered,
)
from bitcliff.records.provenance import (
    cpu_flags,
    now,
    package_versions,
    platform_name,
    revision,
)
from bitcliff.types.subject import Examples, Subject, hash_tensors

# Activations held at once in a forward pass: small enough to stay near the processor.
_ELEMENTS_A_BATCH = 16_000_000
_LARGEST_BATCH = 256
# Examples at risk whose picture the record keeps.
_PICTURES = 24


class Store(Protocol):
    """Where measured policies are kept, so that a killed run goes on from there."""

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
    ) -> None:
        settings = settings or AssessSettings()
        if bits is not None:
            settings = replace(settings, bits=tuple(bits))
        if scheme is not None:
            settings = replace(settings, scheme=scheme)
        self.settings = settings
        self.subject = model if isinstance(model, Subject) else _subject(model)
        self.examples = data if isinstance(data, Examples) else _gather(data)
        if settings.margin == "label" and self.examples.labels is None:
            raise InputError("--margin label needs labels, and the data has none")
        self.plan: Plan = discover(self.subject.module, self.examples.inputs, settings.selection)

    def assess(
        self,
        budgets: Iterable[float] | None = None,
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
            settings = replace(settings, budgets=tuple(map(float, budgets)))
        started = now()
        suite = self._suite(settings)
        evaluator = suite.evaluator
        base = evaluator.float_scores(suite.everyone)
        self._check_base(base)
        use_labels = settings.margin == "label"
        reference = self.examples.labels if use_labels else base.predictions
        evaluator.reference = base.predictions if reference is None else reference
        self._measure(suite, progress, store)
        rows = self._rows(base, evaluator, suite.done)
        return self._record(suite, rows, base.logits.shape[1], settings, started, command)

    def check(self) -> None:
        """InfeasibleBudget if a budget cannot be met, before any work."""
        self._suite(self.settings)

    def _suite(self, settings: AssessSettings) -> Suite:
        evaluator = self._evaluator(settings)
        suite = Suite(evaluator, self.examples.labels, len(self.examples), settings, {})
        suite.totals()
        return suite

    def _evaluator(self, settings: AssessSettings) -> Evaluator:
        attachment = Attachment(
            self.subject.module,
            self.plan,
            settings.scheme,
            settings.weight_bits,
            settings.per_channel,
        )
        size = settings.batch_size or self._batch_size()
        return Evaluator(attachment, self.examples.inputs, size)

    def _batch_size(self) -> int:
        elements = sum(torch.Size(point.shape).numel() for point in self.plan.points)
        most = min(_LARGEST_BATCH, len(self.examples))
        return max(1, min(most, _ELEMENTS_A_BATCH // max(elements, 1)))

    def _check_base(self, base: Scores) -> None:
        classes = base.logits.shape[1]
        labels = self.examples.labels
        if classes < 2:
            raise InputError(f"the model must tell two classes or more apart, not {classes}")
        if labels is not None and len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
            raise InputError(
                f"labels lie in {int(labels.min())}..{int(labels.max())}, but the model has "
                f"{classes} classes: they must lie in 0..{classes - 1}"
            )
        if not bool(base.finite.any()):
            place = next(place for place in base.failed_at if place)
            raise NumericError(
                f"the network gives NaN or infinity in float already, for every example (at {place})"
            )

    def _measure(self, suite: Suite, progress: Progress | None, store: Store | None) -> None:
        steps = list(suite.steps())
        whole, done = sum(step.cost for step in steps), 0
        spent = suite.evaluator.spent
        for step in steps:
            start = spent.forward + 3 * spent.backward

            def tell(step: Any = step, start: int = start, done: int = done) -> None:
                if progress is not None:
                    used = spent.forward + 3 * spent.backward - start
                    progress(step.name, done + min(used, step.cost), whole)

            suite.evaluator.on_batch = tell
            tell()
            measured = store.get(step.name) if store is not None else None
            if measured is None:
                measured = step.measure()
                if store is not None:
                    store.put(measured)
            suite.done[step.name] = measured
            done += step.cost
        suite.evaluator.on_batch = None
        if progress is not None:
            progress("done", whole, whole)

    def _rows(
        self, base: Scores, evaluator: Evaluator, done: dict[str, Measured]
    ) -> list[ExampleRow]:
        labels = self.examples.labels
        found = margins(base.logits, evaluator.reference)
        predictions = predictions_of(base)
        return [
            ExampleRow(
                id=name,
                label=None if labels is None else int(labels[place]),
                float_prediction=predictions[place],
                float_margin=None if base.failed_at[place] else float(found[place]),
                outcomes={
                    policy: measured.outcomes[place]
                    for policy, measured in done.items()
                    if place in measured.outcomes
                },
            )
            for place, name in enumerate(self.examples.ids)
        ]

    def _record(
        self,
        suite: Suite,
        rows: list[ExampleRow],
        classes: int,
        settings: AssessSettings,
        started: str,
        command: str | None,
    ) -> Record:
        results = with_holm(
            [
                policy_figures(
                    rows,
                    measured.name,
                    threat=measured.threat,
                    description=measured.description,
                    mean_bits=measured.mean_bits,
                    total_bits=measured.total_bits,
                    policy_freedom_log2=measured.policy_freedom_log2,
                    allocation=measured.allocation,
                    effort=measured.effort,
                )
                for measured in suite.done.values()
            ]
        )
        risky = at_risk(rows, results)
        attachment = suite.evaluator.attachment
        return Record(
            provenance=self._provenance(settings, started, command),
            subject=self._subject_info(attachment, classes),
            settings=_settings(settings, suite.evaluator.batch_size),
            float=float_figures(rows),
            policies=results,
            at_risk=risky,
            examples=self._with_pictures(rows, risky),
        )

    def _with_pictures(self, rows: list[ExampleRow], risky: list[str]) -> list[ExampleRow]:
        pictures = self.examples.thumbnails
        if pictures is None:
            return rows
        shown = set(risky[:_PICTURES])
        return [
            row.model_copy(update={"thumbnail": picture}) if row.id in shown else row
            for row, picture in zip(rows, pictures, strict=True)
        ]

    def _provenance(
        self, settings: AssessSettings, started: str, command: str | None
    ) -> Provenance:
        return Provenance(
            bitcliff=__version__,
            python=sys.version.split()[0],
            packages=package_versions(),
            revision=revision(),
            seed=settings.seed,
            command=command if command is not None else shlex.join(sys.argv),
            started=started,
            finished=now(),
            platform=platform_name(),
            cpu_flags=cpu_flags(),
            threads=torch.get_num_threads(),
            weights_sha256=self.subject.weights_sha256,
            data_sha256=self.examples.sha256,
            runs_user_code=self.subject.runs_user_code,
        )

    def _subject_info(self, attachment: Attachment, classes: int) -> SubjectInfo:
        names = self.subject.class_names or self.examples.class_names
        return SubjectInfo(
            model=self.subject.name,
            data=self.examples.name,
            n_examples=len(self.examples),
            n_available=self.examples.n_available,
            n_classes=classes,
            labelled=self.examples.labels is not None,
            preprocessing=self.examples.preprocessing,
            class_names=list(names) if names else None,
            points=[
                PointRow(
                    name=point.name,
                    kind=point.kind,
                    shape=list(point.shape),
                    macs=point.macs,
                    quantized=point.quantized,
                    reason=point.reason,
                )
                for point in self.plan.seen
            ],
            coverage=coverage_of(self.plan, attachment.incidents.strays),
        )


def coverage_of(plan: Plan, strays: Iterable[str] = ()) -> Coverage:
    """How much of what was seen is covered; `strays` were met only after discovery."""
    missed = list(plan.missed)
    missed += [Missed(name, "call", "met only after discovery") for name in sorted(strays)]
    # Each call's work counts once, however many of its operands are points.
    work = {point.site: point.macs for point in plan.seen}
    covered = {point.site for point in plan.points}
    total = sum(work.values())
    return Coverage(
        complete=not missed,
        quantized=len(plan.points),
        left_out=len(plan.seen) - len(plan.points),
        macs_share=sum(work[site] for site in covered) / total if total else 1.0,
        uncovered=[Uncovered(name=m.name, kind=m.kind, reason=m.reason) for m in missed],
    )


def _settings(settings: AssessSettings, batch_size: int) -> Settings:
    selection, effort = settings.selection, settings.effort
    return Settings(
        bits=list(settings.bits),
        budgets=list(settings.budgets),
        scheme=settings.scheme,
        weight_bits=settings.weight_bits,
        per_channel=settings.per_channel,
        points=selection.where,
        include=list(selection.include),
        exclude=list(selection.exclude),
        include_stem=selection.include_stem,
        batch_size=batch_size,
        uniform=list(settings.uniform),
        draws=effort.draws,
        rounds=effort.rounds,
        exchanges=effort.exchanges,
        evaluations=effort.evaluations,
        margin=settings.margin,
        max_drop=settings.max_drop,
    )


def _subject(model: nn.Module) -> Subject:
    return Subject(
        name=type(model).__name__,
        module=model,
        preprocessing=None,
        class_names=None,
        weights_sha256=hash_tensors(model.state_dict().values()),
        runs_user_code=True,
    )


def _gather(data: Iterable[Any]) -> Examples:
    """Read a DataLoader to its end: batches (inputs, labels), or inputs alone."""
    inputs: list[Tensor] = []
    labels: list[Tensor] = []
    for batch in data:
        pair = isinstance(batch, tuple | list)
        x = batch[0] if pair else batch
        if not isinstance(x, Tensor):
            raise InputError(f"data must yield tensors or (inputs, labels), not {type(x).__name__}")
        inputs.append(x)
        if pair and len(batch) > 1:
            labels.append(torch.as_tensor(batch[1]).long())
    if not inputs:
        raise InputError("the data is empty: it must yield at least two examples")
    if labels and len(labels) != len(inputs):
        raise InputError("some batches have labels and some have none")
    x = torch.cat(inputs)
    if x.is_floating_point() and not bool(torch.isfinite(x).all()):
        raise InputError("the data holds NaN or infinity")
    y = torch.cat(labels) if labels else None
    return Examples(
        name=type(data).__name__,
        inputs=x,
        labels=y,
        ids=tuple(str(place) for place in range(len(x))),
        n_available=len(x),
        sha256=hash_tensors([x] if y is None else [x, y]),
    )
