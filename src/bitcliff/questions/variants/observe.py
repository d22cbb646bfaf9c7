"""Running every variant of an explained format."""

import numpy as np
import torch

from bitcliff.points.balance import Balanced, operands_of, rotated, smoothed
from bitcliff.points.forward import taken
from bitcliff.questions.context import Context
from bitcliff.questions.in_runtime import InFormat
from bitcliff.questions.variants.record import FormatObserved, Tried, VariantsObserved
from bitcliff.questions.variants.statistics import loses
from bitcliff.types.variants import Variant, variants_of


def observe_variants(context: Context) -> VariantsObserved:
    """Each explained format as it is and changed; smoothing is fitted on the examples that choose
    among variants, so that the others can judge it."""
    formats = [p for p in context.deployed if context.record.by_name[p].kind == "numerics"]
    found = [_observed(context, InFormat(context, policy)) for policy in formats]
    half = context.halves.half if formats else np.zeros(0, dtype=np.int32)
    return VariantsObserved(half=half, formats=found)


def _observed(context: Context, there: InFormat) -> FormatObserved:
    prediction = there.predictions(there.shipped)
    tried = []
    variants = variants_of(there.shipped) if loses(context.record, prediction) else []
    for number, variant in enumerate(variants):
        context.tell(f"{there.policy}: {variant.words}", number, len(variants))
        tried.append(_tried(context, there, variant))
    return FormatObserved(policy=there.policy, prediction=prediction, tried=tried)


def _tried(context: Context, there: InFormat, variant: Variant) -> Tried:
    if variant.family not in ("smoothed", "rotated"):
        return Tried(variant=variant, prediction=there.predictions(variant.format))
    changed = _balanced(context, there, variant)
    names = [point.name for point in there.points if point.site not in changed]
    with context.test.evaluator.attachment.balanced(changed):
        prediction = there.predictions(variant.format)
    return Tried(variant=variant, prediction=prediction, left_out=names)


def _balanced(context: Context, there: InFormat, variant: Variant) -> dict[str, Balanced]:
    evaluator = context.test.evaluator
    judging = torch.from_numpy(context.halves.judging.astype(np.int64))
    parts = (judging[padded] for _, padded in evaluator.batches_of(judging))
    batches = taken(evaluator.inputs, parts)
    attachment = evaluator.attachment
    sites = [point.site for point in there.points]
    seen = operands_of(attachment.model, attachment.plan, sites, batches)
    return smoothed(seen) if variant.family == "smoothed" else rotated(seen)
