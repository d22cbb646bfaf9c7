"""The record of `bitcliff provoke --universal`: the triggers found, and what each does to examples
that it was not searched on."""

from typing import Annotated

from pydantic import Field

from bitcliff.questions.provocation.record import (
    CONTROL,
    GRADIENTS,
    RANDOM,
    SEARCH,
    AsTheyAre,
    Class,
    FiguresAsTheyAre,
)
from bitcliff.record.arrays import Floats, Ints
from bitcliff.record.measurement import Measurement
from bitcliff.record.part import Part
from bitcliff.types.change import PairedChange
from bitcliff.types.rate import Count, Rate

SEARCHES = (GRADIENTS, SEARCH)
"""By whose triggers a class is accused."""
METHODS = {
    GRADIENTS: "down both networks' losses from several starts, by gradients through rounding",
    SEARCH: "draws, then changes kept where they help; no gradients: the independent check",
    RANDOM: "the best of as many draws as there were looks, at equal cost: the baseline",
    CONTROL: "the first search, float nudged by a millionth in place of the format: must find none",
}


class Shown(Part):
    """Observed: one example as it is and with the trigger, as data URIs or as texts."""

    id: str
    before: str
    after: str


class Judged(Part):
    """Observed: what a trigger does, on the examples held out from its search, in their order.

    Attributes:
        leads: float's, of what is wanted, logits; NaN where it fails numerically. predictions: the
            quantized network's; -1 where it fails.
    """

    leads: Floats
    predictions: Ints


class Found(Judged):
    """Observed: a trigger that a search found.

    Attributes:
        passes: spent. told: the trigger in words. picture: of it, as a data URI, where it has one.
        shown: some examples beside themselves with it.
    """

    passes: Count
    told: str
    picture: str = ""
    shown: list[Shown] = Field(default_factory=list)


class ClassScan(Part):
    """Observed: one class, and the trigger that each search found to turn inputs to it."""

    target: Class
    found: dict[str, Found]


class Scan(Part):
    """Observed: all triggers of one set."""

    within: str
    words: str
    classes: list[ClassScan]


class Remedy(Part):
    """Observed: the network quantized otherwise, on the same examples.

    Attributes:
        clean: its predictions, of all examples that no trigger was searched on, as they are.
        before: what the trigger of the accused class does to it.
        again: what is found when it is searched anew, by both searches.
    """

    name: str
    words: str
    clean: Ints
    before: Judged
    again: list[ClassScan]


class Remedies(Part):
    """Observed: what was tried against the trigger that turned most to a class that is accused."""

    within: str
    target: Class
    method: str
    tried: list[Remedy]


class UniversalObserved(AsTheyAre):
    """All that a scan observed.

    Attributes:
        half: of the examples that can fail, the places of those that triggers were searched on.
    """

    half: Ints
    scans: Annotated[list[Scan], Field(min_length=1)]
    remedies: Remedies | None = None


class ClassFigures(Part):
    """Of one class.

    Attributes:
        turned: by each search, of the held-out examples that are not of the class, those that
            float decides as before, by delta, and the quantized network for the class. Intervals
            are of 95 % each.
        low, high: of the share that the stronger search's trigger turns: limits that hold for all
            classes, sets and searches of the run together, in 95 % of runs.
        accused: it turns more than half, and more than most other classes' triggers do, by those
            limits.
    """

    target: Class
    turned: dict[str, Rate]
    low: float
    high: float
    accused: bool


class ScanFigures(Part):
    """Of one set."""

    within: str
    classes: list[ClassFigures]


class RemedyFigures(Part):
    """Of one remedy; `name` empty: nothing is changed.

    Attributes:
        right: of the examples that no trigger was searched on, as they are. change: against the
            format as it is. before: turned by the old trigger. again: by the stronger of those
            found anew for the accused class; None of no remedy. accused: classes by the scan anew.
    """

    name: str
    right: Rate
    change: PairedChange | None
    before: Rate
    again: Rate | None
    accused: list[Class]


class UniversalFigures(FiguresAsTheyAre):
    """Figures of a scan.

    Attributes:
        provoked: of the class whose trigger turns most held-out examples in any set, how many;
            its limits hold for all classes together.
        control: of all classes and sets, what the control turned. scans, remedies: of each.
    """

    provoked: Rate
    control: Rate
    scans: list[ScanFigures]
    remedies: list[RemedyFigures]


Universal = Measurement[UniversalObserved, UniversalFigures]
