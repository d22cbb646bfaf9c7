"""One question and its answer, as the report lays it out."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Section:
    """One question and its answer.

    Attributes:
        key: names its folder among the questions, whose `page.html.j2` lays it out, and its anchor.
        question: the heading. finding: the answer in a sentence, seen also while folded.
        data: what the template lays out; everything in it is escaped.
    """

    key: str
    question: str
    finding: str
    data: Any
