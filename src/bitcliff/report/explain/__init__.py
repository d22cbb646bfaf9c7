"""The sections that `bitcliff explain` adds to the report, one file each."""

from collections.abc import Callable, Mapping
from typing import Any

from bitcliff.records import Record
from bitcliff.report.explain.activations import activations_section
from bitcliff.report.explain.corruptions import corruptions_section
from bitcliff.report.explain.indicators import indicators_section
from bitcliff.report.explain.inputs import inputs_section
from bitcliff.report.explain.layers import layers_section
from bitcliff.report.explain.remedies import remedies_section
from bitcliff.report.explain.section import Section

__all__ = ["Section", "sections"]

_SECTIONS: Mapping[str, Callable[[Record, Any], Section]] = {
    "layers": layers_section,
    "activations": activations_section,
    "inputs": inputs_section,
    "corruptions": corruptions_section,
    "indicators": indicators_section,
    "remedies": remedies_section,
}
"""By the answer's field in `Explanation`, in the order of the report."""


def sections(record: Record) -> list[Section]:
    """What was explained, in the order of the questions; nothing where `explain` has not run."""
    answers = ((make, getattr(record.explanation, name, None)) for name, make in _SECTIONS.items())
    return [make(record, answer) for make, answer in answers if answer is not None]
