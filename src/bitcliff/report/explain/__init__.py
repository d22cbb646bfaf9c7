"""The sections that `bitcliff explain` adds to the report, one file each."""

from dataclasses import dataclass
from typing import Any

from bitcliff.records import Record


@dataclass(frozen=True)
class Section:
    """One question and its answer.

    Attributes:
        key: names its template, `explain/KEY.html.j2`, and its anchor.
        question: the heading. finding: the answer in a sentence, seen also while folded.
        data: what the template lays out; everything in it is escaped.
    """

    key: str
    question: str
    finding: str
    data: Any


def sections(record: Record) -> list[Section]:
    """What was explained, in the order of the questions; nothing where `explain` has not run."""
    if record.explanation is None:
        return []
    return []
