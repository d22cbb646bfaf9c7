"""Several networks on corrupted images in one figure, from their records alone."""

from collections.abc import Sequence

from bitcliff.errors import InputError
from bitcliff.questions.corruptions.page import lines_of
from bitcliff.questions.corruptions.panels_plot import RateLine, draw_panels, panels_size
from bitcliff.questions.corruptions.record import FLOAT, Corruptions
from bitcliff.record import Record
from bitcliff.report.formatting import clean
from bitcliff.report.plot import LIGHT, svg_text

_COLOURS = ("even", "worst", "best", "static", "own", "random")
_MARKERS = ("o", "v", "^", "s", "P", "D")


def corruptions_of_networks(records: Sequence[Record], policy: str | None = None) -> str:
    """The paper's Figure 4 as SVG text: each network in float (drawn through) and quantized.

    Args:
        policy: which one beside float; by default each record's first explained one.

    Raises:
        InputError: no corruptions in a record, other ones than in the first, no such policy, or
            more networks than can be told apart.
    """
    if not 1 <= len(records) <= len(_COLOURS):
        raise InputError(f"{len(records)} networks: give 1 to {len(_COLOURS)}")
    found = [_measured(record) for record in records]
    panels = [one.name for one in found[0].corruptions]
    lines = []
    for record, part, colour, marker in zip(records, found, _COLOURS, _MARKERS, strict=False):
        name = clean(record.subject.model, 40)
        if [one.name for one in part.corruptions] != panels:
            raise InputError(f"{name}: measured under other corruptions than the first network")
        chosen = policy or next(iter(part.bits))
        if chosen not in part.bits:
            raise InputError(f"{name}: {chosen} is not explained; it has {', '.join(part.bits)}")
        names = [FLOAT, chosen]
        for line in lines_of(record, part, lambda cell, who: cell.runs[who].accuracy, names):
            lines.append(RateLine(f"{name}, {line.label}", colour, marker, line.dashed, line.rates))
    size = panels_size(len(panels), len(lines), narrow=False, columns=2)
    return svg_text(
        lambda figure: draw_panels(figure, LIGHT, False, panels, lines, 2), size, False, size
    )


def _measured(record: Record) -> Corruptions:
    found = record.answer("corruptions", Corruptions)
    if found is None or found.clean is None:
        raise InputError(
            f"{clean(record.subject.model)}: its record has no corrupted images; "
            "run `bitcliff explain RUN` first"
        )
    return found
