"""A model's history over releases: one page over many records, and what got worse on the way."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from bitcliff.errors import InputError
from bitcliff.record import Record
from bitcliff.record.across import Across, compare_runs, with_p_holm
from bitcliff.record.summary import Figure, Run
from bitcliff.report.formatting import NOTHING, clean, p_text, percent, signed
from bitcliff.report.history_plot import SERIES, history_plot
from bitcliff.report.html import render_page
from bitcliff.types.settings import IN_FLOAT

Release = tuple[Run, Record]
_CHANGES = ("n", "lost", "gained", "points", "Holm p", "")
# Conditions that the title names.
_TITLED = 3
_SAID = {-1: "got worse", 0: "no change shown", 1: "got better"}


@dataclass(frozen=True)
class Step:
    """From one run to the next: what changed, or why the two cannot be compared."""

    before: Run
    after: Run
    found: tuple[Across, ...]
    refused: str = ""


def render_history(releases: Sequence[Release]) -> str:
    """The whole page as text, everything from records escaped; the same records, same bytes.

    Args:
        releases: the oldest first, one at least. Those of other examples stand apart.
    """
    groups = [_Group(group) for group in _by_data(releases)]
    newest = releases[-1][0]
    return render_page(
        "history.html.j2",
        {
            "models": ", ".join(dict.fromkeys(clean(run.model, 80) for run, _ in releases)),
            "runs": len(releases),
            "weights": len({run.weights_sha256 for run, _ in releases}),
            "newest": newest,
            "kind": newest.verdict or "inconclusive",
            "title": _title([step for group in groups for step in group.steps]),
            "groups": groups,
            "change_headings": _CHANGES,
        },
    )


def named(run: Run) -> str:
    """A run as the page and the plot call it: when, and which weights."""
    return f"{run.started[:10]} {clean(run.weights_sha256[:7])}"


def change_cells(one: Across) -> list[str]:
    """What changed of one condition: n, lost, gained, points with interval, p, in words."""
    counts = [str(getattr(one.change, key, NOTHING)) for key in ("n", "lost", "gained")]
    points = NOTHING
    if one.points is not None:
        change, low, high = map(signed, one.points)
        points = f"{change} ({low} to {high})"
    words = _SAID[one.direction] if one.change is not None else f"{len(one.lost)} decided otherwise"
    if one.failures[0] != one.failures[1]:
        words += f"; fails numerically on {one.failures[0]}, then {one.failures[1]}"
    if one.methods is not None:
        words += "; not looked for alike"
    return [*counts, points, p_text(one.p_holm), words]


def _by_data(releases: Sequence[Release]) -> list[list[Release]]:
    found: dict[str, list[Release]] = {}
    for release in releases:
        found.setdefault(release[0].data_sha256, []).append(release)
    return list(found.values())


class _Group:
    """The runs on the same examples, as the template lays them out."""

    def __init__(self, releases: Sequence[Release]) -> None:
        self.runs = [run for run, _ in releases]
        self.steps = _steps(releases)
        self.data, self.examples = clean(self.runs[0].data), self.runs[0].examples
        self.series = _series(self.runs, self.steps)
        self.plot = history_plot(self.runs, self.series)
        self.headings = ["Model", "Bitcliff", "Verdict", *(clean(name, 40) for name in self.series)]
        self.rows = [[*_about(run), *map(_value, _values(run, self.series))] for run in self.runs]
        self.changes = list(self._changes())

    def _changes(self) -> Iterator[list[str]]:
        for step in self.steps:
            name = f"{named(step.before)} → {named(step.after)}"
            if step.refused:
                yield [name, *[NOTHING] * 5, clean(step.refused, 300)]
            for one in step.found:
                if one.direction or one.name in self.series:
                    yield [f"{name}: {clean(one.name, 40)}", *change_cells(one)]


def _steps(releases: Sequence[Release]) -> list[Step]:
    """Each run against the one before, p-values corrected over all of them together."""
    compared, refused = list[list[Across]](), list[str]()
    for (_, a), (_, b) in pairwise(releases):
        try:
            compared.append(compare_runs(a, b))
            refused.append("")
        except InputError as error:
            compared.append([])
            refused.append(f"not compared: {error}")
    together = iter(with_p_holm([one for found in compared for one in found]))
    return [
        Step(before, after, tuple(next(together) for _ in found), why)
        for ((before, _), (after, _)), found, why in zip(
            pairwise(releases), compared, refused, strict=True
        )
    ]


def _series(runs: Sequence[Run], steps: Sequence[Step]) -> list[str]:
    """What is drawn: float, then what is shown to have changed, what is judged, and what most runs
    have; as many as there are colours."""
    changed = {one.name for step in steps for one in step.found if one.direction}
    every = [figure for run in runs for figure in run.figures]
    judged = {figure.name for figure in every if figure.verdict is not None}
    counts = Counter(figure.name for figure in every)
    order = sorted(
        counts,
        key=lambda name: (name != IN_FLOAT, name not in changed, name not in judged, -counts[name]),
    )
    return order[: len(SERIES) + (IN_FLOAT in counts)]


def _values(run: Run, series: Sequence[str]) -> list[Figure | None]:
    by_name = {figure.name: figure for figure in run.figures}
    return [by_name.get(name) for name in series]


def _about(run: Run) -> list[str]:
    return [named(run), clean(run.model, 60), clean(run.bitcliff), run.verdict or NOTHING]


def _value(figure: Figure | None) -> str:
    if figure is None or figure.low is None or figure.high is None:
        return NOTHING
    ends = f"{100 * figure.low:.1f} to {100 * figure.high:.1f}"
    return f"{percent(figure.value)} ({ends})"


def _title(steps: Sequence[Step]) -> str:
    worse = [step for step in steps if any(one.direction < 0 for one in step.found)]
    if not any(step.found for step in steps):
        return "One run alone: nothing to compare yet"
    if not worse:
        return "Nothing is shown to have got worse from run to run"
    names = [clean(one.name, 40) for one in worse[-1].found if one.direction < 0]
    more = f" and {len(names) - _TITLED} more" if len(names) > _TITLED else ""
    ends = f"{named(worse[-1].before)} to {named(worse[-1].after)}"
    return f"From {ends}, {', '.join(names[:_TITLED])}{more} got worse"
