"""The first screen in the terminal: the verdict, what was found, and the numbers it rests on."""

from typing import TYPE_CHECKING

from bitcliff.record import PolicyResult, Record
from bitcliff.record.decisions import scored_by, whole_outcome
from bitcliff.record.figures import Likelihood
from bitcliff.report.basis import (
    batches_note,
    effort_note,
    float_on_same,
    folding_note,
    is_partial,
    output_note,
    partial_notes,
    points_are,
    warnings,
)
from bitcliff.report.finding import Finding, find
from bitcliff.report.formatting import (
    NOTHING,
    clean,
    family_order,
    mean_score,
    mean_text,
    noun,
    p_text,
    signed,
)
from bitcliff.report.nudge_stability import nudged_sentence, repeats_short
from bitcliff.report.risk import changed_by
from bitcliff.types.rate import ErrorRates, Rate
from bitcliff.verdict import Status, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console
    from rich.table import Table

# The table's columns, by how much fits: the name tells the bits, the report the rest.
_FULL = ("bits", "same", "share", "flips", "score", "errors", "nats", "losers", "drop", "holm")
_WIDTHS = (
    _FULL,
    _FULL[1:],
    ("same", "share", "errors", "nats", "drop", "holm"),
    ("share", "drop"),
)
# A runtime's name holds its options.
_NAME = 80

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
    tables = (_table(record, verdict, hidden, columns) for columns in _WIDTHS)
    console.print(fitting(tables, console))
    console.print()
    for line in _closing(record, finding, hidden):
        console.print(Text(line))


def _hidden(record: Record, verdict: Verdict) -> set[str]:
    """Even allocation at means that nothing else uses: in the report, too long for the terminal."""
    others = {p.mean_bits for p in record.policies if p.kind != "uniform"} - {None}
    judged = {judgement.policy for judgement in verdict.judgements}
    return {
        policy.name
        for policy in record.policies
        if others
        and policy.kind == "uniform"
        and policy.mean_bits not in others
        and policy.name not in judged
    }


def fitting(tables: "Iterable[Table]", console: "Console") -> "Table":
    """The first that fits the terminal, so that no cell wraps or is cut; else the last.

    Raises:
        ValueError: there is none.
    """
    endless = console.options.update(max_width=10_000)
    for table in tables:
        if console.measure(table, options=endless).maximum <= console.width:
            return table
    return table


def _table(record: Record, verdict: Verdict, hidden: set[str], columns: tuple[str, ...]) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    shown = [policy for policy in record.policies if policy.name not in hidden]
    shown.sort(key=lambda one: (one.mean_bits or 0.0, family_order(one), one.name))
    headings = _headings(record, any(is_partial(record, policy) for policy in shown))
    kept = [column for column in columns if headings[column]]
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("policy", no_wrap=True)
    for column in kept:
        table.add_column(headings[column], justify="right", no_wrap=True)
    as_reference = not record.subject.labelled and record.float_.errors is None
    in_float = {
        "share": _compact(record.float_.accuracy) if record.subject.labelled else "reference",
        "score": NOTHING
        if record.float_.score is None or as_reference
        else mean_score(record.float_.score),
        "errors": _errors(record.float_.errors),
        "nats": _nats(record.float_.likelihood),
    }
    table.add_row("float", *(in_float.get(column, NOTHING) for column in kept))
    statuses = {judgement.policy: judgement.status for judgement in verdict.judgements}
    previous: float | None = -1.0
    for policy in shown:
        if policy.mean_bits != previous:
            table.add_section()
        previous = policy.mean_bits
        status = statuses.get(policy.name)
        name = Text(clean(policy.name, _NAME), style=_COLOURS[status] if status else "")
        cells = _policy_cells(record, policy)
        table.add_row(name, *(Text(cells[column]) for column in kept))
    return table


def _headings(record: Record, partial: bool) -> dict[str, str]:
    """What heads each column; empty for those that this record has no use for."""
    labelled, scored = record.subject.labelled, any(one.score for one in record.policies)
    right = "as labelled" if whole_outcome(record.subject) else "accuracy"
    return {
        "bits": "bits",
        # Where a policy speaks of fewer examples, only float on those compares with it.
        "same": "float" if labelled and partial else "",
        "share": right if labelled else "as in float",
        "flips": "flips",
        "score": f"of each {scored_by(record.subject)}" if scored else "",
        "errors": "words, letters wrong" if any(one.errors for one in record.policies) else "",
        "nats": "perplexity, KL" if any(one.likelihood for one in record.policies) else "",
        "losers": f"lose over {100 * record.settings.score_loss:g} %" if scored else "",
        "drop": "drop, points" if labelled else "",
        "holm": "Holm p" if labelled else "",
    }


def _policy_cells(record: Record, policy: PolicyResult) -> dict[str, str]:
    same = float_on_same(record, policy)
    return {
        "bits": mean_text(policy.mean_bits),
        "same": NOTHING if same is None else _few(same),
        "share": _compact(policy.accuracy if record.subject.labelled else policy.agreement),
        "flips": f"{policy.flips.all.k}" + ("!" if policy.numeric_failures.k else ""),
        "score": mean_score(policy.score),
        "errors": _errors(policy.errors),
        "nats": _nats(policy.likelihood),
        "losers": NOTHING if policy.score_change is None else _few(policy.score_change.losers),
        "drop": _drop(policy),
        "holm": p_text(None if policy.change is None else policy.change.p_holm),
    }


def _nats(found: Likelihood | None) -> str:
    if found is None or found.perplexity.value is None:
        return NOTHING
    apart = "" if found.kl is None else f", {found.kl.value:.2g}"
    return f"{found.perplexity.value:.4g}{apart}"


def _errors(errors: ErrorRates | None) -> str:
    if errors is None:
        return NOTHING
    return f"{100 * errors.words:.0f} %, {100 * errors.characters:.0f} %"


def _compact(rate: Rate | None) -> str:
    if rate is None or rate.low is None or rate.high is None:
        return NOTHING
    return f"{rate.k}/{rate.n} ({100 * rate.low:.0f}–{100 * rate.high:.0f} %)"


def _few(rate: Rate) -> str:
    return f"{rate.k}/{rate.n}"


def _drop(policy: PolicyResult) -> str:
    change = policy.change
    if change is None or change.difference_pp is None:
        return NOTHING
    low, high = 0.0 - (change.high_pp or 0.0), 0.0 - (change.low_pp or 0.0)
    drop = signed(0.0 - change.difference_pp).removeprefix("+")
    return f"{drop} ({_short(low)} to {_short(high)})"


def _short(points: float) -> str:
    return f"{points:.0f}".replace("-0", "0").replace("-", "−")


def _closing(record: Record, finding: Finding, hidden: set[str]) -> list[str]:
    labelling = record.subject.labelling
    told = [
        *(f"Warning: {warning}" for warning in warnings(record)),
        output_note(record),
        _risk_line(record),
        repeats_short(record, finding.worst),
        nudged_sentence(record, finding.worst),
        *partial_notes(record),
        batches_note(record),
        folding_note(record),
        labelling and f"Labels: {clean(labelling, 300)}.",
        effort_note(record),
        _coverage_line(record),
        _left_out_line(record),
        "In brackets: 95 % intervals."
        + (
            ""
            if record.subject.black_box or record.settings.explores_nothing
            else " Worst cases are the worst found, a bound from one side."
        ),
    ]
    lines = [line for line in told if line]
    failed = [policy for policy in record.policies if policy.numeric_failures.k]
    if failed:
        lines.append(f"! NaN or infinity under {', '.join(clean(p.name, 40) for p in failed)}.")
    if hidden:
        more = (
            "1 more even policy is" if len(hidden) == 1 else f"{len(hidden)} more even policies are"
        )
        lines.append(f"{more} in the report.")
    return lines


def _coverage_line(record: Record) -> str:
    if record.subject.black_box:
        return "The network was not looked inside: its answers alone are compared."
    coverage = record.coverage
    share = coverage.macs_share
    return (
        f"Coverage: {coverage.quantized} points {points_are(record)}, {coverage.left_out} left out "
        f"on purpose, {len(record.subject.uncovered)} not covered"
        + ("." if share is None else f"; {100 * share:.1f} % of the arithmetic.")
    )


def _left_out_line(record: Record) -> str:
    """Said where most of the work is in calls that were left out on purpose; else empty."""
    work = {point.site: point.macs for point in record.subject.points}
    kept = {point.site for point in record.subject.points if point.quantized}
    left = {site: macs for site, macs in work.items() if site not in kept}
    if 2 * sum(left.values()) <= sum(work.values()):
        return ""
    most = max(left, key=left.__getitem__)
    reason = next(point.reason for point in record.subject.points if point.site == most)
    way = "; --include-stem takes it in" if reason.startswith("stem input") else ""
    return (
        f"MOST OF THE WORK IS LEFT OUT: {100 * sum(left.values()) / sum(work.values()):.0f} %, the "
        f"most in {clean(most, 40)} ({clean(reason, 60)}){way}."
    )


def _risk_line(record: Record) -> str:
    risk, n = len(record.at_risk), record.subject.n_examples
    line = (
        f"At risk: {risk} of {n} {noun(record, n)} {'has its' if risk == 1 else 'have their'} "
        f"answer changed by {changed_by(record).removesuffix(' who allocates the same bits')}"
    )
    if not risk:
        return f"{line}."
    first = clean(record.at_risk[0], 40)
    return f"{line}: {first}." if risk == 1 else f"{line}, most of all {noun(record, 1)} {first}."
