"""The first screen in the terminal: the verdict, what was found, and the numbers it rests on."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bitcliff.records import PolicyResult, Record
from bitcliff.report.finding import find
from bitcliff.report.words import (
    NOTHING,
    clean,
    family_order,
    mean_text,
    noun,
    p_text,
    signed,
)
from bitcliff.types.rate import Rate
from bitcliff.verdict import Status, Verdict, policy_family

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

# Below this the table leaves out what the name or the report tells too.
_WIDE = 76

_COLOURS: dict[Status, str] = {
    "pass": "bold green",
    "fail": "bold red",
    "inconclusive": "bold yellow",
}


def render_summary(record: Record, verdict: Verdict, console: "Console") -> None:
    """Print verdict, finding, a compact table of policies, the inputs at risk and the coverage.

    Text from data is printed as it is: rich's markup in a name has no effect, and control
    characters are replaced.
    """
    from rich.text import Text

    opening, _, rest = verdict.sentence.partition(": ")
    headline = Text(f"{opening}: ", style=_COLOURS[verdict.status]).append(
        clean(rest, 1000), style="not bold default"
    )
    finding = find(record)
    console.print()
    console.print(headline)
    console.print()
    console.print(Text(f"{finding.title}.", style="bold").append(f" {finding.loss}", "not bold"))
    console.print()
    hidden = _hidden(record, verdict)
    console.print(_table(record, verdict, hidden, wide=console.width >= _WIDE))
    console.print()
    for line in _closing(record, hidden):
        console.print(Text(line))


def _hidden(record: Record, verdict: Verdict) -> set[str]:
    """Even spending at means that nothing else uses: in the report, too long for the terminal."""
    others = {p.mean_bits for p in record.policies if policy_family(p.name) != "uniform"} - {None}
    judged = {judgement.policy for judgement in verdict.judgements}
    return {
        policy.name
        for policy in record.policies
        if others
        and policy_family(policy.name) == "uniform"
        and policy.mean_bits not in others
        and policy.name not in judged
    }


def _table(record: Record, verdict: Verdict, hidden: set[str], wide: bool) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    labelled = record.subject.labelled
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("policy", no_wrap=True)
    for heading in _cells(_headings(labelled), labelled, wide):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_row("float", *_cells(_float_cells(record, labelled), labelled, wide))
    statuses = {judgement.policy: judgement.status for judgement in verdict.judgements}
    shown = [policy for policy in record.policies if policy.name not in hidden]
    shown.sort(key=lambda one: (one.mean_bits or 0.0, family_order(one.name), one.name))
    previous: float | None = -1.0
    for policy in shown:
        if policy.mean_bits != previous:
            table.add_section()
        previous = policy.mean_bits
        status = statuses.get(policy.name)
        name = Text(clean(policy.name, 40), style=_COLOURS[status] if status else "")
        cells = _cells(_policy_cells(policy, labelled), labelled, wide)
        table.add_row(name, *(Text(cell) for cell in cells))
    return table


@dataclass(frozen=True)
class _Row:
    """A line of the table, before what does not fit or was not measured is left out."""

    bits: str
    share: str
    flips: str
    drop: str
    holm: str


def _cells(row: _Row, labelled: bool, wide: bool) -> list[str]:
    if wide:
        label_cells = [row.drop, row.holm] if labelled else []
        return [row.bits, row.share, row.flips, *label_cells]
    return [row.share, row.drop if labelled else row.flips]


def _headings(labelled: bool) -> _Row:
    return _Row(
        "bits", "accuracy" if labelled else "as in float", "flips", "drop, points", "Holm p"
    )


def _float_cells(record: Record, labelled: bool) -> _Row:
    share = _compact(record.float_.accuracy) if labelled else "reference"
    return _Row(NOTHING, share, NOTHING, NOTHING, NOTHING)


def _policy_cells(policy: PolicyResult, labelled: bool) -> _Row:
    return _Row(
        bits=mean_text(policy.mean_bits),
        share=_compact(policy.accuracy if labelled else policy.agreement),
        flips=f"{policy.flips.all.k}" + ("!" if policy.numeric_failures.k else ""),
        drop=_drop(policy),
        holm=p_text(policy.p_value_holm),
    )


def _compact(rate: Rate | None) -> str:
    if rate is None or rate.low is None or rate.high is None:
        return NOTHING
    return f"{rate.k}/{rate.n} ({100 * rate.low:.0f}–{100 * rate.high:.0f} %)"


def _drop(policy: PolicyResult) -> str:
    interval = policy.delta_pp_interval
    if policy.delta_pp is None or interval is None:
        return NOTHING
    low, high = 0.0 - interval.high, 0.0 - interval.low
    return f"{signed(0.0 - policy.delta_pp).removeprefix('+')} ({_short(low)} to {_short(high)})"


def _short(points: float) -> str:
    return f"{points:.0f}".replace("-0", "0").replace("-", "−")


def _closing(record: Record, hidden: set[str]) -> list[str]:
    subject, coverage = record.subject, record.subject.coverage
    risk = len(record.at_risk)
    lines = [
        f"At risk: {risk} of {subject.n_examples} {noun(record, subject.n_examples)} "
        f"{'has its' if risk == 1 else 'have their'} answer changed by an adversary"
        + (f"; deepest: {clean(record.at_risk[0], 40)}." if risk else "."),
        f"Coverage: {coverage.quantized} places quantized, {coverage.left_out} left out on "
        f"purpose, {len(coverage.uncovered)} not covered; "
        f"{100 * coverage.macs_share:.1f} % of the arithmetic.",
        "In brackets: 95 % intervals. Worst cases are the worst found, a bound from one side.",
    ]
    failed = [policy for policy in record.policies if policy.numeric_failures.k]
    if failed:
        lines.append(f"! NaN or infinity under {', '.join(clean(p.name, 40) for p in failed)}.")
    if hidden:
        lines.append(f"{len(hidden)} more even policies are in the report.")
    return lines
