"""The part of a record that is about other people's runtimes."""

from bitcliff.records.part import Part
from bitcliff.types.rate import Rate


class Seconds(Part):
    """Seconds an example: the median of several takes, and their quartiles."""

    median: float
    low: float
    high: float


class Speed(Part):
    """How long it takes, all takes of one run by turns on the same batch of `batch_size` examples.

    `simulation` is 8 bits everywhere, simulated here; None where the network is not looked into.
    """

    batch_size: int
    takes: int
    quantized: Seconds
    in_float: Seconds
    simulation: Seconds | None


class Rung(Part):
    """One variant on the way from the simulation to the runtime.

    Attributes:
        changed: decisions other than on the rung above; None on the first.
        from_float: decisions other than in float. from_runtime: other than the runtime's, each
            example by itself.
        margin_gap: how far the margin lies from the runtime's, logits: the median over the
            examples; None where none has both.
    """

    name: str
    words: str
    changed: Rate | None
    from_float: Rate
    from_runtime: Rate
    margin_gap: float | None


class RuntimeDescription(Part):
    """A runtime that ran the network.

    Attributes:
        quantized, in_float: how many layers of each kind compute in integers, and in float.
    """

    name: str
    version: str
    description: str
    quantized: dict[str, int]
    in_float: dict[str, int]


class RuntimeInfo(RuntimeDescription):
    """The same, and how its decisions hang together with the simulation's.

    Attributes:
        cpu_flags: of the instructions for sums of integer products, those that the processor has.
        ladder: from the simulation to the runtime, one change a rung; empty where there is nothing
            to simulate. left_out: rungs that could not be measured, and why.
    """

    cpu_flags: list[str]
    speed: Speed
    ladder: list[Rung]
    left_out: list[str]
