"""A run's report, with the sections that answered questions add to it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bitcliff.questions.activations.page import activations_section
from bitcliff.questions.activations.record import Activations
from bitcliff.questions.corruptions.page import corruptions_section
from bitcliff.questions.difference.page import difference_section
from bitcliff.questions.distributions.page import distributions_section
from bitcliff.questions.indicators.page import indicators_section
from bitcliff.questions.inputs.page import inputs_section
from bitcliff.questions.layers.page import layers_section
from bitcliff.questions.layers.statistics import inflection
from bitcliff.questions.least_widths.page import least_widths_section
from bitcliff.questions.lengths.page import lengths_section
from bitcliff.questions.mitigations.page import mitigations_section
from bitcliff.questions.runtimes.page import runtimes_section
from bitcliff.questions.variants.page import variants_section
from bitcliff.questions.verification.page import verification_section
from bitcliff.record import Record
from bitcliff.report.html import Sections
from bitcliff.report.section import Section
from bitcliff.report.write import write_report
from bitcliff.verdict import Verdict


def _activations(record: Record, found: Activations) -> Section:
    """With the points at which the layer analysis, where there is one, sees the network break."""
    return activations_section(record, found, inflection(record, found.policies[0].policy))


_EXPLAINED: Mapping[str, Callable[[Record, Any], Section | None]] = {
    "layers": layers_section,
    "activations": _activations,
    "inputs": inputs_section,
    "distributions": distributions_section,
    "corruptions": corruptions_section,
    "lengths": lengths_section,
    "indicators": indicators_section,
    "mitigations": mitigations_section,
    "variants": variants_section,
    "least_widths": least_widths_section,
}
"""Of `bitcliff explain`, the last of `assess`: by the answer's key, in the order of the report."""


def write_run_report(record: Record, verdict: Verdict, run: Path) -> None:
    """Write a run's report.html, junit.xml and examples.csv into its folder.

    Raises:
        InputError: a file or the folder cannot be written.
    """
    write_report(record, verdict, run, sections_of(record))


def sections_of(record: Record) -> Sections:
    """What each answered question adds to the page."""
    return Sections(
        deployed=_sections(
            record, {"difference": difference_section, "runtimes": runtimes_section}
        ),
        explained=_sections(record, _EXPLAINED),
        verification=_sections(record, {"verification": verification_section}),
    )


def _sections(
    record: Record, makers: Mapping[str, Callable[[Record, Any], Section | None]]
) -> list[Section]:
    answers = record.answers
    made = [make(record, answers[key].figures) for key, make in makers.items() if key in answers]
    return [section for section in made if section is not None]
