"""The record of `bitcliff guard`: what each example's quantized pass showed, and the figures."""

from typing import Annotated, Literal

from pydantic import Field

from bitcliff.record.arrays import Floats, Ints
from bitcliff.record.measurement import Measurement
from bitcliff.record.part import Part, Share
from bitcliff.record.schema import Provenance, SubjectInfo
from bitcliff.types.change import PairedChange
from bitcliff.types.guard import GuardSettings
from bitcliff.types.rate import Count, Rate

FIT, CALIBRATE, REPORT = 0, 1, 2
"""In `part`: what an example is for."""

Flags = Literal["some", "all", "none"]
Seconds = Annotated[float, Field(ge=0)]


class Timed(Part):
    """Observed: seconds an example takes, here, in float, quantized, and quantized with signals."""

    in_float: Seconds
    quantized: Seconds
    with_signals: Seconds


class Exported(Part):
    """Observed: a guard of what the scores show in an exported file, in a runtime.

    Attributes:
        sha256: of the file. runtime: its name and version.
        needs_float: (reported,) 1 where the file's second output says so. prediction: (reported,)
            its decisions.
    """

    sha256: str
    runtime: str
    needs_float: Ints
    prediction: Ints


class GuardObserved(Part):
    """All that a measurement observed; arrays are by example, predictions classes or -1 for none.

    Attributes:
        numerics: what is deployed, a format's name or a width; formula: the same in one line.
        isolated: whether an example's result depends on that example alone.
        labels: None where the data has none. part: what each example is for.
        float_prediction, prediction: in float and quantized.
        signals: by name, of the quantized pass (`audit.signals`).
        usual_peaks: at each point the median largest magnitude over the examples that the guard is
            fitted to, which `range` is in octaves beyond.
    """

    provenance: Provenance
    subject: SubjectInfo
    settings: GuardSettings
    numerics: str
    formula: str
    isolated: bool
    ids: list[str] = Field(min_length=1)
    labels: Ints | None
    part: Ints
    float_prediction: Ints
    prediction: Ints
    signals: dict[str, Floats]
    usual_peaks: Floats
    seconds: Timed
    exported: Exported | None = None


class Chance(Part):
    """Figure: what is expected of a guard that flags at random; limits are those of the rate that
    it leaves a part of."""

    value: Share
    low: Share
    high: Share


class AtAlpha(Part):
    """Figures of a guard calibrated for one limit.

    Attributes:
        threshold: None where `flags` is all or none.
        cost: flagged, of those reported on. missed: lost and not flagged, of the same.
        missed_at_random: by flagging as many at random.
    """

    alpha: float
    flags: Flags
    threshold: float | None
    cost: Rate
    missed: Rate
    missed_at_random: Chance


class Random(Part):
    """Figure: the share that must be flagged at random to keep to a limit as surely."""

    alpha: float
    cost: Share


class GuardRule(Part):
    """Figures of one guard: its rule, fitted to the first part, and what it does.

    Attributes:
        fitted_to: what its weights were fitted to tell apart.
        at: under the limit asked for. caught: flagged, of those lost. curve: under other limits.
    """

    name: str
    signals: list[str]
    centre: list[float]
    spread: list[float]
    weights: list[float]
    fitted_to: Literal["lost", "changed", "nothing"]
    at: AtAlpha
    caught: Rate
    curve: list[AtAlpha]


class Telling(Part):
    """Figure: how well a signal alone tells changed decisions; None without any of both kinds."""

    signal: str
    value: float | None
    low: float | None
    high: float | None


class Judged(Part):
    """Figures of those reported on, by label or without labels as in float.

    Attributes:
        changes: from float to quantized, from quantized to guarded, and from float to guarded,
            Holm-adjusted over the three.
    """

    in_float: Rate
    quantized: Rate
    guarded: Rate
    changes: list[PairedChange]


class GuardFigures(Part):
    """Figures of a measurement.

    Attributes:
        counts: examples in each part, in the order fit, calibrate, report. lost: in each of them.
        changed: decided otherwise than in float, of those reported on.
        needed: examples to calibrate on, without a miss among them, for the limit asked for.
        guards: the one asked for, and others. random: flagged at random.
        same_flags, same_predictions: of the exported file and the record; None: not exported.
    """

    counts: list[Count]
    lost: list[Rate]
    changed: Rate
    needed: Count
    guards: list[GuardRule]
    random: list[Random]
    telling: list[Telling]
    judged: Judged
    same_flags: Rate | None
    same_predictions: Rate | None


GuardRecord = Measurement[GuardObserved, GuardFigures]
