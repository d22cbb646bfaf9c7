"""The sections that answered questions add to the report."""

from collections.abc import Callable, Mapping
from typing import Any

from bitcliff.questions.activations.page import activations_section
from bitcliff.questions.corruptions.page import corruptions_section
from bitcliff.questions.indicators.page import indicators_section
from bitcliff.questions.inputs.page import inputs_section
from bitcliff.questions.layers.page import layers_section
from bitcliff.questions.mitigations.page import mitigations_section
from bitcliff.questions.runtimes.page import runtimes_section
from bitcliff.questions.verification.page import verification_section
from bitcliff.records import Record
from bitcliff.report.section import Section

_EXPLAINED: Mapping[str, Callable[[Record, Any], Section]] = {
    "layers": layers_section,
    "activations": activations_section,
    "inputs": inputs_section,
    "corruptions": corruptions_section,
    "indicators": indicators_section,
    "mitigations": mitigations_section,
}
"""Of `bitcliff explain`, by the answer's key, in the order of the report."""


def explained(record: Record) -> list[Section]:
    """What `explain` has answered, in the order of the questions."""
    return _sections(record, _EXPLAINED)


def measured(record: Record) -> list[Section]:
    """What runtimes made of the network, and what `verify` found."""
    return _sections(record, {"runtimes": runtimes_section, "verification": verification_section})


def _sections(
    record: Record, makers: Mapping[str, Callable[[Record, Any], Section]]
) -> list[Section]:
    answers = record.answers
    return [make(record, answers[key].figures) for key, make in makers.items() if key in answers]
