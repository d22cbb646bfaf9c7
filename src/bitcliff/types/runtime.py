"""A network as somebody else's runtime runs it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor

from bitcliff.types.subject import Inputs


@dataclass(frozen=True)
class Runtime:
    """A network that was handed to a runtime: answers only, no gradient, no points.

    Attributes:
        name: as on the command line, such as "ort-dynamic".
        version: of the package that runs it, such as "onnxruntime 1.31.1".
        description: in words, what was done to the network.
        run: a batch as the network takes it to its scores, float32. One scale may serve the whole
            batch: an example's scores may then depend on its batch-mates.
        quantized: how many layers of each kind run in integers. in_float: how many stay in float.
    """

    name: str
    version: str
    description: str
    run: Callable[[Inputs], Float[Tensor, "batch classes"]]
    quantized: Mapping[str, int] = field(default_factory=dict)
    in_float: Mapping[str, int] = field(default_factory=dict)
