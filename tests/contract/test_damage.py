"""One contract for every stored run: a damaged figure is refused, and damage to what was observed
is refused or leaves every figure and the verdict as they were."""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from unittest import mock

import numpy as np
import pytest

from bitcliff.errors import InputError
from bitcliff.questions.guard.page import render_guard
from bitcliff.questions.guard.store import GUARD
from bitcliff.questions.isolation.page import render_isolation
from bitcliff.questions.isolation.store import ISOLATION
from bitcliff.questions.kinds import KINDS
from bitcliff.questions.provocation.page import render_provocation
from bitcliff.questions.provocation.store import PROVOKE
from bitcliff.questions.provocation.universal.page import render_universal
from bitcliff.questions.provocation.universal.store import UNIVERSAL
from bitcliff.questions.sections import write_run_report
from bitcliff.record import Record, measurement, read_record, store
from bitcliff.record.arrays import pack, unpack
from bitcliff.record.measurement import Measurement, MeasurementKind
from bitcliff.record.store import RECORD_NAME, check_figures
from bitcliff.run.archive.reading import read_run, run_folders
from bitcliff.run.archive.tracking import entry_of
from bitcliff.verdict import Verdict, judge
from tests.contract.runs import RUNS
from tests.questions.damage import Way, another, hostile, is_packed, leaves, with_value

Json = dict[str, Any]
DRAWN: dict[str, Callable[[Any], str]] = {
    ISOLATION.command: render_isolation,
    GUARD.command: render_guard,
    PROVOKE.command: render_provocation,
    UNIVERSAL.command: render_universal,
}
# The limit that a run is judged by is what its reader asks for, not an outcome.
LIMIT = 2.0
# So many damages are drawn together, on one page.
TOGETHER = 50


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
        if is_packed(value):
            for element in range(unpack(value).size):
                yield Place(way, value, element)


@dataclass(frozen=True)
class Reading:
    """A record that was read as if its figures were those of what was observed.

    Attributes:
        worked_out: its figures.
    """

    record: Record | Measurement[Any, Any]
    worked_out: Json

    @property
    def verdict(self) -> Verdict | None:
        return None if isinstance(self.record, Measurement) else judge(self.record, LIMIT)

    def draw(self, out: Path) -> None:
        if isinstance(self.record, Measurement):
            kind = kind_of(out)
            assert kind is not None
            assert DRAWN[kind.command](self.record)
        else:
            write_run_report(self.record, judge(self.record, LIMIT), out)


def kind_of(out: Path) -> MeasurementKind[Any, Any] | None:
    return next(
        (
            kind
            for kind in (ISOLATION, GUARD, PROVOKE, UNIVERSAL)
            if (out / kind.file_name).exists()
        ),
        None,
    )


def read(out: Path) -> Record | Measurement[Any, Any]:
    kind = kind_of(out)
    return read_record(out, KINDS) if kind is None else kind.read(out)


def file_of(out: Path) -> Path:
    kind = kind_of(out)
    return out / (RECORD_NAME if kind is None else kind.file_name)


def forged(out: Path, fields: Json) -> Reading | None:
    """Read though its figures may be of something else; None: it is refused, in one line."""
    file_of(out).write_text(json.dumps(fields))
    check = mock.Mock()
    with (
        mock.patch.object(store, "check_figures", check),
        mock.patch.object(measurement, "check_figures", check),
    ):
        try:
            record = read(out)
        except InputError as error:
            check_one_line(error)
            return None
    return Reading(record, json.loads(json.dumps(check.call_args.args[1])))


def is_noticed(stored: Json, worked_out: Json) -> bool:
    try:
        check_figures(stored, worked_out, "a record")
    except InputError as error:
        check_one_line(error)
        return True
    return False


def check_one_line(error: InputError) -> None:
    assert "\n" not in str(error)


@pytest.fixture(scope="session", params=RUNS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of every kind, made once."""
    out: Path = tmp_path_factory.mktemp("runs") / request.param
    RUNS[request.param](out)
    return out


@pytest.fixture
def fields(run: Path) -> Iterator[Json]:
    """What its record holds; the file is given back as it was."""
    text = file_of(run).read_text()
    yield cast(Json, json.loads(text))
    file_of(run).write_text(text)


def rates_in(node: Any) -> Iterator[Json]:
    """Every k of n at or below this."""
    if isinstance(node, dict) and {"k", "n", "value"} <= node.keys():
        yield node
    for one in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from rates_in(one)


def sampled(tried: list[Place], at_most: int | None) -> list[Place]:
    assert len(tried) > 100
    return random.Random(0).sample(tried, min(at_most or len(tried), len(tried)))


ALL = pytest.param(None, marks=pytest.mark.slow)  # it takes minutes


@pytest.mark.parametrize("at_most", [150, ALL])
def test_a_damaged_figure_is_refused(run: Path, fields: Json, at_most: int | None) -> None:
    right = forged(run, fields)
    assert right is not None
    figures = [one for one in places(fields) if one.way[0] == "figures"]
    for place in sampled(figures, at_most):
        wrong = with_value(fields, place.way, place.others()[0])
        assert is_noticed(wrong["figures"], right.worked_out), place
    # The reader does the same.
    file_of(run).write_text(json.dumps(wrong))
    with pytest.raises(InputError, match="inconsistent record: figures"):
        read(run)


def test_a_table_of_runs_has_its_figures_and_refuses_it_damaged(run: Path, fields: Json) -> None:
    ((folder, command),) = run_folders([run])
    found = read_run(folder, command)
    assert found.refused is None
    assert found.examples == fields["subject"]["n_examples"]
    assert found.started == fields["provenance"]["started"]
    rates = list(rates_in(fields["figures"]))
    assert found.figures
    for row in found.figures:
        assert {"k": row.k, "n": row.n, "value": row.value} in [
            {key: rate[key] for key in ("k", "n", "value")} for rate in rates
        ]
    entry = entry_of(found)
    assert entry.files[0] == file_of(run)
    assert len(entry.metrics) >= 3 * len(found.figures)
    assert any(name.startswith("settings.") for name in entry.params)
    place = next(one for one in places(fields) if one.way[0] == "figures")
    file_of(run).write_text(json.dumps(with_value(fields, place.way, place.others()[0])))
    refused = read_run(folder, command)
    assert "inconsistent record" in (refused.refused or "")
    assert refused.figures == ()


# Each of them is read: it costs more than a comparison of figures.
@pytest.mark.parametrize("at_most", [40, ALL])
def test_damage_to_what_was_observed_is_refused_or_changes_nothing(
    run: Path, fields: Json, at_most: int | None
) -> None:
    right, dice = forged(run, fields), random.Random(0)
    assert right is not None
    if at_most is not None:  # where few leaves hold outcomes, some must be among those tried
        at_most *= {
            "labelled": 3,
            "beside_companions": 2,
            "padded": 2,
            "provoked": 6,
            "scanned": 8,
        }.get(run.name, 1)
    observed = [one for one in places(fields) if one.way[0] != "figures"]
    believed, changed = list[tuple[Place, object]](), 0
    for place in sampled(observed, at_most):
        wrong = dice.choice([place.others()[0], dice.choice(place.others())])
        found = forged(run, with_value(fields, place.way, wrong))
        if found is None:
            continue
        believed.append((place, wrong))
        if is_noticed(fields["figures"], found.worked_out):
            changed += 1
        else:
            assert found.verdict == right.verdict, (place, wrong)
    assert changed
    # Not even with figures that are its own does damage stop the page from being drawn.
    for start in range(0, len(believed), TOGETHER):
        draw_together(run, fields, believed[start : start + TOGETHER])


def draw_together(out: Path, fields: Json, damages: Sequence[tuple[Place, object]]) -> None:
    """One page of as many of these as are no bar to each other."""
    # In a list others may lie.
    apart = [one for one in damages if not isinstance(one[0].value, list)]
    found = forged(out, with_all(out, fields, apart))
    assert found is not None
    found.draw(out)


def with_all(out: Path, fields: Json, damages: Sequence[tuple[Place, object]]) -> Json:
    """With all of these, or without those that are refused beside those before them; most are not,
    so they are tried by halves."""
    more = fields
    for place, wrong in damages:
        more = with_value(more, place.way, wrong)
    if not damages or forged(out, more) is not None:
        return more
    half = len(damages) // 2
    if half == 0:
        return fields
    return with_all(out, with_all(out, fields, damages[:half]), damages[half:])
