"""The versioned record: the only thing between measuring and reporting."""

from bitcliff.record.compared import Pair, pairs_of
from bitcliff.record.conditions import Condition
from bitcliff.record.figures import (
    ClassRate,
    Coverage,
    Distribution,
    Figures,
    Flips,
    FloatResult,
    PolicyResult,
)
from bitcliff.record.files import (
    append_json_line,
    check_writable,
    is_leftover,
    make_folder,
    read_json_lines,
    write_bytes_atomic,
    write_text_atomic,
)
from bitcliff.record.outcomes import (
    Effort,
    ExampleRow,
    Measured,
    Outcome,
    Outcomes,
    Table,
)
from bitcliff.record.provenance import package_versions
from bitcliff.record.record import AnswerKind, Record, record_of, with_answer
from bitcliff.record.schema import (
    SCHEMA_VERSION,
    Explained,
    Folding,
    Observed,
    PointRow,
    Provenance,
    SubjectInfo,
    Uncovered,
)
from bitcliff.record.store import read_record, record_json, write_record

__all__ = [
    "SCHEMA_VERSION",
    "AnswerKind",
    "ClassRate",
    "Condition",
    "Coverage",
    "Distribution",
    "Effort",
    "ExampleRow",
    "Explained",
    "Figures",
    "Flips",
    "FloatResult",
    "Folding",
    "Measured",
    "Observed",
    "Outcome",
    "Outcomes",
    "Pair",
    "PointRow",
    "PolicyResult",
    "Provenance",
    "Record",
    "SubjectInfo",
    "Table",
    "Uncovered",
    "append_json_line",
    "check_writable",
    "is_leftover",
    "make_folder",
    "package_versions",
    "pairs_of",
    "read_json_lines",
    "read_record",
    "record_json",
    "record_of",
    "with_answer",
    "write_bytes_atomic",
    "write_record",
    "write_text_atomic",
]
