"""Numbers and names as the report says them."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitcliff.record.conditions import Kind
from bitcliff.report import formatting
from bitcliff.stats import rate
from tests.report.example_record import Variant, example_record


@given(st.text(st.characters(), max_size=500))
def test_clean_text_is_short_printable_and_fit_for_xml(text: str) -> None:
    shown = formatting.clean(text)
    assert len(shown) <= 160
    assert all(character.isprintable() or character.isspace() for character in shown)
    shown.encode("utf-8")
    assert not any(ord(character) < 32 or ord(character) == 127 for character in shown)


@pytest.mark.parametrize("text", ["plain", "Ünïcødé 猫 🐈", "<b>&", "a/b c.jpg", "x_1@2 (3)"])
def test_clean_leaves_honest_names_alone(text: str) -> None:
    assert formatting.clean(text) == text


def test_clean_stops_direction_changes_and_terminal_sequences() -> None:
    assert formatting.clean("\u202egnp.exe") == "\ufffdgnp.exe"
    assert formatting.clean("\x1b[31mred") == "\ufffd[31mred"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.0, "0.0"), (-0.04, "0.0"), (0.04, "0.0"), (-50.0, "−50.0"), (5.25, "+5.2")],
)
def test_signed(value: float | None, text: str) -> None:
    assert formatting.signed(value) == text
    assert formatting.decimal(value) == text.removeprefix("+")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (1.0, "1.000"),
        (0.0489, "0.049"),
        (0.00099, "<\u00a00.001"),
        (0.0, "<\u00a00.001"),
    ],
)
def test_p(value: float | None, text: str) -> None:
    assert formatting.p_text(value) == text


@pytest.mark.parametrize(
    ("bits", "text"), [(None, "–"), (7.0, "7"), (5.5, "5.5"), (5.51, "5.51"), (10.0, "10")]
)
def test_mean(bits: float | None, text: str) -> None:
    assert formatting.mean_text(bits) == text


@pytest.mark.parametrize(
    ("macs", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.0\u00a0k"),
        (12_400_000, "12.4\u00a0M"),
        (3 * 10**9, "3.0\u00a0G"),
    ],
)
def test_macs(macs: int, text: str) -> None:
    assert formatting.macs_text(macs) == text


def test_rates() -> None:
    assert formatting.rate_text(rate(18, 20)) == "90.0\u00a0% (18/20)"
    assert formatting.rate_interval(rate(18, 20)) == "68.3 to 98.8\u00a0%"
    assert formatting.rate_text(rate(0, 0)) == formatting.rate_text(None) == "–"
    assert formatting.rate_interval(rate(0, 0)) == ""


def test_classes_by_name_and_number() -> None:
    subject = example_record().subject
    assert formatting.class_name(subject, 243) == "bull mastiff (243)"
    assert formatting.class_name(subject, None) == "none (NaN or infinity)"
    nameless = subject.model_copy(update={"class_names": None})
    assert formatting.class_name(nameless, 243) == "class 243"
    digits = subject.model_copy(update={"class_names": ["0", "1", "3"]})
    assert [formatting.class_name(digits, n) for n in (1, 2)] == ["class 1", "3 (2)"]


def test_pictures_only_where_there_are_any() -> None:
    assert formatting.noun(example_record(), 1) == "image"
    assert formatting.noun(example_record(Variant(cliff=False, n=4))) == "examples"


def test_every_kind_has_its_family() -> None:
    kinds = [family.kind for family in formatting.FAMILIES]
    assert sorted(kinds) == sorted(get_args(Kind))
    record = example_record()
    ordered = sorted(record.policies, key=formatting.family_order)
    assert (ordered[0].kind, ordered[-1].kind) == ("weights-only", "best")
    for policy in record.policies:
        assert formatting.family_of(policy).kind == policy.kind
