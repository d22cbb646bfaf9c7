"""The worst case of a changed network, looked for anew as hard as the run looked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Int
from torch import Tensor

from bitcliff.assess.audit import Audit
from bitcliff.assess.evaluate import margins
from bitcliff.assess.explain.context import Tell
from bitcliff.assess.measured import Measured
from bitcliff.assess.suite import Suite
from bitcliff.points import take
from bitcliff.quant import MAX_BITS
from bitcliff.records.explanation_remedies import Family
from bitcliff.types.subject import Examples, Subject


@dataclass(frozen=True)
class Remedy:
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

    def audit(self, audit: Audit, mean: float, places: Int[Tensor, " m"] | None = None) -> Audit:
        """The run's audit with this change made, at one mean of bits, on some of the examples.

        What the run itself kept in float or floored stays so.
        """
        asked = audit.settings
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
        examples = audit.examples if places is None else _some(audit.examples, places)
        return Audit(self.tuned or audit.subject, examples, settings=settings)


@dataclass(frozen=True)
class Searched:
    """A remedy's own worst case.

    Attributes:
        audit: with the change made. suite: the changed network attached. worst: what was found.
        places: of the examples searched, among those of the run.
    """

    remedy: Remedy
    audit: Audit
    suite: Suite
    worst: Measured
    places: Sequence[int]

    @property
    def bits(self) -> Int[Tensor, "n points"]:
        """The worst bits of every example."""
        return torch.tensor([self.worst.outcomes[row].bits for row in range(len(self.places))])

    @property
    def predictions(self) -> dict[int, int | None]:
        """What the network says under them, by place."""
        return {place: self.worst.outcomes[row].prediction for row, place in enumerate(self.places)}


def search_again(
    remedy: Remedy, audit: Audit, mean: float, tell: Tell, places: Int[Tensor, " m"] | None = None
) -> Searched:
    """The worst case of every example under a remedy, as `bitcliff assess` would find it.

    Raises:
        InfeasibleBudget: the remedy's floors cannot be kept at this mean.
    """
    changed = remedy.audit(audit, mean, places)
    suite, _ = changed.ready()
    name = f"worst-{mean:g}"
    suite.measure_only([name], lambda _policy, done, whole: tell(remedy.words, done, whole))
    searched = range(len(audit.examples)) if places is None else places.tolist()
    return Searched(remedy, changed, suite, suite.done[name], searched)


def most_to_blame(
    suite: Suite, bits: Int[Tensor, "n points"], places: Int[Tensor, " m"]
) -> list[str]:
    """The points by what it gives back to round only there finely, the most first.

    Only the examples at `places` are asked.

    Every other point spends what it did: the examples that are right again decide, then the mean
    margin. It is a guess at what helps once the adversary answers to it.
    """
    points = suite.evaluator.attachment.plan.points
    wanted = torch.tensor([-1 if right is None else right for right in suite.wanted])[places]
    reference = suite.evaluator.reference[places]
    gains = []
    for place, point in enumerate(points):
        finer = bits[places]
        finer[:, place] = MAX_BITS  # as good as float, and needs no other attachment
        scores = suite.evaluator.scores(places, finer)
        won = int((scores.finite & (scores.predictions == wanted)).sum())
        found = margins(scores.logits, reference)[scores.finite]
        gains.append((-won, -float(found.mean()) if len(found) else 0.0, place, point.name))
    return [name for *_, name in sorted(gains)]


def _some(examples: Examples, places: Int[Tensor, " m"]) -> Examples:
    return replace(
        examples,
        inputs=take(examples.inputs, places),
        labels=None if examples.labels is None else examples.labels[places],
        ids=tuple(examples.ids[place] for place in places.tolist()),
    )
