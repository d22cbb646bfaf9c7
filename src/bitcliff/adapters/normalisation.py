"""The usual normalisations of pixels, tried on a network whose file does not name its own.

They are only proposed, with what each gives: what fits by chance would be another network than the
one that ships.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from bitcliff.adapters.optional import quiet
from bitcliff.adapters.source import Source
from bitcliff.adapters.subsample import choose
from bitcliff.adapters.wording import one_line, told_of
from bitcliff.errors import BitcliffError, InputError
from bitcliff.points.forward import logits_of
from bitcliff.types.subject import Preprocessing, Subject

_EXAMPLES, _SHOWN = 64, 4
_BATCH = 8
# On pixels of 0..1, of red, green and blue. The last two keep 0..255; the last is Caffe's.
_USUAL = (
    ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)),
    ((0.485, 0.456, 0.406), (1 / 255, 1 / 255, 1 / 255)),
)


@dataclass(frozen=True)
class _Tried:
    """Attributes: `score` of them, right answers or mean confidence; the options as typed."""

    score: float
    options: str


def tried(subject: Subject, opened: Callable[[Preprocessing], Source], seed: int) -> str:
    """What the usual normalisations give on some of the images, the best first, in one line.

    Args:
        subject: knows its images but for that. opened: the data, with images made in that way.

    Raises:
        InputError: the images cannot be read, or the network not be run on them.
    """
    assert subject.unnormalised is not None  # noqa: S101  (the caller has seen to it)
    source = opened(subject.unnormalised)
    indices = [int(i) for i in choose(source.labels, len(source.ids), _EXAMPLES, seed)]
    labels = None if source.labels is None else torch.from_numpy(source.labels[indices])
    found = []
    for options, preprocessing in _usual(subject.unnormalised):
        inputs = opened(preprocessing).take(indices, None).inputs
        assert isinstance(inputs, Tensor)  # noqa: S101  (images are)
        found.append(_Tried(_score(_scores(subject, inputs), labels), options))
    found.sort(key=lambda one: -one.score)
    return _in_words(found[:_SHOWN], len(indices), labelled=labels is not None)


def _usual(base: Preprocessing) -> Iterator[tuple[str, Preprocessing]]:
    """Each normalisation as it would be typed, and for colours in both orders of channels."""
    for bgr in (False, True) if base.channels == 3 else (False,):
        for mean, std in dict.fromkeys(_of_channels(base.channels, bgr)):
            numbers = (",".join(f"{v:.6g}" for v in dict.fromkeys(each)) for each in (mean, std))
            options = " ".join(
                f"--{name} {n}" for name, n in zip(("mean", "std"), numbers, strict=True)
            )
            made = replace(base, mean=mean, std=std, bgr=bgr)
            yield options + " --channels bgr" * bgr, made


def _of_channels(channels: int, bgr: bool) -> list[tuple[tuple[float, ...], tuple[float, ...]]]:
    if channels == 1:
        return [((mean[1],), (std[1],)) for mean, std in _USUAL]
    return [(mean[::-1], std[::-1]) if bgr else (mean, std) for mean, std in _USUAL]


def _scores(subject: Subject, inputs: Tensor) -> Float[Tensor, "n classes"]:
    try:
        with torch.no_grad(), quiet():
            return torch.cat([logits_of(subject.module, x) for x in inputs.split(_BATCH)])
    except BitcliffError as error:
        raise InputError(told_of(subject.name, error)) from error
    except Exception as error:
        shape = tuple(inputs.shape[1:])
        raise InputError(
            f"{subject.name}: does not accept inputs of shape {shape} ({one_line(error)})"
        ) from error


def _score(scores: Float[Tensor, "n classes"], labels: Tensor | None) -> float:
    if labels is not None:
        return float((scores.argmax(1) == labels).sum())
    sums = bool((scores >= 0).all()) and torch.allclose(scores.sum(1), torch.ones(len(scores)))
    return float((scores if sums else scores.softmax(1)).amax(1).mean())


def _in_words(found: list[_Tried], n: int, labelled: bool) -> str:
    if labelled:
        each = [f"{one.score:.0f} with {one.options}" for one in found]
        return f"of {n} images, right are {', '.join(each)}"
    each = [f"{one.score:.3f} with {one.options}" for one in found]
    return f"on {n} images, the network's mean confidence is {', '.join(each)}"
