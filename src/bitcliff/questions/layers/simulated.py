"""Which layers break with 8 bits as a runtime rounds them, their weights too, simulated."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor

from bitcliff.questions.context import Context, Side
from bitcliff.questions.runtime_simulation import towards

Simulated = tuple[str, list[str], Side, Int[Tensor, "n points"]]
"""A runtime's condition, the points that it rounds, the network attached so, and their bits."""


def simulated(context: Context) -> Iterator[Simulated]:
    """The run's runtimes that are not explained themselves, as closely as they can be simulated.

    Left out are those that nothing is known of, such as files that are quantized already.
    """
    prepared = context.test.prepared
    loaded = {one.name: one for one in prepared.runtimes if one.kinds}
    for policy in context.record.policies:
        runtime = loaded.get(policy.runtime or "")
        is_batch = (policy.condition.batch_size or 1) > 1
        if runtime is None or is_batch or policy.name in context.deployed:
            continue
        steps, left_out = towards(runtime, prepared)
        if left_out and "layers" not in [name for name, _, _ in steps]:
            continue
        last = steps[-1][2]
        evaluator = last.on(prepared.evaluator, weights_by_point=True)
        bits = torch.full((len(prepared.examples), len(last.plan)), last.bits)
        names = [point.name for point in last.plan.points]
        side = replace(context.test, prepared=replace(prepared, evaluator=evaluator))
        yield policy.name, names, side, bits
