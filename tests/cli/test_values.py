import click
import pytest

from bitcliff.cli.values import Numbers, Widths


@pytest.mark.parametrize(
    ("text", "widths"),
    [
        ("3:10", tuple(range(3, 11))),
        ("4", (4,)),
        ("2,4,8", (2, 4, 8)),
        ("5:5", (5,)),
        (" 3 : 4 ", (3, 4)),
    ],
)
def test_widths_are_a_range_or_a_list(text: str, widths: tuple[int, ...]) -> None:
    assert Widths().convert(text, None, None) == widths


@pytest.mark.parametrize(
    "text", ["10:3", "3:", ":", "3:4:5", "a", "3.5", "", "3,,4", "2:9999999999999", "3-10"]
)
def test_other_widths_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(click.BadParameter, match="such as"):
        Widths().convert(text, None, None)


@pytest.mark.parametrize(("text", "numbers"), [("4", (4.0,)), ("4,5.5,7", (4.0, 5.5, 7.0))])
def test_numbers_are_a_list(text: str, numbers: tuple[float, ...]) -> None:
    assert Numbers().convert(text, None, None) == numbers


@pytest.mark.parametrize("text", ["", "4,", "a", "nan", "4,inf", "4;5"])
def test_other_numbers_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(click.BadParameter, match=r"such as 4,5\.5,7"):
        Numbers().convert(text, None, None)


def test_values_that_are_read_already_pass() -> None:
    assert Widths().convert((3, 4), None, None) == (3, 4)
    assert Numbers().convert((3.5,), None, None) == (3.5,)
