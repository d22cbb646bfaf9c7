"""What `bitcliff explain` says about layers: which points break the network, and which alone."""

from typing import Literal

import numpy as np
from pydantic import Field

from bitcliff.questions.plan_in_runtime import PlanRun, PlanThere
from bitcliff.record.arrays import Ints
from bitcliff.record.part import Part
from bitcliff.record.plan import QuantizationPlan
from bitcliff.types.change import PairedChange
from bitcliff.types.rate import Count, Rate

Curve = Literal["before", "after", "single", "all-but"]
Split = Literal["test", "train"]


class SweepObserved(Part):
    """One policy on one split, as observed. Arrays have one entry an example, -1 where there is
    none.

    Attributes:
        targets: the labels; without labels, float's predictions. -1 where float fails.
        in_float: float's predictions on the machine that explained.
        predictions: by the points that are quantized: "1-3,7" counts them from 1, "" is none.
        calls, macs: watched calls that ran, and their multiply-adds (0: not known); naive_calls,
            naive_macs: what 4 L whole passes would have taken.
        in_runtimes: on the test split, the runtimes of the run with the inflection points in
            float; none in older records.
    """

    policy: str
    split: Split
    n: Count
    targets: Ints
    in_float: Ints
    predictions: dict[str, Ints]
    calls: Count
    naive_calls: Count = Field(gt=0)
    macs: Count
    naive_macs: Count
    in_runtimes: list[PlanRun] = Field(default_factory=list)


class SimulatedObserved(SweepObserved):
    """The same with 8 bits everywhere as a runtime rounds them, simulated: of each layer that is
    quantized the weights are rounded too, of every other nothing is.

    Attributes:
        policy: the runtime's condition. points: of the layers that it quantizes, by name, in order.
    """

    points: list[str]


class KeptObserved(Part):
    """Observed: what a runtime predicts that leaves some layers in float, on every example.

    Attributes:
        policy: its condition. points: of the layers that it quantizes, by name, in order.
        not_kept: those of them that it quantized all the same.
        predictions: by the points whose layers are in float, as in `SweepObserved`, counted from 1
            in `points`: none (measured anew), each by itself, all but each, and some together.
        half: places of the examples that decided which were tried together and which is
            recommended, drawn by seed; none in older records, or with too few: all of them did.
    """

    policy: str
    points: list[str]
    not_kept: list[str]
    predictions: dict[str, Ints]
    half: Ints = Field(default_factory=lambda: np.zeros(0, dtype=np.int32))


class LayersObserved(Part):
    """All explained policies, in their order; test before train.

    Attributes:
        kept: all explained runtimes, or none. simulated: those of the run that are not explained,
            as far as they can be simulated; none in older records.
    """

    sweeps: list[SweepObserved]
    kept: list[KeptObserved] = Field(default_factory=list)
    simulated: list[SimulatedObserved] = Field(default_factory=list)


class LayerStep(Part):
    """A figure: what quantizing one point more costs, at one point of a curve.

    Attributes:
        point: index of the quantized point, from 0. share: of the whole loss.
        change: its p-value is Holm-adjusted over all steps of all curves.
        inflects: large enough and significant.
    """

    curve: Curve
    point: Count
    change: PairedChange
    share: float
    inflects: bool


class Confirmation(Part):
    """Figures: what the inflection points do together, run by itself.

    Attributes:
        points: indices of the points, as named on the test split.
        only: right predictions with only these quantized; cost: the change that makes.
        without: right predictions with all but these quantized; regained: the change from all.
    """

    points: list[Count]
    only: Rate
    cost: PairedChange
    without: Rate
    regained: PairedChange


class LayerSweep(Part):
    """The figures of one policy on one split of n examples.

    Every rate is of right predictions; without labels, of predictions as in float. It speaks of
    the examples that float and the cell in question gave a prediction for.

    Attributes:
        float_rate: in float. none, all: weights rounded and no point, or every point, quantized.
        before, after, single, all_but: for k = 1 to L; k itself is in "before k" and "after k".
        whole: the change from `none` to `all`.
        large_steps: those that carry a large share of the whole loss, significant or not.
        smallest_share: what counts as large. inflection: indices of the points that inflect.
        calls_share, macs_share: the layer calls that ran, and their multiply-adds, as shares of
            those that running each cell of each curve by itself would have taken; None: not known.
        in_runtimes: the inflection points in float in the runtimes of the run.
    """

    policy: str
    split: Split
    n: Count
    float_rate: Rate
    none: Rate
    all: Rate
    before: list[Rate]
    after: list[Rate]
    single: list[Rate]
    all_but: list[Rate]
    whole: PairedChange
    large_steps: list[LayerStep]
    smallest_share: float
    inflection: list[Count]
    confirmation: Confirmation | None
    calls_share: float
    macs_share: float | None
    in_runtimes: list[PlanThere]


class SimulatedSweep(LayerSweep):
    """The same of a runtime's 8 bits, simulated; `none`: nothing is rounded at all."""

    points: list[str]


class KeptSet(Part):
    """The figures of a runtime that leaves these layers in float.

    Attributes:
        points: by name. regained: the change from all quantized; its p-value is Holm-adjusted over
            all sets of the runtime. loss: from float. within: all of its interval is in the limit.
    """

    points: list[str]
    right: Rate
    regained: PairedChange
    loss: PairedChange
    within: bool


class Kept(Part):
    """The figures of one runtime, with everything that it quantizes and with layers in float.

    Attributes:
        whole: the change from float to the runtime. points: of the layers it can leave in float.
        in_blocks: whether layers of one block were left in float together.
        only: right predictions with each layer, or block, as the only one of them quantized.
        sets: each in float by itself, then several.
        chosen_on: examples on which one of the sets was chosen; 0: on all. chosen: that one, on the
            others, or on all; None where the runtime loses nothing beyond chance, or no set helps.
        plan: the same as a file, which was run in this very runtime; None where it does not surely
            help.
    """

    policy: str
    float_rate: Rate
    all: Rate
    whole: PairedChange
    not_kept: list[str]
    points: list[str]
    in_blocks: bool = False
    only: list[Rate]
    sets: list[KeptSet]
    chosen_on: Count
    chosen: KeptSet | None
    plan: QuantizationPlan | None


class Layers(Part):
    """The figures of all explained policies, in their order; test before train. `kept`: those of
    the explained runtimes; simulated: of the others."""

    sweeps: list[LayerSweep]
    kept: list[Kept] = Field(default_factory=list)
    simulated: list[SimulatedSweep] = Field(default_factory=list)
