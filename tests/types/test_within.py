"""What `--within` takes."""

import pytest

from bitcliff.errors import InputError
from bitcliff.types.settings import ProvokeSettings
from bitcliff.types.within import read_within


def test_a_set_is_its_kind_and_its_size() -> None:
    found = read_within("linf:8/255")
    assert (found.kind, found.name) == ("linf", "linf:8/255")
    assert found.size == pytest.approx(8 / 255)
    assert "8/255" in found.words
    assert read_within("text:1").words == "at most 1 word swapped for a like one"
    assert found.data == ""
    heard = read_within("audio:2.5@16000")
    assert (heard.kind, heard.size, heard.rate) == ("audio", 2.5, 16_000)
    assert read_within("audio:2").rate is None
    other = read_within("data:C:/night:2/")
    assert (other.kind, other.data) == ("data", "C:/night:2/")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("linv:8/255", "no such set; did you mean linf"),
        ("linf", "'' is no number"),
        ("data:", "names no data"),
        ("linf:much", "'much' is no number"),
        ("l2:1/0", "'1/0' is no number"),
        ("l2:1e999999999", "is no number"),
        ("patch:1e400", "is no number"),
        ("l2:nan", "is no number"),
        ("linf:0", "the set is empty"),
        ("l2:-1", "the set is empty"),
        ("linf:255", "must be 1 or less"),
        ("corruption:6", "must be 5 or less"),
        ("audio:6", "must be 5 or less"),
        ("audio:3@", "'' is no sampling rate"),
        ("audio:3@16k", "'16k' is no sampling rate"),
        ("audio:3@0", "'0' is no sampling rate"),
        ("patch:2.5", "must be a whole number"),
    ],
)
def test_what_is_none_is_refused_in_one_line(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as told:
        ProvokeSettings(within=(text,))
    assert "\n" not in str(told.value)


def test_a_set_twice_and_a_lead_of_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="the same set twice"):
        ProvokeSettings(within=("l2:0.5", "l2:1/2"))
    assert ProvokeSettings(within=("data:a", "data:b")).within == ("data:a", "data:b")
    with pytest.raises(InputError, match="--delta must be above 0, not 0"):
        ProvokeSettings(delta=0.0)
