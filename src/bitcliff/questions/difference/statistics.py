"""Every figure of a comparison of two, from their outcomes and what was seen beside them."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from bitcliff.questions.difference.record import (
    Difference,
    DifferenceObserved,
    LayerFigures,
    LayerObserved,
    LossFigures,
    LossObserved,
    Nats,
    PairFigures,
    PairObserved,
    Parting,
    SideFigures,
    Whence,
)
from bitcliff.record import AnswerKind, Pair, Record, pairs_of
from bitcliff.record.problems import twice
from bitcliff.stats import rate

# No divergence and no network's values are so large; what is has no mean.
_BEYOND_ANY = 1e150

Column = npt.NDArray[np.float64]


def figures(record: Record, observed: DifferenceObserved) -> Difference:
    """Of each pair, each layer and each side."""
    pairs = zip(pairs_of(record), observed.pairs, strict=True)
    layers = [_layer(one) for one in observed.layers or ()]
    return Difference(
        pairs=[_pair(pair, seen) for pair, seen in pairs],
        layers=layers,
        first=next((one.name for one in layers if one.parts is not None), None),
        sides=[
            SideFigures(name=one.name, losses=[_loss(loss) for loss in one.losses])
            for one in observed.sides
        ],
    )


def _pair(pair: Pair, observed: PairObserved) -> PairFigures:
    with np.errstate(over="ignore", invalid="ignore"):
        gaps = np.abs(pair.b.margin - pair.a.margin)
    gaps = gaps[gaps < _BEYOND_ANY]  # nor where one is NaN
    return PairFigures(
        a=pair.a.name,
        b=pair.b.name,
        decisions=pair.decisions,
        change=pair.change,
        divergence=_nats(observed.divergence),
        margin_gap=float(np.median(gaps)) if len(gaps) else None,
        margin_gap_largest=float(gaps.max()) if len(gaps) else None,
    )


def _nats(divergence: Column) -> Nats:
    known = divergence[np.isfinite(divergence)]
    if not len(known):
        return Nats(n=0, mean=None, median=None, largest=None)
    return Nats(
        n=len(known),
        mean=float(known.mean()),
        median=float(np.median(known)),
        largest=float(known.max()),
    )


def _layer(observed: LayerObserved) -> LayerFigures:
    known = observed.rounded >= 0
    n = int(known.sum())
    values, signal = n * observed.values, float(observed.signal[known].sum())
    touched = int((observed.rounded[known] > 0).sum())
    arriving, rounded = (
        Parting(
            other=int(counts[known].sum(dtype=np.int64)) / values if values else None,
            error=_ratio(float(errors[known].sum()), signal),
        )
        for counts, errors in (
            (observed.arriving, observed.arriving_error),
            (observed.rounded, observed.rounded_error),
        )
    )
    return LayerFigures(
        name=observed.name,
        n=n,
        arriving=arriving,
        rounded=rounded,
        touched=rate(touched, n),
        other_weights=observed.other_weights / observed.weights if observed.weights else None,
        parts=_whence(arriving, rounded, observed.other_weights),
    )


def _whence(arriving: Parting, rounded: Parting, other_weights: int) -> Whence | None:
    if arriving.other:
        return "arriving"
    if rounded.other:
        return "rounding"
    return "weights" if other_weights else None


def _loss(observed: LossObserved) -> LossFigures:
    return LossFigures(
        name=observed.name,
        error=_ratio(observed.error, observed.signal),
        saturated=_share(observed.saturated, observed.values),
        underflowed=_share(observed.underflowed, observed.nonzero),
        floored=_share(observed.floored, observed.groups),
    )


def _ratio(error: float, signal: float) -> float | None:
    ratio = error / signal if signal else np.inf
    return ratio if ratio < _BEYOND_ANY else None


def _share(k: int, n: int) -> float | None:
    return k / n if n else None


def problems(record: Record, observed: DifferenceObserved) -> Iterator[str]:
    """What contradicts the record."""
    pairs, n = pairs_of(record), len(record.table)
    if [(one.a, one.b) for one in observed.pairs] != [(p.a.name, p.b.name) for p in pairs]:
        yield "is of other conditions than those that the run compares"
        return
    for pair, seen in zip(pairs, observed.pairs, strict=True):
        yield from _pair_problems(pair, seen)
    points = [point.name for point in record.subject.points if point.quantized]
    if (observed.layers is None) != bool(observed.no_layers):
        yield "has layers, and a reason why there are none"
    if observed.layers is not None and [one.name for one in observed.layers] != points:
        yield "is of other points than those that are quantized"
    for layer in observed.layers or ():
        for problem in _layer_problems(layer, n):
            yield f"{layer.name!r} {problem}"
    names = [pair.name for pair in (pairs[0].sides if pairs else ())]
    yield from twice((one.name for one in observed.sides), "side")
    for side in observed.sides:
        if side.name not in names:
            yield f"{side.name!r} is none of the two"
        yield from twice((one.name for one in side.losses), "point")
        for loss in side.losses:
            if loss.name not in points:
                yield f"{loss.name!r} is no point that is quantized"
            for problem in _loss_problems(loss):
                yield f"{side.name!r} at {loss.name!r} {problem}"


def _pair_problems(pair: Pair, observed: PairObserved) -> Iterator[str]:
    found = observed.divergence
    if len(found) != len(pair.both):
        yield f"has {len(found)} divergences for {len(pair.both)} examples"
    elif not np.isnan(found).all() and bool(
        (np.isnan(found) == pair.both).any() | (found < 0).any() | (found > _BEYOND_ANY).any()
    ):
        yield "a divergence goes with two answers, and is 0 or more"


def _layer_problems(layer: LayerObserved, n: int) -> Iterator[str]:
    counts = (layer.arriving, layer.rounded)
    sums = (layer.signal, layer.arriving_error, layer.rounded_error)
    if any(len(column) != n for column in (*counts, *sums)):
        yield f"has not {n} examples"
        return
    known = layer.rounded >= 0
    if any(((one < -1) | (one > layer.values) | ((one >= 0) != known)).any() for one in counts):
        yield f"has counts that are none of {layer.values} values"
    if any((np.isnan(one) == known).any() or not (_known(one) < _BEYOND_ANY).all() for one in sums):
        yield "has a sum where nothing was seen, or none where something was"
    elif any((_known(one) < 0).any() for one in sums):
        yield "has a sum of squares below zero"
    if layer.other_weights > layer.weights:
        yield f"has {layer.other_weights} other weights, of {layer.weights}"


def _known(column: Column) -> Column:
    return column[~np.isnan(column)]


def _loss_problems(loss: LossObserved) -> Iterator[str]:
    if max(loss.saturated, loss.nonzero) > loss.values or loss.underflowed > loss.nonzero:
        yield "counts more values than there are"
    if loss.floored > loss.groups:
        yield "counts more groups than there are"
    if max(loss.signal, loss.error) > _BEYOND_ANY:
        yield "has a sum that is no sum of squares"


KIND = AnswerKind(DifferenceObserved, figures, problems)
