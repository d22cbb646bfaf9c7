"""The words that differ, against examples by hand."""

import pytest

from bitcliff.report.differing import differing


@pytest.mark.parametrize(
    ("before", "now", "marked"),
    [
        ("one two three", "one two three", ("", "")),
        ("one two three", "one too three", ("two", "too")),
        ("one three", "one two three", ("", "two")),
        ("one two three", "three", ("one two", "")),
        ("a b", "", ("a b", "")),
    ],
)
def test_what_one_has_and_the_other_has_not(before: str, now: str, marked: tuple[str, str]) -> None:
    found = differing(before, now)
    for pieces, whole, odd in zip(found, (before, now), marked, strict=True):
        assert " ".join(text for text, _ in pieces) == whole
        assert " ".join(text for text, differs in pieces if differs) == odd
