"""Writes docs/speed.md and its picture: what `make bench` timed, and what searches find for their
cost.

python -m tools.speed_page

Times come from `benchmarks/table.json`, which `make bench` writes; curves from
`experiments/search_cost.json`, a list of what `python -m experiments.search_effort` kept.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import Timed, read

ROOT = Path(__file__).parent.parent
TABLE, CURVES = ROOT / "benchmarks" / "table.json", ROOT / "experiments" / "search_cost.json"
PAGE, PICTURE = ROOT / "docs" / "speed.md", ROOT / "docs" / "search-cost.png"
SEARCHES = {
    "12 rounds, then exchanges": ("as assessed", "worst", "-"),
    "rounds alone": ("gradients alone", "static", "--"),
    "evolution": ("evolution", "best", "-"),
    "random draws": ("random draws", "random", "-"),
    "random exchanges": ("random local search", "even", "-"),
}
"""Of a search: what it is called, its colour of the report's and its line."""


def page(table: dict[str, Timed], machine: dict[str, Any], curves: Sequence[dict[str, Any]]) -> str:
    """The whole page."""
    rounding = [one for name, one in table.items() if name.startswith("round ")]
    passes = [one for name, one in table.items() if one.unit in ("float", "its passes")]
    budgets = [one for name, one in table.items() if name.startswith("budget ")]
    shape = "(64, 128, 16, 16)"
    peers = [one for one in rounding if shape in one.name]
    formats = [one for one in rounding if one.name.startswith("round (8, 128, 768), ")]
    capability, threads = machine["capability"], machine["threads"]
    return f"""# Speed and effort

What Bitcliff does all day is rounding, running networks, and solving the budget. `make bench`
times each beside what it can be held against, the two alternated, in processor time; `make
bench-check` compares with the table that is kept. Below: medians and quartiles of the ratios,
on one machine ({capability}, threads: {threads}, torch {machine["torch"]}); what is met of our
own goals stands in the last column. Written by `python -m tools.speed_page`.

## A network that is rounded, against float

{_table(passes, "against")}
A small image leaves little to compute at each layer, so there what is paid for each layer shows
most. The audit is of a small language model, from finding its points to the figures.

## Rounding, against a copy

One range for each example, {shape}, by Bitcliff, by torch's own fake quantization, by the paper's
formula written straight down in PyTorch, by brevitas and by NNCF, whose zero lies elsewhere:

{_table(peers, "times")}
The shipped formats, on (8, 128, 768); torchao's own rounding to its format in the last row:

{_table(formats, "times")}
## The budget, against solvers

Sixty-four examples of 84 points and eight widths against *one* such example by OR-Tools' CP-SAT
and by HiGHS, all to the optimum:

{_table(budgets, "times one of")}
## What a search finds for its cost

![{_told(curves)}](search-cost.png)

Cost is forward passes an example, a backward pass counting as three; an example whose decision
is clearly lost is not searched on, so means lie below. Every search has the same exact budget
and sees the even allocation first; two seeds, means. *Random local search* exchanges bits of
two points at random and keeps what is worse, the baseline that the literature holds attacks
against.

{_curves(curves)}
Where a network is deep and wide, gradients find what nothing else does; on a small one evolution
keeps up with them. So an assessment makes both, and takes up what its random draws flip. It spends
at most 102 passes of an example on gradients and exchanges, unless told otherwise: on base-digits
more would find more, and a worst case is a bound from one side.
"""


def _table(rows: Sequence[Timed], unit: str) -> str:
    lines = [f"| | {unit} | median | quartiles | goal |", "|---|---|---|---|---|"]
    for one in rows:
        goal = "" if one.goal is None else f"{one.goal:g}"
        goal += "" if one.goal is None else ", met" if one.median <= one.goal else ", missed"
        spread = f"{one.low:.2f} to {one.high:.2f}"
        lines.append(f"| {one.name} | {one.unit} | {one.median:.2f} | {spread} | {goal} |")
    return "\n".join(lines) + "\n"


def _named(curve: dict[str, Any]) -> str:
    return f"{curve['model']}, {curve['mean']:g} bits, n = {curve['n']}"


def _found(curve: dict[str, Any], search: str) -> list[float]:
    """The mean over seeds at each cost."""
    rows = [row["flips"] for row in curve["rows"] if row["search"] == search]
    return [sum(column) / len(rows) for column in zip(*rows, strict=True)]


def _told(curves: Sequence[dict[str, Any]]) -> str:
    names = "; ".join(map(_named, curves))
    return f"Examples whose decision a search has changed, by its cost in passes, for {names}"


def _curves(curves: Sequence[dict[str, Any]]) -> str:
    lines = ["| changed after 20, 50, 100 passes | " + " | ".join(map(_named, curves)) + " |"]
    lines.append("|---|" + "---|" * len(curves))
    for search, (words, _, _) in SEARCHES.items():
        cells = [
            ", ".join(
                f"{_found(curve, search)[curve['costs'].index(cost)]:g}" for cost in (20, 50, 100)
            )
            for curve in curves
        ]
        lines.append(f"| {words} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def draw(curves: Sequence[dict[str, Any]], file: Path) -> None:
    """The picture of them."""
    from matplotlib.figure import Figure

    from bitcliff.report.plot import LIGHT

    figure = Figure(figsize=(9.6, 6.4), layout="constrained", facecolor=LIGHT.paper)
    every = figure.subplots(2, 2).flat
    for axes, curve in zip(every, curves, strict=True):
        for search, (words, colour, line) in SEARCHES.items():
            axes.plot(
                curve["costs"],
                _found(curve, search),
                line,
                color=getattr(LIGHT, colour),
                label=words,
                marker="o",
                markersize=3,
            )
        axes.set_ylim(bottom=0)
        axes.yaxis.get_major_locator().set_params(integer=True)
        axes.set_title(_named(curve), loc="left", fontsize=10, color=LIGHT.ink)
        axes.set_xlabel("forward passes an example", fontsize=9, color=LIGHT.muted)
        axes.set_ylabel("decisions changed", fontsize=9, color=LIGHT.muted)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color=LIGHT.grid)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=5,
                  frameon=False, fontsize=9)  # fmt: skip
    figure.suptitle(
        "Gradients find most where the network is large; on small ones evolution keeps up",
        x=0.01,
        ha="left",
        fontsize=12,
        color=LIGHT.ink,
    )
    figure.savefig(file, dpi=110)


if __name__ == "__main__":
    found = json.loads(CURVES.read_text())
    PAGE.write_text(page(read(TABLE), json.loads(TABLE.read_text())["machine"], found))
    draw(found, PICTURE)
