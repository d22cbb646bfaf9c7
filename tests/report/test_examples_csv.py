"""examples.csv: the record's outcomes, and nothing a spreadsheet would run."""

import csv
import io

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitcliff.record import Record
from bitcliff.report.examples_csv import COLUMNS, outcome_columns, render_csv
from tests.a_record import renamed
from tests.report.example_record import HOSTILE, Variant, example_record

FORMULA = set("=+-@\t\r\n＝＋－＠")


def parse(record: Record) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(render_csv(record), newline="")))


def test_accuracy_can_be_counted_from_it() -> None:
    record = example_record()
    rows = parse(record)
    assert tuple(rows[0]) == COLUMNS
    for policy in record.policies:
        mine = [row for row in rows if row["policy"] == policy.name]
        assert policy.accuracy is not None
        assert sum(row["correct"] == "1" for row in mine) == policy.accuracy.k
        assert sum(row["flipped"] == "1" for row in mine) == policy.flips.all.k
        assert len(mine) == policy.accuracy.n


def test_bits_and_draws() -> None:
    record = example_record()
    row = next(row for row in parse(record) if row["policy"] == "random-7")
    outcome = record.examples[0].outcomes["random-7"]
    assert [int(bits) for bits in row["bits"].split()] == outcome.bits
    assert [int(draw) for draw in row["draws"].split()] == outcome.draws
    assert sum(int(bits) for bits in row["bits"].split()) == 7 * 49


def test_flips_that_repeat_can_be_counted_from_it() -> None:
    record = example_record()
    rows = parse(record)
    for policy in record.policies:
        mine = [row for row in rows if row["policy"] == policy.name]
        stays = [row["flip_repeats"] for row in mine if row["flipped"] == "1"]
        if policy.repeated is None:
            assert {row["repeats"] for row in mine} == {""}
            assert set(stays) <= {""}
        else:
            assert (stays.count("1"), len(stays)) == (policy.repeated.k, policy.repeated.n)
            assert {len(row["repeats"].split()) for row in mine} == {3}
        assert {row["flip_repeats"] for row in mine if row["flipped"] == "0"} <= {""}


def test_without_repeats_their_cells_are_empty() -> None:
    for row in parse(example_record(Variant(repeats=0))):
        assert (row["repeats"], row["flip_repeats"]) == ("", "")


def test_numeric_failures_are_empty_not_wrong() -> None:
    failed = [row for row in parse(example_record(Variant(failures=True))) if row["failed_at"]]
    assert len(failed) == 3
    for row in failed:
        assert (row["prediction"], row["flipped"], row["correct"], row["margin"]) == ("",) * 4


def test_without_labels() -> None:
    row = parse(example_record(Variant(labelled=False)))[0]
    assert (row["label"], row["label_name"], row["correct"]) == ("", "", "")
    assert row["flipped"] in ("0", "1")


def test_hostile_names_are_no_formulas() -> None:
    rows = parse(example_record(Variant(hostile=True)))
    texts = ("id", "label_name", "float_prediction_name", "policy", "prediction_name", "failed_at")
    assert {row["id"] for row in rows} >= {"'=cmd|'/C calc'!A0", "'+1+1", "'@SUM(A1)", "'-2+3"}
    for row in rows:
        for column in texts:
            assert row[column][:1] not in FORMULA, row[column]
    assert None not in rows[0]  # no cell too many: quotes and line breaks stay inside theirs
    assert len({row["id"] for row in rows}) == len(HOSTILE)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30))
def test_any_name_comes_back_guarded_or_as_it_was(name: str) -> None:
    record = example_record(Variant(n=1, uniform=False, adversary=False, budgets=(7,)))
    found = parse(renamed(record, record.table.ids[0], name))[0]["id"]
    assert found in (name, "'" + name)
    assert found[:1] not in FORMULA
    assert found.lstrip()[:1] not in FORMULA or found.startswith("'")


@pytest.mark.parametrize("value", ["  =1+1", "\u00a0=1+1", "\n=1", "\x0b=1"])
def test_leading_blanks_do_not_help(value: str) -> None:
    record = example_record(Variant(n=1, uniform=False, adversary=False, budgets=(7,)))
    found = parse(renamed(record, record.table.ids[0], value))[0]["id"]
    assert found == "'" + value


def test_pandas_and_arrow_take_the_columns() -> None:
    record = example_record(Variant(failures=True))
    frame = pd.DataFrame(outcome_columns(record))
    right = frame.dropna(subset="correct").groupby("policy")["correct"].sum()
    for policy in record.policies:
        assert policy.accuracy is not None
        assert right[policy.name] == policy.accuracy.k
    table = pa.table(outcome_columns(record))
    assert table.column_names == list(COLUMNS)
    assert table["bits"].to_pylist() == frame["bits"].to_list()
