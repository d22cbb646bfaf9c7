"""What padding does, on the page."""

from collections.abc import Iterator

from bitcliff.questions.lengths.record import FLOAT, AtLength, Lengths
from bitcliff.record import Record
from bitcliff.report.filters import of_with_interval
from bitcliff.report.formatting import NOTHING, clean
from bitcliff.report.section import Section
from bitcliff.types.rate import Rate

_QUESTION = "What does padding do?"


def lengths_section(_record: Record, found: Lengths) -> Section:
    """A sentence for padding and one for longer batch-mates, and a row for each network there."""
    if found.reason is not None:
        reason = clean(found.reason, 300)
        return Section("lengths", _QUESTION, f"Not measured, because {reason}.", {"reason": reason})
    sentences = [*_sentences(found)]
    data = {
        "reason": "",
        "sentences": sentences,
        "basis": _basis(found),
        "rows": [row for one in found.at for row in _rows(found, one)],
        "refused": [clean(one, 300) for one in found.refused],
    }
    return Section("lengths", _QUESTION, " ".join(sentences), data)


def _basis(found: Lengths) -> str:
    return (
        f"Examples have {found.shortest} to {found.longest} {found.unit} without padding, and are "
        f"padded anew: {clean(found.padding, 300)}. Beside longer ones each is in a batch with the "
        f"{found.companions} longest others, and compared with itself alone at the same length."
    )


def _sentences(found: Lengths) -> Iterator[str]:
    """What most decisions hang on, float's own changes told apart."""
    alone = [one for one in found.at if not one.beside_longer]
    beside = [one for one in found.at if one.beside_longer]
    for cells, what in ((alone, "Padding"), (beside, "Company of longer examples")):
        ways = [
            (rate, name, cell)
            for cell in cells
            for name, one in cell.decided.items()
            if (rate := one.beyond_float) is not None
        ]
        rate, name, cell = max(ways, key=lambda way: way[0].k, default=(None, "", None))
        if cell is not None and rate is not None and rate.k:
            yield (
                f"{what} at {cell.length} {found.unit} changes {of_with_interval(rate)} decisions "
                f"of {clean(name, 80)} that float keeps."
            )
        elif cells:
            longest = max(cell.length for cell in cells)
            who = "a quantized network that float keeps" if ways else "float"
            changed = any(one.changed.k for cell in cells for one in cell.decided.values())
            if ways or not changed:
                yield f"{what} up to {longest} {found.unit} changes no decision of {who}."
        own = max((cell.decided[FLOAT].changed for cell in cells), key=lambda r: r.k, default=None)
        if own is not None and own.k:
            yield f"Float's own decisions change too: {of_with_interval(own)} at most."


def _rows(found: Lengths, at: AtLength) -> Iterator[list[str]]:
    company = f"{found.companions} longest" if at.beside_longer else "none"
    for name, one in at.decided.items():
        yield [
            f"{at.length}",
            company,
            f"{at.padded} of {at.fitting}",
            clean(name, 80),
            _shown(one.changed),
            _shown(one.beyond_float),
            _shown(found.right_unpadded.get(name)),
            _shown(one.right),
        ]


def _shown(rate: Rate | None) -> str:
    return NOTHING if rate is None else of_with_interval(rate)
