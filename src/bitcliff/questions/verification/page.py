"""What `bitcliff verify` found, on the page and in the terminal."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bitcliff.questions.verification.record import DifferingExample, Verification, VerifiedPolicy
from bitcliff.records import Record
from bitcliff.report.words import NOTHING, capital, class_name, clean, rate_interval, rate_text
from bitcliff.stats import rate
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


@dataclass(frozen=True)
class View:
    """What the template lays out: a sentence each, and one line a policy and an example."""

    sentences: Sequence[str]
    headings: Sequence[str]
    lines: Sequence[tuple[str, Sequence[str]]]
    differing_headings: Sequence[str]
    differing: Sequence[tuple[str, Sequence[str]]]


def verification_view(record: Record) -> View | None:
    """The section of the page; None where `verify` has not run."""
    found = record.verification
    if found is None:
        return None
    return View(
        sentences=[*_sentences(record, found)],
        headings=[*map(capital, _headings(record))],
        lines=[(clean(one.policy), _cells(record, one, _in_full)) for one in found.policies],
        differing_headings=[*map(capital, DIFFERING)],
        differing=[
            (clean(example.id, 80), _differing(record, one, example))
            for one in found.policies
            for example in one.differing
        ],
    )


def render_verification(record: Record, found: Verification, console: "Console") -> None:
    """Print the same as a table."""
    from rich.text import Text

    headings = _headings(record)
    if console.width < _ROOM_FOR_ALL:
        headings = headings[:-1]
    table = _table("policy", headings)
    for one in found.policies:
        cells = _cells(record, one, _briefly)[: len(headings)]
        style = "" if one.decisions.k == one.decisions.n else "bold red"
        table.add_row(Text(clean(one.policy, 40), style), *(Text(cell) for cell in cells))
    console.print(table)
    for sentence in _sentences(record, found):
        console.print(Text(sentence))
    differing = _table("decided otherwise", DIFFERING)
    for one in found.policies:
        for example in one.differing:
            cells = [clean(example.id, 40), *_differing(record, one, example)]
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


def right_elsewhere(record: Record, one: VerifiedPolicy) -> tuple[Rate, Rate]:
    """Right answers in the runtime and simulated; without labels, answers as in float."""
    theirs = {example.id: example.runtime for example in one.differing}
    k_theirs = k_ours = n = 0
    for row in record.examples:
        outcome = row.outcomes.get(one.policy)
        right = row.label if record.subject.labelled else row.float_prediction
        if outcome is None or right is None:
            continue
        n += 1
        k_ours += outcome.prediction == right
        k_theirs += theirs.get(row.id, outcome.prediction) == right
    return rate(k_theirs, n), rate(k_ours, n)


def _headings(record: Record) -> list[str]:
    right = "right" if record.subject.labelled else "as in float"
    return [heading.format(right=right) for heading in HEADINGS]


def _cells(record: Record, one: VerifiedPolicy, shown: Callable[[Rate], str]) -> list[str]:
    values = sum(point.values for point in one.points)
    gap = one.largest_difference
    return [
        shown(one.decisions),
        *(shown(right) for right in right_elsewhere(record, one)),
        NOTHING if gap is None else f"{gap:.2g}",
        _share(sum(point.equal for point in one.points), values),
        _share(sum(point.same_level for point in one.points), values),
        clean(one.first_difference or "none", 60),
    ]


def _in_full(rate: Rate) -> str:
    return f"{_briefly(rate)} ({rate_interval(rate)})"


def _briefly(rate: Rate) -> str:
    return f"{rate.k}/{rate.n}"


def _share(k: int, n: int) -> str:
    if k == n:
        return "all"
    return f"{min(100 * k / n, _ALMOST):.2f} %"


def _sentences(record: Record, found: Verification) -> Iterator[str]:
    k = sum(one.decisions.k for one in found.policies)
    n = sum(one.decisions.n for one in found.policies)
    yield (
        f"Exported and run in {clean(found.runtime)}, {k} of {n} decisions are as simulated, "
        f"under {len(found.policies)} policies."
    )
    yield from _cliff(record, found)
    points = [point for one in found.policies for point in one.points]
    values = sum(point.values for point in points)
    alike = sum(point.rounded_alike for point in points)
    compared = sum(one.compared for one in found.policies)
    share = "all" if alike == values else f"{alike:,} of"
    yield (
        f"Value by value, on {compared} of the passes: given what the runtime has before rounding, "
        f"the simulation rounds {share} {values:,} values to the same bits."
    )
    if alike == values:
        yield (
            "So differences come from what lies between the points, where the runtime sums in "
            "another order."
        )
    for one in found.policies:
        if one.allocations is not None:
            yield (
                f"{clean(one.policy)}: the policy inside the file spends the same bits on "
                f"{rate_text(one.allocations)} of the examples."
            )
    rows = sum(one.rows for one in found.policies)
    wide = sum(one.float64_rows for one in found.policies)
    yield (
        f"{wide:,} of {rows:,} rows are constant, not finite or beyond float32; the file works "
        "those in float64, as the simulation does."
    )
    if found.seconds_ours:
        ratio = found.seconds_runtime / found.seconds_ours
        yield (
            f"The file took {found.export_seconds:.0f} s to write. One example takes "
            f"{1000 * found.seconds_runtime:.2g} ms in the runtime and "
            f"{1000 * found.seconds_ours:.2g} ms in the simulation, {ratio:.2f} times as long."
        )


def _cliff(record: Record, found: Verification) -> Iterator[str]:
    """Of the worst case that hurts most when simulated: is it one in the runtime, too?"""
    threats = {policy.name: policy.threat for policy in record.policies}
    both = {
        one.policy: right_elsewhere(record, one)
        for one in found.policies
        if threats[one.policy] == "policy-only"
    }
    if not both:
        return
    name, (theirs, ours) = min(both.items(), key=lambda item: item[1][1].value or 0.0)
    right = "right" if record.subject.labelled else "decided as in float"
    yield (
        f"Under {clean(name)} the runtime has {rate_text(theirs)} {right}, "
        f"{rate_interval(theirs)}; simulated it is {rate_text(ours)}."
    )


def _differing(record: Record, one: VerifiedPolicy, example: DifferingExample) -> list[str]:
    ours, theirs = (class_name(record, index) for index in (example.ours, example.runtime))
    nudged = example.nudged
    return [
        clean(one.policy, 40),
        ours,
        theirs,
        NOTHING if example.margin is None else f"{example.margin:.3g}",
        NOTHING if nudged is None else f"{nudged.k} of {nudged.n}",
        clean(example.first_point or "none", 60),
    ]
