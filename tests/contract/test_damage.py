"""One contract for every stored run: a damaged figure is refused, and damage to what was observed
is refused or leaves every figure and the verdict as they were."""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitcliff.errors import InputError
from bitcliff.questions.batchmates.page import render_batchmates
from bitcliff.questions.batchmates.record import BATCHMATES_NAME
from bitcliff.questions.batchmates.store import batchmates_json, read_batchmates
from bitcliff.questions.kinds import KINDS
from bitcliff.questions.sections import write_run_report
from bitcliff.records import read_record, record_json
from bitcliff.records.arrays import pack, unpack
from bitcliff.records.store import RECORD_NAME
from bitcliff.verdict import judge
from tests.contract.runs import RUNS
from tests.questions.damage import Way, another, hostile, is_packed, leaves, with_value

Json = dict[str, Any]
# The limit that a run is judged by is what the reader asks for, not an outcome.
LIMIT = 2.0


@dataclass(frozen=True)
class Stored:
    """A record's file, and the ways there are to read it.

    Attributes:
        told: what a reader goes by: the figures, and the verdict where there is one.
        draw: draws the page.
    """

    file: Path
    told: Callable[[], tuple[Any, ...]]
    draw: Callable[[], None]

    def told_of(self, fields: Json) -> tuple[Any, ...] | None:
        """What a reader of these fields goes by; None: they are refused, in one line."""
        self.file.write_text(json.dumps(fields))
        try:
            return self.told()
        except InputError as error:
            assert "\n" not in str(error)
            return None


def stored(out: Path) -> Stored:
    def told() -> tuple[Any, ...]:
        record = read_record(out, KINDS)
        return json.loads(record_json(record))["figures"], judge(record, LIMIT)

    def draw() -> None:
        record = read_record(out, KINDS)
        write_run_report(record, judge(record, LIMIT), out)

    def told_by_victims() -> tuple[Any, ...]:
        return (json.loads(batchmates_json(read_batchmates(out)))["figures"],)

    def draw_victims() -> None:
        assert render_batchmates(read_batchmates(out))

    if (out / BATCHMATES_NAME).exists():
        return Stored(out / BATCHMATES_NAME, told_by_victims, draw_victims)
    return Stored(out / RECORD_NAME, told, draw)


@pytest.fixture(scope="session", params=RUNS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of every kind, made once."""
    out = tmp_path_factory.mktemp("runs") / request.param
    RUNS[request.param](out)
    return out


@dataclass(frozen=True)
class Place:
    """A leaf or a list of a record; with `element`, that element of the packed array there."""

    way: Way
    value: Any
    element: int | None = None

    def others(self) -> list[object]:
        """What else could stand here, the likeliest first."""
        if self.element is None:
            return [another(self.value), *hostile(self.value)]
        array = unpack(self.value).copy()
        before = array.flat[self.element]
        array.flat[self.element] = before + 1 if np.isfinite(before) else 0
        return [pack(array)]


def places(fields: Json) -> Iterator[Place]:
    """All that can be damaged but the version, which says how the rest is read."""
    for way, value in leaves({key: fields[key] for key in fields if key != "schema_version"}):
        yield Place(way, value)
        if isinstance(value, dict):
            for element in range(unpack(value).size):
                yield Place(way, value, element)


def check_damages(record: Stored, fields: Json, tried: Sequence[Place], dice: random.Random) -> int:
    """Whatever is done at these places; then the page of all that was read, at once.

    Returns:
        How many damages were refused.
    """
    right, everything, refused = record.told_of(fields), fields, 0
    assert right is not None
    for place in tried:
        likely, *others = place.others()
        in_figures = place.way[0] == "figures"
        # What is no likely value of a figure may be the one that it has.
        for wrong in [likely] if in_figures or not others else [likely, dice.choice(others)]:
            found = record.told_of(with_value(fields, place.way, wrong))
            assert found is None if in_figures else found in (None, right), (place, wrong)
            refused += found is None
            if found is not None and not isinstance(place.value, list):
                together = with_value(everything, place.way, wrong)
                everything = together if record.told_of(together) else everything
    assert record.told_of(everything) == right
    record.draw()
    return refused


# All of them take minutes.
@pytest.mark.parametrize("at_most", [300, pytest.param(None, marks=pytest.mark.slow)])
def test_damage_is_refused_or_changes_nothing(run: Path, at_most: int | None) -> None:
    record = stored(run)
    text = record.file.read_text()
    fields, dice = json.loads(text), random.Random(0)
    tried = list(places(fields))
    assert len(tried) > 300
    if at_most is not None:
        tried = dice.sample(tried, at_most)
    try:
        assert check_damages(record, fields, tried, dice) > len(tried) / 2
    finally:
        record.file.write_text(text)
