"""What the page says, in words."""

import pytest

from bitcliff.record import Record
from bitcliff.report import view
from bitcliff.report.finding import find
from bitcliff.verdict import judge
from tests.a_record import with_conditions, with_subject
from tests.report.example_record import Variant, example_record


def test_cards_of_the_cliff() -> None:
    record = example_record()
    cards = view.cards(record, find(record))
    assert [(card.title, card.big, card.of) for card in cards] == [
        ("Float: nothing rounded", "18", "of 20 right"),
        ("7 bits a layer, allocated evenly", "18", "of 20 right"),
        ("The same, allocated at random", "17", "of 20 right"),
        ("The same, allocated badly", "8", "of 20 right"),
    ]
    assert cards[2].note == "median of 20 draws, 15 to 17"


def test_all_cards_speak_of_the_same_half_where_only_a_fixed_placement_was_searched() -> None:
    record = with_conditions(
        example_record(), lambda one: one.threat != "allocation" or one.kind == "worst-static"
    )
    half = [row for row in record.examples if "worst-static-7" in row.outcomes]
    finding = find(record)
    cards = view.cards(record, finding)
    assert [card.of for card in cards] == ["of 10 right"] * 4
    name = f"random-{finding.mean:g}"
    right = [row for row in half if row.outcomes[name].prediction == row.label]
    assert int(cards[2].big) == len(right)
    draws = [
        sum((row.outcomes[name].draws or [])[draw] == row.label for row in half)
        for draw in range(20)
    ]
    assert cards[2].note == f"median of 20 draws, {min(draws)} to {max(draws)}"


def test_cards_name_their_bits_where_they_are_not_the_same() -> None:
    record = example_record(Variant(budgets=(5.5,)))
    assert [card.title for card in view.cards(record, find(record))] == [
        "Float: nothing rounded",
        "5 bits a layer, allocated evenly",
        "5.5 bits a layer, at random",
        "5.5 bits a layer, allocated badly",
    ]


def test_nothing_is_coloured_as_lost_where_nothing_is() -> None:
    record = example_record(Variant(cliff=False))
    assert all(card.kind != "worst" for card in view.cards(record, find(record)))


def test_the_alarm_is_only_raised_where_there_is_a_gap() -> None:
    cliff, flat = example_record(), example_record(Variant(cliff=False))
    assert "does not say whether" in " ".join(view.meaning(cliff, find(cliff)))
    assert "does not say whether" not in " ".join(view.meaning(flat, find(flat)))


def test_subsampling_is_said() -> None:
    record = with_subject(example_record(), n_available=50_000)
    assert view.facts(record).startswith("20 of 50,000 images, drawn by seed")
    assert "without labels" in view.facts(example_record(Variant(labelled=False)))


@pytest.mark.parametrize(
    ("started", "finished", "text"),
    [
        (
            "2025-01-01T12:00:00+00:00",
            "2025-01-01T12:03:20+00:00",
            "1 January 2025, 12:00 UTC · took 3 min 20 s",
        ),
        ("2025-01-01T12:00:00", "2025-01-01T12:00:09", "1 January 2025, 12:00 · took 9 s"),
        ("yesterday", "2025-01-01T12:00:09", "yesterday"),
        ("2025-01-01T12:00:00", "2025-01-01T12:00:09+00:00", "2025-01-01T12:00:00"),
    ],
)
def test_stamps(started: str, finished: str, text: str) -> None:
    source = example_record().provenance.model_copy(
        update={"started": started, "finished": finished}
    )
    assert view.when(source) == text


def test_points_show_what_the_worst_case_leaves_them() -> None:
    record = example_record()
    starved = view.mean_bits_at(record, find(record))
    stem, *quantized = record.subject.points
    assert [*starved] == [point.name for point in quantized]
    assert stem.name not in starved
    given = [row.outcomes["worst-7"].bits for row in record.examples]
    first = [bits[0] for bits in given if bits is not None]
    assert starved[quantized[0].name] == pytest.approx(sum(first) / 20)


def test_effort_is_stated_for_every_search() -> None:
    record = example_record()
    names = [policy.name for policy in view.searched(record)]
    assert len(names) == 12
    assert all(name.startswith(("worst", "best")) for name in names)


def test_settings_tell_of_formats_and_of_a_simulation_only_where_there_was_one() -> None:
    record = example_record()
    before = dict(view.settings_lines(record))
    assert "Numerics" not in before
    own = record.settings.changed(numerics=("mxfp4-rceil",))
    formula = own.format_of("mxfp4-rceil").formula
    found = {}
    for name, settings in {"both": own, "formats": own.changed(budgets=())}.items():
        changed = record.observed.model_copy(update={"settings": settings})
        found[name] = dict(view.settings_lines(Record(changed, record.figures)))
        assert found[name].pop("Numerics") == f"mxfp4-rceil: {formula}"
    assert found["both"] == before
    # Neither widths nor weights of a simulation, draws nor search.
    kept = ("BatchNorm", "Places", "Included, excluded", "Kept in float by the plan")
    ends = ("Margin measured against", "Batch size", "Preprocessing")
    assert [*found["formats"]] == [*kept, *ends]


def test_the_sentence_is_split_from_its_status() -> None:
    verdict = judge(example_record(), 2.0)
    opening, rest = view.split_sentence(verdict)
    assert opening == "Fails"
    assert rest.startswith("With the bits placed as badly")


def test_how_labels_were_read_stands_among_the_settings() -> None:
    record = with_subject(example_record(), labelling="numbered in natural order: a=0")
    lines = dict(view.settings_lines(record))
    assert lines["Labels"] == "numbered in natural order: a=0"
    assert "Labels" not in dict(view.settings_lines(example_record()))
