"""The assessment of one model on one set of examples, as Python code asks for it."""

from collections.abc import Iterable
from functools import cached_property
from numbers import Integral
from typing import Any

from torch import nn

from bitcliff.audit.compose import record_of_schedule
from bitcliff.audit.from_python import own_examples, own_subject
from bitcliff.audit.prepare import Prepared, prepare
from bitcliff.audit.schedule import Progress, Schedule, Store
from bitcliff.policy import Policy
from bitcliff.record import Record
from bitcliff.record.provenance import now
from bitcliff.tasks import task_of
from bitcliff.types.runtime import Runtime
from bitcliff.types.settings import AssessSettings, budgets_within
from bitcliff.types.subject import Examples, Subject


class Audit:
    """Assesses a model on examples.

    Args:
        model: any nn.Module in eval mode that gives class scores (batch, classes), or a Subject.
        data: a DataLoader or other iterable of (inputs, labels) or of inputs, or Examples. It is
            read once and held in memory.
        bits: the widths that policies may choose, increasing, 2 to 16.
        scheme: "paper", "onnx" or "percentile(p)".
        settings: everything else; `bits` and `scheme` override what it says. The model's own input
            is a point only with `include_stem=True`, also where it is no image, for which the
            command line takes it in.
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
        self._settings = settings if scheme is None else settings.changed(scheme=scheme)
        self._subject = model if isinstance(model, Subject) else own_subject(model)
        task = task_of(self._subject.module)
        self._examples = data if isinstance(data, Examples) else own_examples(data, task)
        self._policy, self._runtimes = policy, tuple(runtimes)

    @cached_property
    def prepared(self) -> Prepared:
        """The network attached and run once in float.

        Raises:
            InfeasibleBudget, InputError, NumericError: as `prepare`.
        """
        return self._prepared(self._settings)

    def _prepared(self, settings: AssessSettings) -> Prepared:
        policy = self._policy
        return prepare(
            self._subject, self._examples, settings, lambda _points: policy, self._runtimes
        )

    def assess(
        self,
        budgets: Iterable[float | int] | None = None,
        *,
        progress: Progress | None = None,
        store: Store | None = None,
        command: str | None = None,
    ) -> Record:
        """Measure every condition; see `schedule` for which.

        Args:
            budgets: mean bits a point; the settings' by default.
            progress: told how far it is. store: keeps what is measured as it comes.
            command: the command line, for the record.

        Raises:
            InfeasibleBudget: before the network is run on the data. NumericError: it fails in float
                already.
        """
        started = now() if store is None else store.started
        prepared = (
            self.prepared
            if budgets is None
            else self._prepared(self._settings.changed(budgets=tuple(map(float, budgets))))
        )
        schedule = Schedule(prepared)
        schedule.run(progress, store)
        return record_of_schedule(schedule, started, command)
