"""sweep.html, and the files of each table beside it."""

from collections.abc import Mapping
from pathlib import Path

from bitcliff.record import write_text_atomic
from bitcliff.report.formatting import clean
from bitcliff.report.html import render_page
from bitcliff.sweep.folder import CELLS
from bitcliff.sweep.paper import Paper, differing, numbers
from bitcliff.sweep.plot import sheet_plot, sheet_svg
from bitcliff.sweep.sheets import Sheet, csv_text, latex_text, place_words, sheets
from bitcliff.sweep.tables import CellRecords, Group, notable

PAGE = "sweep.html"


def write_tables(
    records: CellRecords,
    paper: Paper,
    failed: Mapping[str, str],
    cells: int,
    directory: Path,
    command: str,
) -> list[str]:
    """Write the page, and for each table CSV, LaTeX and SVG; the same records, the same bytes.

    Args:
        failed: by a cell's name, why. cells: of the whole grid, without networks that are trained
            for others. command: as it was typed.

    Returns:
        The names of the files.

    Raises:
        InputError: a file cannot be written.
    """
    found = sheets(records, paper)
    texts = {PAGE: render_sweep(records, found, failed, cells, command)}
    for sheet in found:
        texts[f"{sheet.key}.csv"] = csv_text(sheet)
        texts[f"{sheet.key}.tex"] = latex_text(sheet)
        texts[f"{sheet.key}.svg"] = sheet_svg(sheet)
    for name, text in texts.items():
        write_text_atomic(directory / name, text)
    return list(texts)


def render_sweep(
    records: CellRecords,
    found: list[Sheet],
    failed: Mapping[str, str],
    cells: int,
    command: str,
) -> str:
    """The page as text, everything from the cells escaped."""
    done = sum(len(group.cells) for group in records.groups) + len(records.audits)
    best = notable(records.groups)
    return render_page(
        "sweep.html.j2",
        {
            "title": _title(records, best),
            "lead": f"{done} of {cells} cells of the grid are here; {len(failed)} failed."
            + _ended_early(records),
            "kind": "pass" if done == cells and not failed else "inconclusive",
            "sheets": [(sheet, sheet_plot(sheet)) for sheet in found],
            "notable": [_notable_row(group) for group in best.values()],
            "failed": [(clean(name), clean(reason, 400)) for name, reason in failed.items()],
            "differing": _differing(records),
            "source": numbers()["source"],
            "audits": [
                (clean(cell.name), f"{CELLS}/{cell.name}/run/report.html")
                for cell, _ in records.audits
            ],
            "command": clean(command, 2000),
        },
    )


def _title(records: CellRecords, best: Mapping[str, Group]) -> str:
    if not records.groups:
        return f"{len(records.audits)} audits"
    worst = max(
        best.values(), key=lambda group: -group.change("brittle", "brittle")[0], default=None
    )
    if worst is None:
        return "No brittle network kept its float accuracy in all seeds"
    change, low, high = worst.change("brittle", "brittle")
    return (
        f"The most brittle pair with parity, {clean(', '.join(worst.place[:3]))}, loses "
        f"{-change:.1f} points ({-high:.1f} to {-low:.1f})"
    )


def _ended_early(records: CellRecords) -> str:
    """What `stop_after` spared, if it was asked for."""
    pairs = [one for group in records.groups for one in group.cells]
    waiting = [one for one in pairs if one.settings.get("stop_after")]
    if not waiting:
        return ""
    taken = [count for one in waiting for count in one.result["epochs"].values()]
    asked = sum(one.settings["epochs"] * len(one.result["epochs"]) for one in waiting)
    return (
        f" Trainings that got no better ended early: {sum(taken)} of {asked} epochs were trained."
    )


def _notable_row(group: Group) -> list[str]:
    place = dict(zip(("network", "bits", "budget", "estimator"), group.place, strict=True))
    cells = [place_words(place)]
    for role in ("robust", "brittle"):
        change, low, high = group.change(role, role)
        cells.append(f"{change:+.1f} ({low:+.1f} to {high:+.1f})".replace("-", "−"))
    return cells


def _differing(records: CellRecords) -> list[tuple[str, str, str]]:
    """Settings that differ from the paper's, of the first place of each network."""
    firsts: dict[str, Group] = {}
    for group in records.groups:
        firsts.setdefault(group.place[0], group)
    rows = {row: None for group in firsts.values() for row in differing(group)}
    return [*rows]
