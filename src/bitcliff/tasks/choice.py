"""What `--task` says."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bitcliff.errors import InputError, nearest
from bitcliff.tasks.against_float import Comparison
from bitcliff.tasks.classification import Classification
from bitcliff.tasks.continuation import Continuation
from bitcliff.tasks.ctc import Ctc
from bitcliff.tasks.detection import Detection
from bitcliff.tasks.multiple_choice import MultipleChoice
from bitcliff.tasks.neighbours import Nearest, Verification
from bitcliff.tasks.next_token import NextToken
from bitcliff.tasks.positions import MeanIou, Positions
from bitcliff.tasks.protocol import Task
from bitcliff.tasks.span import Span
from bitcliff.tasks.threshold import Threshold
from bitcliff.tasks.top_k import TopK
from bitcliff.tasks.values import Embedding, Labels, Values


@dataclass(frozen=True)
class _Named:
    """A task's name: what it is alone, and of a number after a colon; None: not so.

    `fits` is a number that will do, `such_as` says in words which do. `before` stands before the
    number; `of_share`: what it is of a share of 1, where that is given as a percentage.
    """

    alone: Callable[[], Task | Comparison] | None
    of: Callable[[float], Task | Comparison] | None = None
    fits: Callable[[float], bool] = math.isfinite
    such_as: str = ""
    before: str = ""
    of_share: Callable[[float], Task | Comparison] | None = None


_NAMED = {
    "classification": _Named(
        Classification,
        lambda x: TopK(int(x)),
        lambda x: 1 <= x <= 10_000 and x == int(x),
        "how many of the best: classification:top5",
        before="top",
    ),
    "threshold": _Named(Threshold, Threshold, such_as="a number, such as threshold:0.5"),
    "next-token": _Named(NextToken),
    "continuation": _Named(
        None,
        lambda x: Continuation(int(x)),
        lambda x: 0 < x <= 1024 and x == int(x),
        "how many tokens: continuation:16",
    ),
    "choice": _Named(MultipleChoice),
    "positions": _Named(
        Positions, Positions, lambda x: 0 <= x < 1, "a share from 0 to 1, such as positions:0.01"
    ),
    "iou": _Named(MeanIou, MeanIou, lambda x: 0 <= x < 1, "a share from 0 to 1, such as iou:0.01"),
    "span": _Named(Span),
    "ctc": _Named(
        Ctc, lambda x: Ctc(int(x)), lambda x: x >= 0 and x == int(x), "the blank's number: ctc:0"
    ),
    "detection": _Named(
        Detection, Detection, lambda x: 0 <= x < 1, "a score from 0 to 1, such as detection:0.5"
    ),
    "values": _Named(
        None,
        Values,
        lambda x: 0 < x < math.inf,
        "a tolerance, such as values:0.5 or values:5%",
        of_share=lambda x: Values(x, relative=True),
    ),
    "embedding": _Named(
        Nearest, Embedding, lambda x: -1 < x < 1, "a cosine such as embedding:0.99, or gallery=FILE"
    ),
    "verification": _Named(
        None, Verification, lambda x: -1 < x < 1, "a cosine, such as verification:0.6"
    ),
    "labels": _Named(Labels, Labels, such_as="a number, such as labels:0.5"),
}

_GALLERY = "gallery="


def read_task(text: str) -> Task | Comparison:
    """A task by its name, and after a colon what it is told.

    Raises:
        InputError: there is none such, or what it is told will not do.
    """
    name, colon, told = text.partition(":")
    found = _NAMED.get(name)
    if found is None:
        raise InputError(
            f"--task {text}: is not known{nearest(name, _NAMED)}; give {', '.join(_NAMED)}"
        )
    if not colon:
        if found.alone is None:
            raise InputError(f"--task {text}: needs {found.such_as}")
        return found.alone()
    file = told.removeprefix(_GALLERY)
    if found.alone is Nearest and file and file != told:
        return Nearest(Path(file))
    if found.of is None:
        raise InputError(f"--task {text}: takes nothing after a colon")
    of_share = found.of_share if told.endswith("%") else None
    try:
        number = float(told.removeprefix(found.before).removesuffix("%" if of_share else ""))
    except ValueError:
        number = math.nan
    if not told.startswith(found.before):
        number = math.nan
    if not math.isfinite(number) or not found.fits(number):
        raise InputError(f"--task {text}: needs {found.such_as}")
    return found.of(number) if of_share is None else of_share(number / 100)
