"""Error rates of texts, against counts by hand."""

import pytest

from bitcliff.stats.error_rates import error_rates, plain, words_right


@pytest.mark.parametrize(
    ("wanted", "said", "words", "characters"),
    [
        # "ill disposed": one of five words is another, and the rest stays.
        ("He was not ill-disposed.", "he was not old disposed", 1 / 5, 2 / 23),
        ("five five", "Five, five!", 0, 0),
        ("go on", "go on and on", 2 / 2, 7 / 5),
        ("seven of clubs", "", 1, 1),
    ],
)
def test_they_are_edits_over_what_is_wanted(
    wanted: str, said: str, words: float, characters: float
) -> None:
    found = error_rates([wanted], [said])
    assert found is not None
    assert found.words == pytest.approx(words)
    assert found.characters == pytest.approx(characters)
    assert found.n == len(plain(wanted).split())
    assert words_right(wanted, said) == pytest.approx(max(0, 1 - words))


def test_of_several_texts_all_words_count_alike() -> None:
    found = error_rates(["a b c d", "e", "..."], ["a b c d", "f", "g"])
    assert found is not None
    assert (found.words, found.n) == (1 / 5, 5)


def test_where_no_word_is_wanted_none_is_right() -> None:
    assert error_rates(["...", ""], ["a", "b"]) is None
    assert (words_right("", "!"), words_right("?", "well")) == (1, 0)
