"""Tables as they are shown: words for a page and for LaTeX, numbers for CSV."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bitcliff.record.pairs import FLOAT
from bitcliff.report.formatting import NOTHING, clean, mean_text, p_text, signed
from bitcliff.sweep.paper import Paper
from bitcliff.sweep.tables import CellRecords, Row, audit_table, notable, table1, table2, table3

Column = tuple[str, Callable[[Row], str]]


@dataclass(frozen=True)
class Sheet:
    """One table.

    Attributes:
        key: of its files' names. title: in a line. caption: what is shown, with n and intervals.
        headings, rows: as words. numbers: the same and more, for other programs.
        drawn: those of the numbers that the plot shows.
    """

    key: str
    title: str
    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[Row, ...]
    drawn: tuple[Row, ...]


def sheets(records: CellRecords, paper: Paper) -> list[Sheet]:
    """All that the records are enough for."""
    first = [row | _beside(paper.pair(row)) for row in table1(records.groups)]
    second = [row | {"paper": paper.transitory(row)} for row in table2(records.groups)]
    third = [row | {"paper": paper.crossed(row)} for row in table3(records.groups)]
    found = [
        _sheet("table1", "Table 1. Float accuracy, and what quantization does", _FIRST, first),
        _sheet("table2", "Table 2. Transitory points", _SECOND, second),
        _crossed(third, [group.place for group in notable(records.groups).values()]),
        _sheet("audits", "Audits of frozen networks", _AUDITS, audit_table(records.audits)),
    ]
    return [sheet for sheet in found if sheet.rows]


def csv_text(sheet: Sheet) -> str:
    """All numbers, a column each; what was not measured is empty."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(sheet.numbers[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(sheet.numbers)
    return buffer.getvalue()


def latex_text(sheet: Sheet) -> str:
    """A table for a paper, with booktabs."""
    lines = [
        r"\begin{table}",
        rf"\caption{{{_latex(sheet.title)}. {_latex(sheet.caption)}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(sheet.headings) - 1)}}}",
        r"\toprule",
        " & ".join(map(_latex, sheet.headings)) + r" \\",
        r"\midrule",
        *(" & ".join(map(_latex, row)) + r" \\" for row in sheet.rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "−": "$-$",
    "\u00a0": "~",
    "–": "--",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


def _sheet(key: str, title: str, shown: tuple[str, Sequence[Column]], rows: list[Row]) -> Sheet:
    caption, columns = shown
    words = tuple(tuple(make(row) for _, make in columns) for row in rows)
    headings = tuple(name for name, _ in columns)
    return Sheet(key, title, caption, headings, words, tuple(rows), tuple(rows))


def _crossed(rows: list[Row], places: Sequence[tuple[str, ...]]) -> Sheet:
    """As the paper has it: a row for each policy, a column for each network."""
    networks = [*dict.fromkeys(row["trained_as"] for row in rows)]
    found: dict[tuple[str, str, str], dict[str, Row]] = {}
    for row in rows:
        key = (place_words(row), row["policy"], str(row["seeds"]))
        found.setdefault(key, {})[row["trained_as"]] = row
    words = tuple(
        (*key, *(_cell(cells[name]) if name in cells else NOTHING for name in networks))
        for key, cells in found.items()
    )
    columns = ("network", "bits", "budget", "estimator")
    shown = places or [tuple(row[key] for key in columns) for row in rows[:1]]
    drawn = tuple(row for row in rows if tuple(row[key] for key in columns) in shown)
    headings = ("Network, bits, budget", "Policy", "Seeds", *networks)
    title = "Table 3. Every network under every policy"
    return Sheet("table3", title, _THIRD, headings, words, tuple(rows), drawn)


def _cell(row: Row) -> str:
    found = _between("accuracy", "low", "high")(row)
    if row["policy"] == FLOAT and row["parity_held"] < row["seeds"]:
        found += "; parity failed"
    return found if row["paper"] is None else f"{found}; paper {row['paper']:.2f}"


def _beside(paper: tuple[float, float] | None) -> Row:
    in_float, change = paper or (None, None)
    return {"paper_float": in_float, "paper_change_pp": change}


def place_words(row: Row) -> str:
    """ "resnet18, II, B", with the estimator where it is not the paper's."""
    parts = [row["network"], row["bits"], row["budget"]]
    if row["estimator"] != "straight-through":
        parts.append(row["estimator"])
    return clean(", ".join(map(str, parts)))


def _plain(key: str) -> Callable[[Row], str]:
    return lambda row: NOTHING if row[key] is None else clean(str(row[key]))


def _number(key: str, digits: int = 1) -> Callable[[Row], str]:
    return lambda row: NOTHING if row[key] is None else f"{row[key]:.{digits}f}".replace("-", "−")


def _between(value: str, low: str, high: str, sign: bool = False) -> Callable[[Row], str]:
    def make(row: Row) -> str:
        if row[value] is None:
            return NOTHING
        show: Callable[[float], str] = signed if sign else "{:.1f}".format
        return f"{show(row[value])} ({show(row[low])} to {show(row[high])})"

    return make


def _parity(row: Row) -> str:
    held, seeds = row["parity_held"], row["seeds"]
    return "held" if held == seeds else f"FAILED in {seeds - held} of {seeds}"


def _seed_spread(row: Row) -> str:
    if row["seeds"] == 1:
        return NOTHING
    return f"{signed(row['change_least_pp'])} to {signed(row['change_most_pp'])}"


def _share(name: str) -> Callable[[Row], str]:
    between = _between(name, f"{name}_low", f"{name}_high")
    return lambda row: f"{between(row)}; {row[f'{name}_k']}/{row[f'{name}_n']}"


_FIRST: tuple[str, Sequence[Column]] = (
    "Percent right on the test split, and its change in points under the co-trained policy, over "
    "all seeds, with 95 % intervals for other examples; least and most seed. Parity: of the "
    "network in float with the one it began as; where it failed, the change proves nothing. "
    "Freedom: log2 of the allocations a policy chooses from; at 0 there is one, and a loss is the "
    "network's alone",
    (
        ("Network, bits, budget, role", lambda row: f"{place_words(row)}, {row['role']}"),
        ("Options", lambda row: f"{row['least_bits']} to {row['most_bits']}"),
        ("Mean bits", lambda row: mean_text(row["total_bits"] / row["points"])),
        ("Freedom", _number("policy_freedom_log2")),
        ("Before", _number("base_float")),
        ("Float", _between("float", "float_low", "float_high")),
        ("Change", _between("change_pp", "change_low_pp", "change_high_pp", sign=True)),
        ("Seeds", _plain("seeds")),
        ("Change by seed", _seed_spread),
        ("Parity", _parity),
        ("Paper: float", _number("paper_float", 2)),
        ("Paper: change", _number("paper_change_pp", 2)),
    ),
)
_SECOND: tuple[str, Sequence[Column]] = (
    "Test examples that the robust and the brittle network both get right in float and that the "
    "brittle one loses under its policy, in percent with 95 % intervals, seeds together. The paper "
    "does not say of what its shares are",
    (
        ("Network, bits, budget", place_words),
        ("Of both right", _share("of_both_right")),
        ("Of all", _share("of_all")),
        ("Seeds", _plain("seeds")),
        ("Parity of both", lambda row: f"{row['parity_held_by_both']} of {row['seeds']}"),
        ("Paper", _number("paper", 2)),
    ),
)
_THIRD = (
    "Percent right on the test split of the network before and after training, in float, under "
    "both co-trained policies and under random allocations of as many bits, with 95 % intervals, "
    "seeds together; the CSV has the least and most seed"
)
_AUDITS: tuple[str, Sequence[Column]] = (
    "Percent right, or as in float where there are no labels, and the change from float in points, "
    "with 95 % intervals; p corrected by Holm's method within each audit",
    (
        ("Network", _plain("network")),
        ("Asked", _plain("asked")),
        ("Policy", _plain("policy")),
        ("Threat", _plain("threat")),
        ("Counted", _plain("counted")),
        ("Share", _between("value", "low", "high")),
        ("n", _plain("n")),
        ("Change", _between("change_pp", "change_low_pp", "change_high_pp", sign=True)),
        ("Holm p", lambda row: p_text(row["holm_p"])),
    ),
)
