"""What was observed: every example in float, and under each condition. Arrays, one row an example.

`Rows` shows the same example by example, for whoever asks about one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import numpy.typing as npt
from pydantic import Field

from bitcliff.record.arrays import NONE, Floats, Ints, Ints2, Small2, classes
from bitcliff.record.conditions import Condition
from bitcliff.record.part import Part
from bitcliff.types.rate import Count
from bitcliff.types.waveform import Waveform


@dataclass(frozen=True)
class Outcome:
    """One example under one condition.

    Attributes:
        prediction: argmax; None on a numeric failure.
        margin: logit of the reference class minus the largest other; None on a numeric failure.
        failed_at: the point at which a NaN or infinity first showed, else None.
        bits: the allocation at the quantized points, in their order; None where nothing is rounded.
        draws: for random policies, the prediction in each draw (None: numeric failure).
        repeats: for searched policies, the prediction in each repeat with a nudged input.
        in_float: what float predicts in the same batches, where that is noted.
        said: the outcome, where it is a text.
    """

    prediction: int | None
    margin: float | None
    failed_at: str | None = None
    bits: list[int] | None = None
    draws: list[int | None] | None = None
    repeats: list[int | None] | None = None
    in_float: int | None = None
    said: str | None = None


@dataclass(frozen=True)
class ExampleRow:
    """One example: what float predicts, and what each condition made of it.

    `thumbnail` is a small image as a data URI, `text` what a text says or how it ends, `wave` a
    sound; all are kept for examples at risk only. `said` is float's outcome, where that is a text,
    `wanted` its label.
    """

    id: str
    label: int | None
    float_prediction: int | None
    float_margin: float | None
    outcomes: Mapping[str, Outcome]
    thumbnail: str | None = None
    text: str | None = None
    said: str | None = None
    wanted: str | None = None
    wave: Waveform | None = None

    def before(self, outcome: Outcome) -> int | None:
        """What float predicts that this outcome is compared with."""
        return self.float_prediction if outcome.in_float is None else outcome.in_float


class Outcomes(Part):
    """The m examples that were measured under one condition, in the order of the data.

    Attributes:
        places: (m,) their places in the data, increasing; None: all.
        prediction: (m,) argmax, -1 on a numeric failure.
        margin: (m,) logit of the reference class minus the largest other; NaN on a failure.
        failed_at: by row, the point at which a NaN or infinity first showed.
        bits: (m, L) or, where all examples share them, (1, L); None where nothing is rounded.
        draws: (d, m) for random policies, the prediction in each draw.
        repeats: (r, m) for searched policies, the prediction in each repeat with a nudged input.
        in_float: (m,) what float predicts when it is run in the same batches, -1 on a numeric
            failure, where that is not what the table says, since float depends on its batch.
        plan: (L,) of a mix of formats, the one at each point, the same for all examples.
        score: (m,) how much of an outcome is as labelled, or without labels as in float, from 0 to
            1, where that is no single choice; NaN on a failure.
        said: (m) where outcomes are texts, these.
        nll, kl: (m,) of a language model in nats, sums over the tokens of a text that follow
            another: how unlikely it finds them, and KL(float ‖ this) of what may follow; NaN on a
            failure.
    """

    places: Ints | None = None
    prediction: Ints
    margin: Floats
    failed_at: dict[Count, str] = Field(default_factory=dict)
    bits: Small2 | None = None
    draws: Ints2 | None = None
    repeats: Ints2 | None = None
    in_float: Ints | None = None
    plan: list[str] | None = None
    score: Floats | None = None
    said: list[str] | None = None
    nll: Floats | None = None
    kl: Floats | None = None

    def __len__(self) -> int:
        return len(self.prediction)

    @property
    def index(self) -> npt.NDArray[np.int32]:
        """(m,) the places of the examples, also where these are all."""
        return np.arange(len(self), dtype=np.int32) if self.places is None else self.places

    @property
    def allocation(self) -> list[int] | None:
        """The bits at each point where all examples share them, else None."""
        if self.bits is None or not len(self.bits) or bool((self.bits != self.bits[0]).any()):
            return None
        return [int(width) for width in self.bits[0]]

    def spread(self, n: int) -> npt.NDArray[np.int32]:
        """(n,) the prediction at every place of the data, -1 also where it was not measured."""
        found = np.full(n, NONE, dtype=np.int32)
        found[self.index] = self.prediction
        return found

    def every_bits(self) -> npt.NDArray[np.uint8] | None:
        """(m, L) a row for each example, also where they share one."""
        if self.bits is None:
            return None
        return np.broadcast_to(self.bits, (len(self), self.bits.shape[1]))

    def row_of(self, place: int) -> int | None:
        """The row of the example at a place of the data; None: it was not measured."""
        if self.places is None:
            return place if 0 <= place < len(self) else None
        row = int(np.searchsorted(self.places, place))
        return row if row < len(self) and self.places[row] == place else None

    def at(self, place: int) -> Outcome:
        """What became of the example at a place of the data.

        Raises:
            KeyError: it was not measured.
        """
        row = self.row_of(place)
        if row is None:
            raise KeyError(place)
        bits = self.every_bits()
        margin = float(self.margin[row])
        return Outcome(
            prediction=_or_none(self.prediction[row]),
            margin=None if np.isnan(margin) else margin,
            failed_at=self.failed_at.get(row),
            bits=None if bits is None else bits[row].tolist(),
            draws=None if self.draws is None else [_or_none(p) for p in self.draws[:, row]],
            repeats=None if self.repeats is None else [_or_none(p) for p in self.repeats[:, row]],
            in_float=None if self.in_float is None else _or_none(self.in_float[row]),
            said=None if self.said is None else self.said[row],
        )


class Effort(Part):
    """What was spent to find or measure this, in examples passed through the network.

    A worst case that was found bounds the true one from one side only; `method` says how it was
    looked for.
    """

    forward_passes: Count
    backward_passes: Count
    method: str


class Measured(Part):
    """One condition, measured.

    Attributes:
        broken: places of the examples that gave NaN or infinity under any allocation that was tried
            on the way, in a search or in any draw, though perhaps not under the one shown.
        strays: calls that discovery had not seen; they make a run incomplete, also a resumed one.
    """

    condition: Condition
    effort: Effort
    outcomes: Outcomes
    broken: list[Count] = Field(default_factory=list)
    strays: list[str] = Field(default_factory=list)

    @property
    def name(self) -> str:
        """The condition's."""
        return self.condition.name


class Table(Part):
    """The examples and what float predicts of them.

    Attributes:
        ids: n distinct names. labels: (n,) classes, or None where there are none.
        prediction: (n,) float's argmax, -1 on a numeric failure. margin, score: (n,) as in
            `Outcomes`.
        thumbnails, texts, waves: small images as data URIs, what texts say, or sounds, by id; kept
            for examples at risk only. pictures: what is to be seen in the thumbnails, where they
            are not just the examples; empty also where the record is older than this.
        said, wanted: (n) where outcomes are texts, float's own, and those that are labels.
        nll, tokens: (n,) of a language model: as in `Outcomes`, and over how many tokens.
    """

    ids: list[str]
    labels: Ints | None
    prediction: Ints
    margin: Floats
    score: Floats | None = None
    thumbnails: dict[str, str] = Field(default_factory=dict)
    texts: dict[str, str] = Field(default_factory=dict)
    said: list[str] | None = None
    wanted: list[str] | None = None
    pictures: str = ""
    waves: dict[str, Waveform] = Field(default_factory=dict)
    nll: Floats | None = None
    tokens: Ints | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def targets(self) -> npt.NDArray[np.int32]:
        """(n,) the labels; without them what float predicts, -1 where it fails."""
        return self.prediction if self.labels is None else self.labels

    def before(self, found: Outcomes) -> npt.NDArray[np.int32]:
        """(m,) what float predicts that these outcomes are compared with: run in like batches."""
        return self.prediction[found.index] if found.in_float is None else found.in_float


class Rows(Sequence[ExampleRow]):
    """The examples of a table one by one, with what each condition made of them."""

    def __init__(self, table: Table, measured: Sequence[Measured]) -> None:
        self._table = table
        self._outcomes = {one.name: one.outcomes for one in measured}

    def __len__(self) -> int:
        return len(self._table)

    @overload
    def __getitem__(self, place: int) -> ExampleRow: ...
    @overload
    def __getitem__(self, place: slice) -> list[ExampleRow]: ...
    def __getitem__(self, place: int | slice) -> ExampleRow | list[ExampleRow]:
        if isinstance(place, slice):
            return [self[one] for one in range(len(self))[place]]
        place, table = range(len(self))[place], self._table
        margin = float(table.margin[place])
        return ExampleRow(
            id=table.ids[place],
            label=None if table.labels is None else int(table.labels[place]),
            float_prediction=_or_none(table.prediction[place]),
            float_margin=None if np.isnan(margin) else margin,
            outcomes=_OutcomesAt(place, self._outcomes),
            thumbnail=table.thumbnails.get(table.ids[place]),
            text=table.texts.get(table.ids[place]),
            said=None if table.said is None else table.said[place],
            wanted=None if table.wanted is None else table.wanted[place],
            wave=table.waves.get(table.ids[place]),
        )


class _OutcomesAt(Mapping[str, Outcome]):
    """Of one example, by the condition's name; each made when it is asked for."""

    def __init__(self, place: int, outcomes: Mapping[str, Outcomes]) -> None:
        self._place, self._outcomes = place, outcomes

    def __getitem__(self, name: str) -> Outcome:
        return self._outcomes[name].at(self._place)

    def __iter__(self) -> Iterator[str]:
        place = self._place
        return (name for name, one in self._outcomes.items() if one.row_of(place) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def outcomes_of_rows(by_place: Mapping[int, Outcome]) -> Outcomes:
    """Outcomes given one by one, by their places in the data, as arrays."""
    rows = list(by_place.values())
    margins = [np.nan if one.margin is None else one.margin for one in rows]
    bits = [one.bits for one in rows if one.bits is not None]
    return Outcomes(
        places=np.array(list(by_place), dtype=np.int32),
        prediction=classes([one.prediction for one in rows]),
        margin=np.array(margins, dtype=np.float64),
        failed_at={row: one.failed_at for row, one in enumerate(rows) if one.failed_at is not None},
        bits=np.array(bits, dtype=np.uint8) if bits else None,
        draws=_columns([one.draws for one in rows]),
        repeats=_columns([one.repeats for one in rows]),
        in_float=None
        if all(one.in_float is None for one in rows)
        else classes([one.in_float for one in rows]),
    )


def _columns(rows: Sequence[list[int | None] | None]) -> npt.NDArray[np.int32] | None:
    known = [classes(row) for row in rows if row is not None]
    return np.stack(known, axis=1) if known else None


def _or_none(prediction: np.int32) -> int | None:
    return None if prediction == NONE else int(prediction)
