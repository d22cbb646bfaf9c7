import pytest

from bitcliff.adapters.user_code import described, find_object
from bitcliff.errors import InputError


def test_attributes_of_attributes_are_found() -> None:
    assert find_object("collections:OrderedDict.fromkeys", "call:x")("ab") == {"a": None, "b": None}


@pytest.mark.parametrize("name", ["module", ":build", "module:"])
def test_malformed_names_say_how_it_is_done(name: str) -> None:
    with pytest.raises(InputError, match=f"^call:{name}: must be call:package.module:name$"):
        find_object(name, f"call:{name}")


def test_an_error_is_described_with_its_line_only_where_the_users_code_ran() -> None:
    assert described(ValueError("a\nb")) == "ValueError: a b"
    with pytest.raises(ValueError, match="Expecting value") as caught:
        find_object("json:loads", "call:x")("[1, nonsense]")
    assert described(caught.value).startswith("JSONDecodeError: ")
    assert "(decoder.py, line " in described(caught.value)
