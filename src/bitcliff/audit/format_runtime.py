"""A shipped format as a runtime: what a network gives for whole batches in it, simulated."""

from collections import Counter

import torch
from torch import Tensor

from bitcliff.audit.prepare import points_covered
from bitcliff.points import Attachment, Selection, discover, logits_of
from bitcliff.points.attach import Rounding
from bitcliff.points.forward import batch_size
from bitcliff.types.presets import Format
from bitcliff.types.runtime import Runtime
from bitcliff.types.subject import AllInputs, Inputs, Subject


def format_runtime(name: str, shipped: Format, subject: Subject, inputs: AllInputs) -> Runtime:
    """The network in a format, batches as they come: where a batch shares a scale, it does here.

    Args:
        inputs: two examples or more, to find the points with.

    Raises:
        InputError: the format is for no layer of this network.
    """
    points = discover(subject.module, inputs, Selection(include_stem=True))
    rounded = points_covered(f"--numerics {name} rounds", [shipped], points)
    covered = {point.site for point in rounded}
    attachment = Attachment(subject.module, points)
    formats = (shipped,) * len(points)

    def run(batch: Inputs) -> Tensor:
        with torch.no_grad():
            return attachment.run(batch, Rounding(formats=formats, examples=batch_size(batch)))

    def run_float(batch: Inputs) -> Tensor:
        with torch.no_grad():
            return logits_of(subject.module, batch)

    kinds = {point.site: point.kind for point in points.points}
    return Runtime(
        name=name,
        version="simulated",
        description=shipped.formula,
        run=run,
        run_float=run_float,
        quantized=Counter(kind for site, kind in kinds.items() if site in covered),
        in_float=Counter(kind for site, kind in kinds.items() if site not in covered),
    )
