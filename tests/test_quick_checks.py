"""Wrong types and shapes are refused as jaxtyping refuses them, in closures too."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import jaxtyping
import pytest
import torch
from beartype import beartype
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import Float, TypeCheckError
from torch import Tensor

from tests.quick_checks import jaxtyped

checked: Callable[[Any], Any] = jaxtyped(typechecker=beartype)
REFUSED = (BeartypeCallHintViolation, TypeCheckError)


@checked
def repeated(count: int, text: str = "x") -> str:
    return text * count if count else 0  # type: ignore[return-value]  # wrong on purpose


@checked
def product(a: Float[Tensor, "n m"], b: Float[Tensor, " m"]) -> Float[Tensor, " n"]:
    return a @ b if a.min() >= 0 else a


@checked
def named(
    parts: dict[str, Float[Tensor, " n"]], names: list[str], how: Literal["sum", "mean"]
) -> Float[Tensor, ""]:
    return getattr(torch, how)(parts["a"])  # type: ignore[no-any-return]


@checked
@dataclass(frozen=True)
class Point:
    x: int


@checked
def upto(count: int) -> Iterator[int]:
    yield from range(count)


def adder(more: int) -> Callable[..., int]:
    @checked
    def add(number: int, *, twice: bool = False) -> int:
        """Calls itself, and another of the same code."""
        found = number + more
        return adder(more)(found) if twice else found

    return add  # type: ignore[no-any-return]


def of_width(width: int) -> Callable[..., Tensor]:
    @checked
    def wide(a: Float[Tensor, "n m"], b: Float[Tensor, " m"]) -> Float[Tensor, " n"]:
        return (a @ b)[:width]

    return wide  # type: ignore[no-any-return]


def test_what_is_right_passes() -> None:
    assert repeated(2) == "xx"
    assert product(torch.ones(2, 3), torch.ones(3)).tolist() == [3, 3]
    assert Point(3).x == 3
    assert list(upto(2)) == [0, 1]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: repeated("a"),
        lambda: repeated(1, 2),
        lambda: repeated(0),
        lambda: product(torch.ones(2, 3), torch.ones(4)),
        lambda: product(-torch.ones(2, 3), torch.ones(3)),
        lambda: Point("a"),  # type: ignore[arg-type]
        lambda: list(upto("a")),
        lambda: adder(1)("a"),
        lambda: adder(1)(2, twice=3),
        lambda: of_width(2)(torch.ones(2, 3), torch.ones(4)),
        lambda: of_width(1)(torch.ones(2, 3), torch.ones(3)),
    ],
)
def test_what_is_wrong_is_refused(wrong: Callable[[], Any]) -> None:
    with pytest.raises(REFUSED):
        wrong()


def test_what_is_wrong_is_refused_after_what_was_right() -> None:
    """Of arguments that look alike the first alone is checked, but each other look is."""
    for _ in range(2):
        assert product(torch.ones(2, 3), torch.ones(3)).tolist() == [3, 3]
        for a, b in [
            (torch.ones(2, 3), torch.ones(4)),
            (torch.ones(2, 3).long(), torch.ones(3)),
            (-torch.ones(2, 3), torch.ones(3)),  # the result alone is wrong
        ]:
            with pytest.raises(REFUSED):
                product(a, b)
        assert named({"a": torch.ones(2)}, ["x"], "sum").tolist() == 2
        for more in (
            ({"a": torch.ones(2, 1)}, ["x"], "sum"),
            ({"a": torch.ones(2)}, [1], "sum"),
            ({"a": torch.ones(2)}, ["x"], "all"),
        ):
            with pytest.raises(REFUSED):
                named(*more)


def test_what_a_network_does_when_it_is_called_is_done_once() -> None:
    calls = list[int]()

    @checked
    def told(a: Float[Tensor, " n"], wide: bool) -> Float[Tensor, " m"]:
        calls.append(len(a))
        return a.repeat(2) if wide else a

    for n, wide in [(1, False), (1, False), (1, True), (1, True), (2, True)]:
        assert len(told(torch.ones(n), wide)) == (2 * n if wide else n)
    assert calls == [1, 1, 1, 1, 2]


def test_where_jaxtyping_is_told_not_to_nothing_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    assert repeated("a", 2) == "aa"
    assert Point("a").x == "a"  # type: ignore[arg-type, comparison-overlap]
    assert adder(1)(0.5) == 1.5


def test_each_closure_is_called_itself() -> None:
    one, ten = adder(1), adder(10)
    assert (one(0), ten(0), one(0, twice=True), ten(0, twice=True)) == (1, 10, 2, 20)
    with pytest.raises(REFUSED):
        one("a")
    assert (ten(0), one(0)) == (10, 1)
    assert one.__name__ == "add"
