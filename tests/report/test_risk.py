"""Examples at risk, and thumbnails that may be shown."""

import pytest

from bitcliff.report.risk import SHOWN, at_risk_cards
from bitcliff.report.thumbnails import safe_thumbnail
from tests.report.example_record import BAD_THUMBNAILS, Variant, example_record


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
