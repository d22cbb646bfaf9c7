"""The worst case of a changed network, looked for anew as hard as the run looked."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Int
from torch import Tensor

from bitcliff.audit.evaluator import margins
from bitcliff.audit.prepare import Prepared, prepare
from bitcliff.audit.schedule import Schedule
from bitcliff.points.forward import part_of
from bitcliff.quant import MAX_BITS
from bitcliff.questions.context import Tell
from bitcliff.questions.mitigations.record import Family
from bitcliff.record import Measured
from bitcliff.record.arrays import classes
from bitcliff.types.subject import Examples, Subject


@dataclass(frozen=True)
class Mitigation:
    """A change of how a network is quantized, or of its weights.

    Attributes:
        in_float: names of points. floors: bits by name. scheme: None as in the run. tuned: the
            network with other weights.
    """

    family: Family
    words: str
    in_float: tuple[str, ...] = ()
    floors: Mapping[str, int] = field(default_factory=dict)
    scheme: str | None = None
    tuned: Subject | None = None

    def on(self, run: Prepared, mean: float, places: Int[Tensor, " m"] | None = None) -> Prepared:
        """What a run prepared with this change made, at one mean of bits, on some of the examples.

        What the run itself kept in float or floored stays so.
        """
        asked = run.settings
        in_float = dict.fromkeys((*asked.in_float, *self.in_float))
        floors = {
            name: bits
            for name, bits in {**asked.floors, **self.floors}.items()
            if name not in in_float
        }
        settings = asked.changed(
            in_float=tuple(in_float),
            floors=floors,
            scheme=self.scheme or asked.scheme,
            budgets=(mean,),
        )
        examples = run.examples if places is None else _some(run.examples, places)
        return prepare(self.tuned or run.subject, examples, settings)


@dataclass(frozen=True)
class Searched:
    """A mitigation's own worst case.

    Attributes:
        prepared: with the change made. worst: what was found.
    """

    mitigation: Mitigation
    prepared: Prepared
    worst: Measured

    @property
    def bits(self) -> Int[Tensor, "n points"]:
        """The worst bits of every example that was searched."""
        bits = self.worst.outcomes.every_bits()
        assert bits is not None  # noqa: S101  (a worst case spends some)
        return torch.from_numpy(bits.astype("int64"))


def search_again(
    mitigation: Mitigation,
    run: Prepared,
    mean: float,
    tell: Tell,
    places: Int[Tensor, " m"] | None = None,
) -> Searched:
    """The worst case of every example under a mitigation, as `bitcliff assess` would find it.

    Raises:
        InfeasibleBudget: the mitigation's floors cannot be kept at this mean.
    """
    schedule = Schedule(mitigation.on(run, mean, places))
    name = f"worst-{mean:g}"
    schedule.measure_only([name], lambda _policy, done, whole: tell(mitigation.words, done, whole))
    return Searched(mitigation, schedule.prepared, schedule.done[name])


def most_to_blame(
    prepared: Prepared, bits: Int[Tensor, "n points"], places: Int[Tensor, " m"]
) -> list[str]:
    """The points by what it gives back to round only there finely, the most first.

    Only the examples at `places` are asked.

    Every other point gets the bits it had: the examples that are right again decide, then the mean
    margin. It is a guess at what helps once the adversary answers to it.
    """
    evaluator = prepared.evaluator
    targets = torch.from_numpy(classes(prepared.targets))[places]
    reference = evaluator.reference[places]
    gains = []
    for index, point in enumerate(prepared.points.points):
        finer = bits[places]
        finer[:, index] = MAX_BITS  # as good as float, and needs no other attachment
        scores = evaluator.scores(places, finer)
        won = int((scores.finite & (scores.predictions == targets)).sum())
        found = margins(scores.logits, reference)[scores.finite]
        gains.append((-won, -float(found.mean()) if len(found) else 0.0, index, point.name))
    return [name for *_, name in sorted(gains)]


def _some(examples: Examples, places: Int[Tensor, " m"]) -> Examples:
    return replace(
        examples,
        inputs=part_of(examples.inputs, places),
        labels=None if examples.labels is None else examples.labels[places],
        ids=tuple(examples.ids[place] for place in places.tolist()),
    )
