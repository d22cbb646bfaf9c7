"""One run in a table of many: what it was about, and its figures in rows of one form."""

from dataclasses import dataclass, field, replace
from typing import Any

from bitcliff.types.change import PairedChange
from bitcliff.types.rate import ClusteredRate, Rate


@dataclass(frozen=True)
class Figure:
    """One figure of a run: k of n, with its 95 % interval, as shares.

    Attributes:
        name: the condition's; of another measurement, what was counted. threat: whose work it is.
        numerics: the format or runtime, where there is one. mean_bits: as asked for.
        counted: what k counts, such as "right" or "as in float".
        change_pp, change_low, change_high, p_holm: against float, percentage points, as the run
            itself states it; None where it does not.
        verdict: by the run's own threshold; None where the run is not judged by it.
    """

    name: str
    threat: str
    counted: str
    k: int
    n: int
    value: float | None
    low: float | None
    high: float | None
    numerics: str | None = None
    mean_bits: float | None = None
    change_pp: float | None = None
    change_low: float | None = None
    change_high: float | None = None
    p_holm: float | None = None
    verdict: str | None = None


@dataclass(frozen=True)
class Run:
    """One run folder.

    Attributes:
        path: as it was found. command: that measured it. also: that were run on it since.
        weights_sha256, data_sha256: empty where the run does not say. started, finished: UTC, ISO
            8601. verdict: by the run's own threshold; None where it has none.
        refused: why it cannot be read, in one line; all else may then be empty.
        figures: in the order of its record.
    """

    path: str
    command: str
    also: str = ""
    model: str = ""
    data: str = ""
    examples: int | None = None
    weights_sha256: str = ""
    data_sha256: str = ""
    seed: int | None = None
    bitcliff: str = ""
    started: str = ""
    finished: str = ""
    verdict: str | None = None
    refused: str | None = None
    figures: tuple[Figure, ...] = field(default=(), compare=False)


def figure_of(
    name: str,
    counted: str,
    rate: Rate | ClusteredRate,
    change: PairedChange | None = None,
    *,
    threat: str = "none",
    numerics: str | None = None,
    mean_bits: float | None = None,
    verdict: str | None = None,
) -> Figure:
    """A rate, and what changed against float, as a row."""
    ends = rate.model_dump(include={"k", "n", "value", "low", "high"})
    about: dict[str, Any] = {"numerics": numerics, "mean_bits": mean_bits, "verdict": verdict}
    figure = Figure(name, threat, counted, **ends, **about)
    if change is None:
        return figure
    return replace(
        figure,
        change_pp=change.difference_pp,
        change_low=change.low_pp,
        change_high=change.high_pp,
        p_holm=change.p_holm,
    )
