"""A network and a pair of which one provably flips the other wherever they share a scale."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bitcliff.questions.isolation.bench import Bench
from bitcliff.types.subject import Subject, tensors_sha256

_WIDTH, _CLASSES = 64, 16


def planted_subject() -> Subject:
    """A linear layer: the first `_CLASSES` of its inputs are the scores, class 0 has a head start.

    The victim's greatest value is 1 and decides for class 1 against a head start of 0.25. Beside a
    companion of a million a step of 8 bits is 3900, and the least of FP8 and of NVFP4's two levels
    is above 2: the victim rounds to zero, and the head start decides.
    """
    layer = nn.Linear(_WIDTH, _CLASSES)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(_CLASSES, _WIDTH))
        layer.bias.zero_()
        layer.bias[0] = 0.25
    module = nn.Sequential(layer).eval().requires_grad_(False)
    return Subject(
        "the planted pair", module, None, None, tensors_sha256(dict(module.state_dict()))
    )


def planted_pair() -> Float[Tensor, "2 width"]:
    """The victim, then its companion."""
    pair = torch.zeros(2, _WIDTH)
    pair[0, 1], pair[1, 2] = 1.0, 1e6
    return pair


def planted_flips(bench: Bench) -> bool:
    """Whether the runtime, given `planted_subject`, lets the companion flip the victim.

    Where it does not, it takes no scale over the batch, and no flip is to be expected of any pair.
    """
    pair = planted_pair()
    alone, shared = bench.scores(pair[:1])[0], bench.scores(pair)[0]
    return bool(alone.argmax() != shared.argmax())
