"""Damage to a stored answer, one value at a time: what must be noticed when it is read."""

import copy
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bitcliff.errors import InputError
from bitcliff.record import AnswerKind, Record, read_record, record_json
from bitcliff.record.arrays import pack, unpack
from bitcliff.record.store import check_figures, valid

Way = tuple[str | int, ...]


def check_round_trip(record: Record, kinds: Mapping[str, AnswerKind], folder: Path) -> None:
    """Written and read again, the record is the same to the letter."""
    text = record_json(record)
    path = folder / "record.json"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    again = read_record(path, kinds)
    assert again.answers.keys() == record.answers.keys()
    assert record_json(again) == text


def check_figures_are_guarded(
    record: Record, key: str, kinds: Mapping[str, AnswerKind], folder: Path
) -> None:
    """No leaf of the answer's figures, and no length of a list, can be changed unnoticed."""
    fields = json.loads(record_json(record))
    right = record.answers[key].figures.model_dump(by_alias=True)
    damages = 0
    for way, value in leaves(fields["figures"][key]):
        damages += 1
        wrong = with_value(fields["figures"][key], way, another(value))
        with pytest.raises(InputError, match="figures"):
            check_figures(wrong, right, "a record")
    assert damages
    # The reader of files does the same.
    (folder / "record.json").write_text(
        json.dumps({**fields, "figures": {**fields["figures"], key: wrong}})
    )
    with pytest.raises(InputError, match="inconsistent record: figures"):
        read_record(folder, kinds)


def check_observations_are_guarded(record: Record, key: str, kind: AnswerKind) -> None:
    """Whatever is changed in what was observed is refused, or leaves every figure as it was; and
    nothing but `InputError` is raised, however hostile the change."""
    observed = json.loads(record_json(record))["answers"][key]
    right = record.answers[key].figures.model_dump(by_alias=True)
    refused = 0
    for way, value in leaves(observed):
        for wrong in (another(value), *hostile(value)):
            try:
                _read(record, kind, with_value(observed, way, wrong), right)
            except InputError:
                refused += 1
    assert refused
    _read(record, kind, observed, right)


def _read(record: Record, kind: AnswerKind, observed: object, figures: object) -> None:
    """As `read_record` reads one answer."""
    part = valid(kind.observed, observed, "a record")
    for problem in kind.problems(record, part):
        raise InputError(problem)
    check_figures(figures, kind.figures(record, part).model_dump(by_alias=True), "a record")


def leaves(value: object, way: Way = ()) -> Iterator[tuple[Way, object]]:
    """Every leaf, a packed array being one, and every list, with the way to it."""
    inner: list[tuple[str | int, object]] = []
    if isinstance(value, dict) and not is_packed(value):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
        yield way, value
    else:
        yield way, value
    for key, one in inner:
        yield from leaves(one, (*way, key))


def with_value(value: Any, way: Way, wrong: object) -> Any:
    """The same with another value at one place; what is given stays as it is."""
    if not way:
        return wrong
    changed = copy.copy(value)
    changed[way[0]] = with_value(value[way[0]], way[1:], wrong)
    return changed


def another(value: object) -> object:
    """Something else of the same kind."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return f"{value}?"
        case list():
            return value[:-1] if value else [0]
        case dict():
            array = unpack(value).copy()
            array.flat[:1] = array.flat[:1] + 1
            return pack(array)
        case _:
            return 0


def hostile(value: object) -> list[object]:
    found: list[object] = [None, True, -1, 0, 10**23, 10**400, 1e300, "", "x", [], {}, [None]]
    if isinstance(value, list):
        found += [value * 2, value[::-1]]
    if isinstance(value, dict):
        array = unpack(value)
        found += [pack(one) for one in (array[:-1], array * 0 - 1, array * 0 + 99)]
    return found


def is_packed(value: object) -> bool:
    return isinstance(value, dict) and value.keys() == {"dtype", "shape", "zlib"}
