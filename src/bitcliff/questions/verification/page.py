"""What `bitcliff verify` found, on the page and in the terminal."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from bitcliff.questions.verification.record import (
    KEY,
    Verification,
    VerificationObserved,
    VerifiedPolicy,
)
from bitcliff.record import Record
from bitcliff.report.filters import of, of_with_interval, significant
from bitcliff.report.formatting import NOTHING, class_name, clean, rate_interval, rate_text
from bitcliff.report.section import Section
from bitcliff.types.rate import Rate

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

HEADINGS = (
    "decided alike",
    "{right} in the runtime",
    "simulated",
    "largest margin gap",
    "equal values",
    "same level",
    "first difference",
)
DIFFERING = (
    "policy",
    "simulated",
    "in the runtime",
    "lead, simulated",
    "changes when nudged",
    "levels differ from",
)
_NAMES = (HEADINGS[-1], DIFFERING[-1])
# Columns of a terminal; in a narrower one the first difference is left to the report.
_ROOM_FOR_ALL = 100
# A share is shown as whole only if it is.
_ALMOST = 99.99


def verification_section(record: Record, figures: Verification) -> Section:
    """The section of the page: sentences, and the rows that the terminal prints as well."""
    sentences = [*_sentences(record, figures)]
    data = {
        "sentences": sentences,
        "headings": _headings(record),
        "rows": [[clean(one.policy), *_cells(one, of_with_interval)] for one in figures.policies],
        "differing_headings": DIFFERING,
        "differing": [*_differing(record, figures, 80)],
    }
    return Section(KEY, "Is what was simulated what runs?", sentences[0], data)


def render_verification(record: Record, figures: Verification, console: "Console") -> None:
    """Print the same as a table."""
    from rich.text import Text

    headings = _headings(record)
    if console.width < _ROOM_FOR_ALL:
        headings = headings[:-1]
    table = _table("policy", headings)
    for one in figures.policies:
        cells = _cells(one, of)[: len(headings)]
        style = "" if one.decisions.k == one.decisions.n else "bold red"
        table.add_row(Text(clean(one.policy, 40), style), *(Text(cell) for cell in cells))
    console.print(table)
    for sentence in _sentences(record, figures):
        console.print(Text(sentence))
    differing = _table("decided otherwise", DIFFERING)
    for cells in _differing(record, figures, 40):
        differing.add_row(*(Text(cell) for cell in cells))
    if differing.row_count:
        console.print(differing)


def _table(first: str, headings: Sequence[str]) -> "Table":
    """Numbers to the right, names to the left; a name cut short may be another's."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first, no_wrap=first == "policy", overflow="fold")
    for heading in headings:
        side: Literal["left", "right"] = "left" if heading in _NAMES else "right"
        table.add_column(heading, justify=side, overflow="fold")
    return table


def _headings(record: Record) -> list[str]:
    right = "right" if record.subject.labelled else "as in float"
    return [heading.format(right=right) for heading in HEADINGS]


def _cells(one: VerifiedPolicy, shown: Callable[[Rate], str]) -> list[str]:
    return [
        shown(one.decisions),
        shown(one.right_in_runtime),
        shown(one.right_simulated),
        significant(one.largest_difference, 2),
        _share(one.equal, one.values),
        _share(one.same_level, one.values),
        clean(one.first_difference or "none", 60),
    ]


def _share(k: int, n: int) -> str:
    if k == n:
        return "all"
    return f"{min(100 * k / n, _ALMOST):.2f} %"


def _sentences(record: Record, figures: Verification) -> Iterator[str]:
    observed = record.observed_by(KEY, VerificationObserved)
    where = "a runtime" if observed is None else clean(observed.runtime)
    yield (
        f"Exported and run in {where}, {figures.alike} of {figures.decided} decisions are as "
        f"simulated, under {len(figures.policies)} "
        f"{'policy' if len(figures.policies) == 1 else 'policies'}."
    )
    yield from _cliff(record, figures)
    alike, values = figures.rounded_alike, figures.values
    share = "all" if alike == values else f"{alike:,} of"
    yield (
        f"Value by value, on {figures.compared} of the passes: given what the runtime has before "
        f"rounding, the simulation rounds {share} {values:,} values to the same bits."
    )
    if alike == values:
        yield (
            "So differences come from what lies between the points, where the runtime sums in "
            "another order."
        )
    for one in figures.policies:
        if one.allocations is not None:
            yield (
                f"{clean(one.policy)}: the policy inside the file spends the same bits on "
                f"{rate_text(one.allocations)} of the examples."
            )
    yield (
        f"{figures.float64_rows:,} of {figures.rows:,} rows are constant, not finite or beyond "
        "float32; the file works those in float64, as the simulation does."
    )
    if observed is not None and figures.times_as_long is not None:
        yield (
            f"The file took {observed.export_seconds:.0f} s to write. One example takes "
            f"{1000 * observed.seconds_runtime:.2g} ms in the runtime and "
            f"{1000 * observed.seconds_ours:.2g} ms in the simulation, "
            f"{figures.times_as_long:.2f} times as long."
        )


def _cliff(record: Record, figures: Verification) -> Iterator[str]:
    """Of the worst case that hurts most when simulated: is it one in the runtime, too?"""
    right = "right" if record.subject.labelled else "decided as in float"
    for one in figures.policies:
        if one.policy == figures.deepest:
            theirs, ours = one.right_in_runtime, one.right_simulated
            yield (
                f"Under {clean(one.policy)} the runtime has {rate_text(theirs)} {right}, "
                f"{rate_interval(theirs)}; simulated it is {rate_text(ours)}."
            )


def _differing(record: Record, figures: Verification, room: int) -> Iterator[list[str]]:
    """A row for each example that is decided otherwise, its id no longer than there is room."""
    for one in figures.policies:
        for example in one.differing:
            nudged = example.nudged
            yield [
                clean(example.id, room),
                clean(one.policy, 40),
                class_name(record.subject, example.ours),
                class_name(record.subject, example.runtime),
                significant(example.margin),
                NOTHING if nudged is None else f"{nudged.k} of {nudged.n}",
                clean(example.first_point or "none", 60),
            ]
