"""What each variant of a format gives back, and the one to recommend."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from bitcliff.questions.halves import Halves, Places
from bitcliff.questions.plan_in_runtime import float_targets, surely_helps, surely_lost
from bitcliff.questions.prediction_checks import prediction_problems, right_among, right_change
from bitcliff.questions.standing import standing_of
from bitcliff.questions.variants.record import (
    KEY,
    FormatFigures,
    FormatObserved,
    Tried,
    VariantFigures,
    Variants,
    VariantsObserved,
)
from bitcliff.record import AnswerKind, Record
from bitcliff.stats import with_holm
from bitcliff.types.presets import Format
from bitcliff.types.variants import variants_of


def figures(record: Record, observed: VariantsObserved) -> Variants:
    """Every figure of every format."""
    halves = Halves(len(record.table), observed.half)
    found = [_format(record, one, halves) for one in observed.formats]
    return Variants(max_drop=record.settings.max_drop, formats=found)


def formats_among(record: Record, names: Iterable[str]) -> list[str]:
    """Those of some conditions that are a shipped format."""
    return [name for name in names if record.by_name[name].kind == "numerics"]


def loses(record: Record, prediction: Places) -> bool:
    """Whether fewer predictions are right than in float: only then are variants tried."""
    change = right_change(float_targets(record), record.table.prediction, prediction)
    return change.lost > change.gained


def _format(record: Record, observed: FormatObserved, halves: Halves) -> FormatFigures:
    targets, in_float = float_targets(record), record.table.prediction
    loss = right_change(targets, in_float, observed.prediction)
    found = FormatFigures(
        policy=observed.policy,
        bits=_bits(_shipped(record, observed.policy)),
        float_rate=right_among(targets, in_float),
        right=right_among(targets, observed.prediction),
        loss=loss,
        tried=_figures(record, observed, observed.tried, halves.everyone),
    )
    best = _best(record, observed, halves) if surely_lost(loss) else None
    if best is None:
        return found
    places = halves.rest if halves.held_out else halves.everyone
    [chosen] = _figures(record, observed, [observed.tried[best]], places)
    p_value = None if halves.held_out else found.tried[best].regained.p_holm
    return found.model_copy(
        update={
            "chosen": chosen,
            "chosen_on": len(halves.judging) if halves.held_out else 0,
            "helps": surely_helps(chosen.regained, p_value),
        }
    )


def _best(record: Record, observed: FormatObserved, halves: Halves) -> int | None:
    """Of the variants that cost no bits, the one that gives back most to those that judge; only
    where all of these give nothing back, of the others."""
    now = sum(_bits(_shipped(record, observed.policy)))
    rows = _figures(record, observed, observed.tried, halves.judging)
    helping = [
        (sum(row.bits) <= now, row.regained.difference_pp or 0.0, -index)
        for index, row in enumerate(rows)
        if (row.regained.difference_pp or 0.0) > 0
    ]
    return -max(helping)[2] if helping else None


def _figures(
    record: Record, observed: FormatObserved, tried: Sequence[Tried], places: Places
) -> list[VariantFigures]:
    """On the examples at `places`; p-values adjusted over all of them."""
    targets, in_float = float_targets(record)[places], record.table.prediction[places]
    before, found = observed.prediction[places], [one.prediction[places] for one in tried]
    regained = with_holm([right_change(targets, before, one) for one in found])
    rows = []
    for one, prediction, change in zip(tried, found, regained, strict=True):
        loss = right_change(targets, in_float, prediction)
        variant = one.variant
        rows.append(
            VariantFigures(
                family=variant.family,
                words=variant.words,
                formula=variant.format.formula,
                bits=_bits(variant.format),
                left_out=one.left_out,
                right=right_among(targets, prediction),
                regained=right_change(targets, before, prediction) if change is None else change,
                loss=loss,
                standing=standing_of(loss, record.settings.max_drop),
            )
        )
    return rows


def _bits(shipped: Format) -> list[float]:
    parts = (shipped.activations, shipped.weights, shipped.cache)
    return [float(one.bits) for one in parts if one is not None]


def _shipped(record: Record, policy: str) -> Format:
    return record.settings.format_of(record.by_name[policy].condition.numerics or policy)


def problems(record: Record, observed: VariantsObserved) -> Iterator[str]:
    """What contradicts the record, or itself."""
    explained = record.explained.policies if record.explained else []
    if [one.policy for one in observed.formats] != formats_among(record, explained):
        yield "not of the explained formats, in their order"
        return
    yield from Halves(len(record.table), observed.half).problems
    names = {point.name for point in record.subject.points}
    for one in observed.formats:
        for prediction in (one.prediction, *(tried.prediction for tried in one.tried)):
            for problem in prediction_problems(record, prediction, len(record.table)):
                yield f"{one.policy!r}: {problem}"
                return
        expected = (
            variants_of(_shipped(record, one.policy)) if loses(record, one.prediction) else []
        )
        if [tried.variant for tried in one.tried] != expected:
            yield f"{one.policy!r}: its variants are not those of the format"
        if not names.issuperset(name for tried in one.tried for name in tried.left_out):
            yield f"{one.policy!r}: a layer left out is none of the network's"


def older(_record: Record, _answer: Any) -> None:
    """Schema 1.x had no formats."""


KIND = AnswerKind(VariantsObserved, figures, problems, older)
__all__ = ["KEY", "KIND", "figures", "loses", "problems"]
