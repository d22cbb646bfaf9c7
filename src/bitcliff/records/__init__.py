"""The versioned record: the only thing between measuring and reporting."""

from bitcliff.records.consistency import check_record
from bitcliff.records.provenance import package_versions
from bitcliff.records.schema import (
    SCHEMA_VERSION,
    ClassRate,
    Coverage,
    Distribution,
    Effort,
    ExampleRow,
    Flips,
    FloatResult,
    Interval,
    Outcome,
    PointRow,
    PolicyResult,
    Provenance,
    Record,
    Settings,
    SubjectInfo,
    Uncovered,
)
from bitcliff.records.store import (
    read_record,
    record_json,
    write_bytes_atomic,
    write_record,
    write_text_atomic,
)

__all__ = [
    "SCHEMA_VERSION",
    "ClassRate",
    "Coverage",
    "Distribution",
    "Effort",
    "ExampleRow",
    "Flips",
    "FloatResult",
    "Interval",
    "Outcome",
    "PointRow",
    "PolicyResult",
    "Provenance",
    "Record",
    "Settings",
    "SubjectInfo",
    "Uncovered",
    "check_record",
    "package_versions",
    "read_record",
    "record_json",
    "write_bytes_atomic",
    "write_record",
    "write_text_atomic",
]
