"""A record: what was observed, and the figures that follow from it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from bitcliff.record.figures import Coverage, Figures, FloatResult, PolicyResult, figures
from bitcliff.record.outcomes import Outcomes, Rows, Table
from bitcliff.record.part import Part
from bitcliff.record.schema import (
    SCHEMA_VERSION,
    Explained,
    Folding,
    Observed,
    Provenance,
    SubjectInfo,
)
from bitcliff.types.settings import AssessSettings

Kind = TypeVar("Kind", bound=Part)


@dataclass(frozen=True)
class Answer:
    """What a question observed, and the figures that follow."""

    observed: Part
    figures: Part


@dataclass(frozen=True)
class Record:
    """A whole run. Make one with `record_of`: its figures are those of what was observed."""

    observed: Observed
    figures: Figures
    answers: Mapping[str, Answer] = field(default_factory=dict)

    schema_version = SCHEMA_VERSION

    @cached_property
    def examples(self) -> Rows:
        """The examples one by one."""
        return Rows(self.table, self.observed.conditions)

    @property
    def table(self) -> Table:
        """The examples and what float predicts of them, as arrays."""
        return self.observed.examples

    @property
    def provenance(self) -> Provenance:
        """How the numbers came to be."""
        return self.observed.provenance

    @property
    def subject(self) -> SubjectInfo:
        """The model and the data."""
        return self.observed.subject

    @property
    def settings(self) -> AssessSettings:
        """What was asked for."""
        return self.observed.settings

    @property
    def folding(self) -> Folding | None:
        """What folding BatchNorm changed, if it was asked for."""
        return self.observed.folding

    @property
    def explained(self) -> Explained | None:
        """What `bitcliff explain` was asked, if it has run."""
        return self.observed.explained

    @property
    def float_(self) -> FloatResult:
        """The network in float."""
        return self.figures.float_

    @property
    def policies(self) -> list[PolicyResult]:
        """The figures of each condition, in the order in which they were measured."""
        return self.figures.policies

    @property
    def at_risk(self) -> list[str]:
        """Ids of the examples that an adversary or a runtime flips, worst first."""
        return self.figures.at_risk

    @property
    def coverage(self) -> Coverage:
        """How much of the network is quantized."""
        return self.figures.coverage

    @property
    def names_deployed(self) -> set[str]:
        """Of the conditions in runtimes and shipped formats: nobody allocates bits in them."""
        return {policy.name for policy in self.policies if policy.condition.deployed}

    @cached_property
    def float_otherwise(self) -> tuple[int, int] | None:
        """The batch size of a condition, and how many examples float answers otherwise in
        such batches than `table` has: the most there are. None: it does not depend on its batch.
        """
        found = [
            (int((self.table.before(one.outcomes) != self.table.prediction[index]).sum()), size)
            for one in self.observed.conditions
            for index, size in [(one.outcomes.index, one.condition.batch_size or 1)]
            if one.outcomes.in_float is not None
        ]
        if not found:
            return None
        count, size = max(found)
        return size, count

    @cached_property
    def outcomes(self) -> Mapping[str, Outcomes]:
        """What was observed under each condition, by its name."""
        return {one.name: one.outcomes for one in self.observed.conditions}

    @cached_property
    def by_name(self) -> Mapping[str, PolicyResult]:
        """The figures of each condition, by its name."""
        return {policy.name: policy for policy in self.policies}

    def answer(self, key: str, kind: type[Kind]) -> Kind | None:
        """The figures of a question, or None where it was not asked.

        Args:
            kind: what they are, for the type checker and as a check.
        """
        found = self.answers.get(key)
        return found.figures if found is not None and isinstance(found.figures, kind) else None

    def observed_by(self, key: str, kind: type[Kind]) -> Kind | None:
        """What a question observed, or None where it was not asked."""
        found = self.answers.get(key)
        return found.observed if found is not None and isinstance(found.observed, kind) else None


@dataclass(frozen=True)
class AnswerKind:
    """How the answers to one question are read.

    Attributes:
        observed: what is stored.
        figures: the record so far, with the answers to the questions before this one, and what was
            observed, to every figure; pure.
        problems: what in it contradicts the record; told before `figures` is called.
        older: the answer as schema 1.x held it to the fields of `observed`; None where that does
            not hold what the figures rest on.
    """

    observed: type[Part]
    figures: Callable[[Record, Any], Part]
    problems: Callable[[Record, Any], Iterator[str]] = lambda _record, _observed: iter(())
    older: Callable[[Record, Any], dict[str, Any] | None] = lambda _record, _answer: None


def record_of(
    observed: Observed,
    answers: Mapping[str, Part] | None = None,
    kinds: Mapping[str, AnswerKind] | None = None,
) -> Record:
    """The record of what was observed, every figure worked out.

    Args:
        answers: what each question observed. kinds: how to read each, in the order in which they
            build on one another; at least those of `answers`.
    """
    record = Record(observed, figures(observed))
    for key, kind in (kinds or {}).items():
        if answers and key in answers:
            record = with_answer(record, key, answers[key], kind)
    return record


def with_answer(record: Record, key: str, observed: Part, kind: AnswerKind) -> Record:
    """The record with one question's answer, put anew or in place of an earlier one."""
    answer = Answer(observed, kind.figures(record, observed))
    return Record(record.observed, record.figures, {**record.answers, key: answer})
