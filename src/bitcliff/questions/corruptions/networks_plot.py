"""Several networks on corrupted pictures in one figure, from their records alone."""

from collections.abc import Sequence

from bitcliff.errors import InputError
from bitcliff.questions.corruptions.page import FLOAT, lines_of
from bitcliff.questions.corruptions.panels_plot import Line, draw_panels, panels_size
from bitcliff.questions.corruptions.record import Corruptions
from bitcliff.records import Record
from bitcliff.report.plot import LIGHT, svg_text
from bitcliff.report.words import clean

_COLOURS = ("even", "worst", "friendliest", "static", "own", "random")
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
        wanted = policy or next(iter(part.bits))
        if wanted not in part.bits:
            raise InputError(f"{name}: {wanted} is not explained; it has {', '.join(part.bits)}")
        for line in lines_of(part, lambda cell, who: cell.answers[who].accuracy, [FLOAT, wanted]):
            lines.append(Line(f"{name}, {line.label}", colour, marker, line.dashed, line.rates))
    size = panels_size(len(panels), len(lines), narrow=False, columns=2)
    return svg_text(
        lambda figure: draw_panels(figure, LIGHT, False, panels, lines, 2), size, False, size
    )


def _measured(record: Record) -> Corruptions:
    found = record.explanation and record.explanation.corruptions
    if not found or found.clean is None:
        raise InputError(
            f"{clean(record.subject.model)}: its record has no corrupted pictures; "
            "run `bitcliff explain RUN` first"
        )
    return found
