"""What other people's runtimes make of the network: what was observed, and what follows from it."""

from typing import Annotated, Literal

from pydantic import Field

from bitcliff.questions.runtime_description import RuntimeDescription, Step
from bitcliff.questions.timing import Time
from bitcliff.record.arrays import Floats, Ints
from bitcliff.record.part import Part
from bitcliff.types.rate import Count, Rate

KEY = "runtimes"

Simulated = Step | Literal["weights-float", "weights-per-channel", "activations-per-row"]
RungName = Simulated | Literal["runtime", "batch"]

ELSEWHERE = ("processors with VNNI", "x86 processors without VNNI")
"""Whose sums are exact, and whose saturate."""


class Seconds(Part):
    """Observed: seconds an example, the median of several takes, and their quartiles."""

    median: Time
    low: Time
    high: Time


class Speed(Part):
    """Observed: how long it takes, by turns on the same batch of `batch_size` examples.

    `simulation` is 8 bits everywhere, simulated here; None where the network is not looked into.
    """

    batch_size: Annotated[Count, Field(ge=1)]
    takes: Annotated[Count, Field(ge=1)]
    quantized: Seconds
    in_float: Seconds
    simulation: Seconds | None


class SimulatedRung(Part):
    """Observed: a simulation that differs from the one before in one thing, on every example.

    Attributes:
        words: what it changes. prediction, margin: (n,) as in the record's outcomes.
    """

    name: Simulated
    words: str
    prediction: Ints
    margin: Floats


class OtherProcessor(Part):
    """Observed: what a processor that adds integer products otherwise would decide, simulated.

    Attributes:
        saturates: it adds them two by two in 16 bits (x86 without VNNI); else its sums are exact.
        prediction, margin: (n,) as in the record's outcomes, in batches as in one of them.
        checked: examples of which this processor's own saturating sums were simulated too. alike:
            those of them where every score was the runtime's to the bit.
    """

    saturates: bool
    prediction: Ints
    margin: Floats
    checked: Count = 0
    alike: Count = 0


class RuntimeObserved(RuntimeDescription):
    """Observed: a runtime, its speed, and what simulations that come ever nearer to it predict.

    Attributes:
        cpu_flags: of the instructions for sums of integer products, those that the processor has.
        may_saturate: on that processor, sums of its products may not fit; None: not asked, as in
            older records.
        speed: times of one machine; no figure can be worked out anew without measuring again.
        rungs: of the ablation, those that were simulated; none where there is nothing to simulate.
        instead: the last of them with other weights, or a scale for each row; none in older
            records.
        left_out: what could not be measured, and why.
        other_processor: None where all processors decide alike, as far as is known; where it cannot
            be simulated; in older records. other_in_batches: the same of the runtime in batches.
        not_forecast: what of this could not be simulated, operators by name, and why.
    """

    cpu_flags: list[str]
    may_saturate: bool | None = None
    speed: Speed
    rungs: list[SimulatedRung]
    instead: list[SimulatedRung] = Field(default_factory=list)
    left_out: list[str]
    other_processor: OtherProcessor | None = None
    other_in_batches: OtherProcessor | None = None
    not_forecast: list[str] = Field(default_factory=list)


class RuntimesObserved(Part):
    """Observed: the runtimes that the network was run in."""

    runtimes: list[RuntimeObserved]


class Rung(Part):
    """Figures of one variant on the way from the simulation to the runtime.

    Attributes:
        changed: decisions other than on the rung above; None on the first.
        from_float: decisions other than in float. from_runtime: other than the runtime's, each
            example by itself.
        margin_gap: how far the margin lies from the runtime's, logits: the median over the
            examples; None where none has both.
    """

    name: RungName
    words: str
    changed: Rate | None
    from_float: Rate
    from_runtime: Rate
    margin_gap: float | None


class OtherDecisions(Part):
    """Figures of the processors that add integer products otherwise than this one.

    Attributes:
        changed: decisions other than on this processor. examples: their ids.
        right_here, right_there: on this processor and on those; None without labels.
    """

    changed: Rate
    examples: list[str]
    right_here: Rate | None
    right_there: Rate | None


class RuntimeFigures(Part):
    """Figures of one runtime.

    Attributes:
        faster: how many times as fast as in float it is, by the median times; None where they say
            nothing.
        rungs: from the simulation to the runtime, one change a rung; none where nothing was
            simulated.
        instead: the last simulated rung with other weights or scales, each compared with it.
        other_processor, other_in_batches: None where nothing was forecast.
    """

    name: str
    faster: float | None
    rungs: list[Rung]
    instead: list[Rung] = Field(default_factory=list)
    other_processor: OtherDecisions | None = None
    other_in_batches: OtherDecisions | None = None


class Runtimes(Part):
    """Figures of all runtimes, in the order of what was observed."""

    runtimes: list[RuntimeFigures]
