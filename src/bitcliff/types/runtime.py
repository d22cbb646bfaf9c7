"""A network as somebody else's runtime runs it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor

from bitcliff.types.runtime_choice import OrtOptions
from bitcliff.types.subject import Inputs

Run = Callable[[Inputs], Float[Tensor, "batch classes"]]
"""A batch as the network takes it to its scores, float32. May raise InputError."""


@dataclass(frozen=True)
class IntegerSums:
    """A network whose products of unsigned by signed 8-bit values, added two by two, may more than
    fill 16 bits: as every processor adds them. Each is opened when it is asked for.

    Attributes:
        exact: with integer sums, as on processors with VNNI.
        saturating: with sums of two that stop at the ends of 16 bits, as on x86 processors without;
            an InputError where that cannot be simulated.
        compared: as this processor adds, and `saturating`, both without fused nodes: these are
            others where pairs are added one by one, and round last digits otherwise.
    """

    exact: Callable[[], Run]
    saturating: Callable[[], Run]
    compared: Callable[[], tuple[Run, ...]]


@dataclass(frozen=True)
class Runtime:
    """A network that was handed to a runtime: outputs only, no gradient, no points.

    Attributes:
        name: as on the command line, such as "ort-dynamic:weights=uint8". options: what it was
            told; None: it takes no options.
        version: of the package that runs it, such as "onnxruntime 1.31.1".
        description: in words, what was done to the network.
        run: one scale may serve the whole batch: an example's scores may then depend on its
            batch-mates. run_float: the same network in float, by the same runtime.
        quantized: how many layers of each kind run in integers. in_float: how many stay in float.
        kinds: of the points (`Point.kind`) that it rounds, those whose weights are constant.
        activation_bits: that it leaves to them. weight_bits: of their weights. per_channel: weights
            have a scale for each output channel, else one a tensor.
        sums: where processors may add its products otherwise; None: all add them alike, or not
            known.
        kept: sites of points (`Point.site`) that it was asked to leave in float, and did.
        not_applied: what of a plan it did not do, in words, and why.
        folded: batch normalisation went into the weights before they were quantized.
        batches: whether it takes more than one example at once.
    """

    name: str
    version: str
    description: str
    run: Run
    run_float: Run
    quantized: Mapping[str, int] = field(default_factory=dict)
    in_float: Mapping[str, int] = field(default_factory=dict)
    kinds: frozenset[str] = frozenset()
    options: OrtOptions | None = None
    activation_bits: int = 8
    weight_bits: int = 8
    per_channel: bool = False
    per_row: bool = False
    folded: bool = False
    batches: bool = True
    sums: IntegerSums | None = None
    kept: frozenset[str] = frozenset()
    not_applied: tuple[str, ...] = ()

    def sizes(self, most: int) -> tuple[int, ...]:
        """Of the batches it is measured in: each example by itself, then as many as it may take."""
        return (1, most) if self.batches and most > 1 else (1,)
