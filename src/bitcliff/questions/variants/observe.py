"""Running every variant of an explained format."""

from collections.abc import Callable, Mapping

import numpy as np
import torch

from bitcliff.points.balance import Balanced, Operands, operands_of, rotated, smoothed
from bitcliff.points.forward import taken
from bitcliff.questions.context import Context
from bitcliff.questions.deployed import InFormat
from bitcliff.questions.variants.record import FormatObserved, Tried, VariantsObserved
from bitcliff.questions.variants.statistics import formats_among, loses
from bitcliff.types.variants import Family, variants_of

_BALANCED: Mapping[Family, Callable[[Mapping[str, Operands]], dict[str, Balanced]]] = {
    "smoothed": smoothed,
    "rotated": rotated,
}
"""Families that change what layers are given, and how."""


def observe_variants(context: Context) -> VariantsObserved:
    """Each explained format as it is and changed; smoothing is fitted on the examples that choose
    among variants, so that the others can judge it."""
    formats = formats_among(context.record, context.deployed)
    found = [_observed(context, InFormat(context, policy)) for policy in formats]
    half = context.halves.half if formats else np.zeros(0, dtype=np.int32)
    return VariantsObserved(half=half, formats=found)


def _observed(context: Context, there: InFormat) -> FormatObserved:
    prediction = there.predictions(there.shipped)
    tried, variants = list[Tried](), variants_of(there.shipped)
    if not loses(context.record, prediction):
        variants = []
    attachment = context.test.evaluator.attachment
    seen = _operands(context, there) if any(one.family in _BALANCED for one in variants) else {}
    for number, variant in enumerate(variants):
        context.tell(f"{there.policy}: {variant.words}", number, len(variants))
        make = _BALANCED.get(variant.family)
        changed = {} if make is None else make(seen)
        left_out = [p.name for p in there.points if make is not None and p.site not in changed]
        # Also where nothing is changed: what weights were rounded to is dropped after each variant.
        with attachment.balanced(changed):
            found = there.predictions(variant.format)
        tried.append(Tried(variant=variant, prediction=found, left_out=left_out))
    return FormatObserved(policy=there.policy, prediction=prediction, tried=tried)


def _operands(context: Context, there: InFormat) -> dict[str, Operands]:
    """Of the layers that the format rounds, over the examples that choose."""
    evaluator = context.test.evaluator
    judging = torch.from_numpy(context.halves.judging.astype(np.int64))
    parts = (judging[padded] for _, padded in evaluator.batches_of(judging))
    batches, sites = taken(evaluator.inputs, parts), [point.site for point in there.points]
    attachment = evaluator.attachment
    return operands_of(attachment.model, attachment.plan, sites, batches)
