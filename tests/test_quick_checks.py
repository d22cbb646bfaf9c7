"""Wrong types and shapes are refused as jaxtyping refuses them, in closures too."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

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
