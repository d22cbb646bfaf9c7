"""The first screen in the terminal: the verdict, what was found, and the numbers it rests on."""

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

_COLOURS: dict[Status, str] = {"pass": "bold green", "fail": "bold red", "inconclusive": "bold yellow"}


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
    console.print(Text(f"{finding.title}. {finding.loss}"))
    console.print()
    hidden = _hidden(record, verdict)
    console.print(_table(record, verdict, hidden))
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


def _table(record: Record, verdict: Verdict, hidden: set[str]) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    labelled = record.subject.labelled
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("policy", overflow="fold")
    headings = ["bits", "accuracy" if labelled else "as in float", "flips"]
    headings += ["drop, points", "Holm p"] if labelled else []
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_row(*_float_cells(record, labelled))
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
        table.add_row(name, *(Text(cell) for cell in _cells(policy, labelled)))
    return table


def _float_cells(record: Record, labelled: bool) -> list[str]:
    if not labelled:
        return ["float", NOTHING, "reference", NOTHING]
    return ["float", NOTHING, _compact(record.float_.accuracy), NOTHING, NOTHING, NOTHING]


def _cells(policy: PolicyResult, labelled: bool) -> list[str]:
    cells = [
        mean_text(policy.mean_bits),
        _compact(policy.accuracy if labelled else policy.agreement),
        f"{policy.flips.all.k}" + ("!" if policy.numeric_failures.k else ""),
    ]
    return [*cells, _drop(policy), p_text(policy.p_value_holm)] if labelled else cells


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
        + (f", {clean(record.at_risk[0], 40)} the most." if risk else "."),
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
