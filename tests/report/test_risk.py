"""Examples at risk, and thumbnails that may be shown."""

import pytest

from bitcliff.record import Condition, ExampleRow, Outcome
from bitcliff.report import render_html
from bitcliff.report.formatting import class_name
from bitcliff.report.html import Sections
from bitcliff.report.risk import SHOWN, at_risk_cards, by_format
from bitcliff.report.thumbnails import safe_thumbnail
from bitcliff.verdict import judge
from tests.a_record import record_of_rows
from tests.report.example_record import BAD_THUMBNAILS, Variant, example_record, transcribed


def test_worst_first_with_the_outcome_that_broke_it() -> None:
    record = example_record()
    cards = at_risk_cards(record)
    assert [card.id for card in cards] == record.at_risk[:SHOWN]
    margins = [float(card.margin.replace("−", "-")) for card in cards]
    assert margins == sorted(margins)
    assert all(margin < 0 for margin in margins)
    rows = {row.id: row for row in record.examples}
    for card in cards:
        outcome = rows[card.id].outcomes[card.policy]
        assert card.policy.startswith("worst")
        assert outcome.prediction != rows[card.id].float_prediction
        ((name, differs),) = card.prediction
        assert name.endswith(f"({outcome.prediction})")
        assert not differs


def test_a_flip_that_does_not_repeat_is_marked() -> None:
    record = example_record(Variant(fragile=2))
    rows = {row.id: row for row in record.examples}
    marked = 0
    for card in at_risk_cards(record):
        outcome = rows[card.id].outcomes[card.policy]
        assert outcome.repeats is not None
        back = outcome.repeats.count(rows[card.id].float_prediction)
        assert card.wavers == (f"flip stays in {3 - back} of 3 repeats" if back else "")
        marked += bool(back)
    assert marked == 2


@pytest.mark.parametrize("variant", [Variant(fragile=0), Variant(repeats=0)])
def test_no_mark_where_all_repeat_or_none_was_made(variant: Variant) -> None:
    cards = at_risk_cards(example_record(variant))
    assert cards
    assert {card.wavers for card in cards} == {""}


def test_which_format_changes_which_example() -> None:
    a, b, batch = (
        Condition(kind="runtime", description="", runtime=name, batch_size=size)
        for name, size in (("a", 1), ("b", 1), ("b", 8))
    )
    answers = {"alike": (0, 0, 0), "in b": (0, 1, 1), "failed": (None, 0, 0), "in a": (2, 0, 0)}
    rows = [
        ExampleRow(name, 0, 0, 1.0, {
            one.name: Outcome(found, None if found is None else 1.0 if found == 0 else -1.0 - found)
            for one, found in zip((a, b, batch), three, strict=True)
        })
        for name, three in answers.items()
    ]  # fmt: skip
    record = record_of_rows(example_record().observed, rows, [a, b, batch])
    found = by_format(record)
    assert found is not None
    assert found.names == ["a", "b", "b-batch"]
    float_, one, two = (class_name(record.subject, index) for index in range(3))
    assert found.rows == [
        ["in a", float_, two, "–", "–"],
        ["in b", float_, "–", one, one],
    ]
    assert found.total == 2
    told = by_format(transcribed(record))
    assert told is not None
    assert told.rows[0][1:3] == [
        "in a runs away from the old farm",
        "in a rounds a way from the old farm",
    ]
    page = render_html(record, judge(record, 2.0), Sections())
    assert "Which format changes which example: 2 in all" in page
    assert by_format(record_of_rows(example_record().observed, rows, [b])) is None
    assert by_format(example_record()) is None


def test_at_most_twelve() -> None:
    record = example_record(Variant(n=40))
    assert len(record.at_risk) > SHOWN
    assert len(at_risk_cards(record)) == SHOWN


def test_none_at_risk() -> None:
    assert at_risk_cards(example_record(Variant(cliff=False))) == []


@pytest.mark.parametrize("address", [*BAD_THUMBNAILS, None, "", "data:image/png;base64,", "x" * 9])
def test_only_raster_pictures_in_the_page_get_through(address: str | None) -> None:
    assert safe_thumbnail(address) is None


def test_honest_thumbnails_get_through() -> None:
    assert safe_thumbnail("data:image/png;base64,iVBORw0KGgo=") is not None
    assert safe_thumbnail("data:image/jpeg;base64," + "A" * 300_000) is None
