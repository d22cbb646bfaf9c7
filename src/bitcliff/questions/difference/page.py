"""What differs between two that are deployed, on the page and in the terminal."""

from collections.abc import Iterator

import numpy as np

from bitcliff.questions.difference.record import (
    KEY,
    Difference,
    DifferenceObserved,
    LayerFigures,
    LossFigures,
    PairFigures,
    Parting,
)
from bitcliff.record import Pair, Record, pairs_of
from bitcliff.report.filters import (
    change_interval,
    difference,
    of,
    of_with_interval,
    p_value,
    significant,
)
from bitcliff.report.formatting import NOTHING, class_name, clean, noun, percent, rate_interval
from bitcliff.report.section import Section

SHOWN = 40
"""Decisions that are listed, at most: those with the largest divergence."""

_PAIRS = (
    "decided otherwise",
    "right to wrong",
    "wrong to right",
    "change, points",
    "McNemar p",
    "KL, nats: mean (median; largest)",
    "margin moves by: median (largest)",
)
_DECISIONS = ("label", "under {a}", "under {b}", "margin, {a}", "margin, {b}", "KL, nats")
_LAYERS = (
    "other values arrive",
    "their squared error",
    "other values once rounded",
    "their squared error",
    "other weights",
    "examples touched",
)
_LOSSES = ("squared error of rounding", "saturated", "become zero", "scales at their floor")
_WHENCE = {
    "arriving": "other values arrive there",
    "rounding": "its inputs are rounded differently",
    "weights": "its weights are rounded differently",
}


def difference_section(record: Record, figures: Difference) -> Section:
    """Sentences, then tables: pairs, decisions that differ, layers, where the values of each go."""
    observed = record.observed_by(KEY, DifferenceObserved)
    sentences = difference_lines(record, figures)
    a, b = (clean(name, 40) for name in record.settings.compared)
    pairs = pairs_of(record)
    divergence = [] if observed is None else [one.divergence for one in observed.pairs]
    data = {
        "sentences": sentences,
        "pair_headings": _PAIRS,
        "pairs": [_pair_cells(one) for one in figures.pairs],
        "decision_headings": [heading.format(a=a, b=b) for heading in _DECISIONS],
        "decisions": _decisions(record, pairs[0], divergence[0]) if divergence else [],
        "differ": int(pairs[0].differ.sum()),
        "a": a,
        "b": b,
        "layer_headings": _LAYERS,
        "layers": [_layer_cells(layer) for layer in figures.layers],
        "loss_headings": _LOSSES,
        "losses": [
            (clean(side.name, 60), [_loss_cells(loss) for loss in side.losses])
            for side in figures.sides
        ],
        "noun": noun(record),
        "labelled": record.settings.margin == "label",
    }
    return Section(KEY, f"What differs between {a} and {b}?", sentences[0], data)


def difference_lines(record: Record, figures: Difference) -> list[str]:
    """The findings in sentences, for the page and the terminal."""
    observed = record.observed_by(KEY, DifferenceObserved)
    lines = [_pair_sentence(record, one) for one in figures.pairs]
    lines += filter(None, [_divergence_sentence(figures.pairs[0]), _first_sentence(figures)])
    if observed is not None and observed.no_layers:
        lines.append(f"Not compared layer by layer: {clean(observed.no_layers, 300)}.")
    return lines


def _pair_sentence(record: Record, pair: PairFigures) -> str:
    a, b = clean(pair.a, 60), clean(pair.b, 60)
    differ, change = pair.decisions, pair.change
    text = (
        f"{b} decides {differ.k} of {differ.n} {noun(record, differ.n)} differently from {a} "
        f"({rate_interval(differ)})"
    )
    if change is None or change.difference_pp is None:
        return f"{text}."
    return (
        f"{text}: {change.lost} from right to wrong and {change.gained} from wrong to right, "
        f"{difference(change)} points ({change_interval(change)}), p {p_value(change)}."
    )


def _divergence_sentence(pair: PairFigures) -> str:
    found = pair.divergence
    if not found.n:
        return ""
    return (
        f"KL({clean(pair.a, 60)} ‖ {clean(pair.b, 60)}) is {significant(found.mean)} nats on "
        f"average over {found.n}, {significant(found.largest)} at most; the margin moves by "
        f"{significant(pair.margin_gap)} in the median, by {significant(pair.margin_gap_largest)} "
        "at most."
    )


def _first_sentence(figures: Difference) -> str:
    if not figures.layers:
        return ""
    first = next((one for one in figures.layers if one.name == figures.first), None)
    if first is None or first.parts is None:
        return f"Values differ at none of {len(figures.layers)} layer inputs."
    text = f"Values first differ at {clean(first.name, 80)}: {_WHENCE[first.parts]}"
    if first.parts == "weights":
        return f"{text} ({percent(first.other_weights)} of them)."
    part = first.arriving if first.parts == "arriving" else first.rounded
    text += (
        f" ({percent(part.other)} of the values, relative squared error {significant(part.error)})"
    )
    last = figures.layers[-1]
    if last is first:
        return f"{text}."
    return (
        f"{text}; at the last, {clean(last.name, 80)}, it is {percent(last.rounded.other)} and "
        f"{significant(last.rounded.error)}."
    )


def _pair_cells(pair: PairFigures) -> list[str]:
    change, found = pair.change, pair.divergence
    return [
        f"{clean(pair.b, 60)} against {clean(pair.a, 60)}",
        of_with_interval(pair.decisions),
        NOTHING if change is None else str(change.lost),
        NOTHING if change is None else str(change.gained),
        NOTHING if change is None else f"{difference(change)} ({change_interval(change)})",
        p_value(change),
        f"{significant(found.mean)} ({significant(found.median)}; {significant(found.largest)})",
        f"{significant(pair.margin_gap)} ({significant(pair.margin_gap_largest)})",
    ]


def _decisions(record: Record, pair: Pair, divergence: np.ndarray) -> list[list[str]]:
    """Of the first pair, the decisions that differ, those with the largest divergence first."""
    places = np.flatnonzero(pair.differ)
    order = sorted(places.tolist(), key=lambda place: (-np.nan_to_num(divergence[place]), place))
    return [[*_decision_cells(record, pair, place, divergence)] for place in order[:SHOWN]]


def _decision_cells(
    record: Record, pair: Pair, place: int, divergence: np.ndarray
) -> Iterator[str]:
    subject, labels = record.subject, record.table.labels
    yield clean(record.table.ids[place], 80)
    yield NOTHING if labels is None else class_name(subject, int(labels[place]))
    yield from (class_name(subject, int(side.prediction[place])) for side in pair.sides)
    for number in (*(side.margin[place] for side in pair.sides), divergence[place]):
        yield significant(None if np.isnan(number) else float(number))


def _layer_cells(layer: LayerFigures) -> list[str]:
    return [
        clean(layer.name, 80),
        *_parting_cells(layer.arriving),
        *_parting_cells(layer.rounded),
        percent(layer.other_weights),
        of(layer.touched),
    ]


def _parting_cells(parting: Parting) -> list[str]:
    return [percent(parting.other), significant(parting.error)]


def _loss_cells(loss: LossFigures) -> list[str]:
    shares = (loss.saturated, loss.underflowed, loss.floored)
    return [clean(loss.name, 80), significant(loss.error), *(percent(share) for share in shares)]
