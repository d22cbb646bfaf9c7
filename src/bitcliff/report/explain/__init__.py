"""The sections that `bitcliff explain` adds to the report, one file each."""

from bitcliff.records import Record
from bitcliff.report.explain.layers import layers_section
from bitcliff.report.explain.section import Section

__all__ = ["Section", "sections"]


def sections(record: Record) -> list[Section]:
    """What was explained, in the order of the questions; nothing where `explain` has not run."""
    told = record.explanation
    if told is None:
        return []
    found = []
    if told.layers is not None:
        found.append(layers_section(record, told.layers))
    return found
