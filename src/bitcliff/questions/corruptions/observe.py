"""Running the network on corrupted images, in float and under each explained policy."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from bitcliff.audit.evaluator import Evaluator, Scores
from bitcliff.audit.inputs import laid_out_for_speed
from bitcliff.audit.outcomes import predictions_of
from bitcliff.audit.rerun import in_batches, rerun
from bitcliff.errors import InputError
from bitcliff.points import take
from bitcliff.policy import Batch, Policy
from bitcliff.questions.context import Context
from bitcliff.questions.corrupting import corrupted, normalisation_shift
from bitcliff.questions.corruptions.record import (
    FLOAT,
    CorruptionInfo,
    CorruptionsObserved,
    MarkedCell,
)
from bitcliff.questions.corruptions.statistics import marks_of, was_searched
from bitcliff.questions.image_scale import ImageScale, image_scale
from bitcliff.record.arrays import classes
from bitcliff.types.corruption import Corruption
from bitcliff.types.settings import CorruptionSettings


def observe_corruptions(
    context: Context, image_corruptions: Callable[[], Sequence[Corruption]]
) -> CorruptionsObserved:
    """Measure every corruption at every degree, in float and under each explained policy.

    Args:
        image_corruptions: what acts on images; may raise InputError where it is not installed.
    """
    side, settings = context.test, context.corrupting
    try:
        scale = image_scale(side.examples.inputs, side.prepared.subject.preprocessing)
        everything = (*image_corruptions(), normalisation_shift)
    except InputError as reason:
        return CorruptionsObserved(reason=str(reason))
    run = _Run(context, scale, _chosen(context, settings), _seeds(context, settings))
    return CorruptionsObserved(
        examples=[side.examples.ids[place] for place in run.places],
        seeds=list(run.seeds),
        degrees=list(settings.degrees),
        images=scale.words,
        bits={name: _bits_in_words(context, name) for name in context.everyone},
        corruptions=[_info(one, settings.degrees) for one in everything],
        cells=run.cells(everything, settings.degrees),
    )


def _info(corruption: Corruption, degrees: Sequence[int]) -> CorruptionInfo:
    strengths = [corruption.strengths[degree - 1] for degree in degrees]
    return CorruptionInfo(name=corruption.name, measure=corruption.measure, strengths=strengths)


def _chosen(context: Context, settings: CorruptionSettings) -> list[int]:
    """Places of the examples used: all, or a draw by the run's seed."""
    n = len(context.test.examples)
    rng = np.random.default_rng(context.record.provenance.seed)
    return sorted(int(place) for place in rng.permutation(n)[: settings.examples])


def _seeds(context: Context, settings: CorruptionSettings) -> list[int]:
    first = context.record.provenance.seed
    return list(range(first, first + settings.seeds))


def _co_trained_policy(context: Context, name: str) -> Policy | None:
    """The policy that looks at an image before it chooses, if this is its name."""
    kind = context.record.by_name[name].kind
    return context.test.prepared.policy if kind == "co-trained" else None


def _bits_in_words(context: Context, name: str) -> str:
    if name not in context.policies:
        return "the corrupted image is rounded anew"
    if _co_trained_policy(context, name) is not None:
        return "the policy looks at the corrupted image and chooses anew"
    if was_searched(context.record, name):
        return "those found for the clean image, not looked for anew, so not compared with clean"
    bits = context.test.allocations[name]
    if bool((bits == bits[0]).all()):
        return "the same for every image"
    return "those drawn for the clean image"


@dataclass(frozen=True)
class _Run:
    """What is measured: which examples (by place) and seeds, and how to get at images."""

    context: Context
    scale: ImageScale
    places: Sequence[int]
    seeds: Sequence[int]

    def cells(self, everything: Sequence[Corruption], degrees: Sequence[int]) -> list[MarkedCell]:
        """Every corruption at every degree."""
        todo = [(corruption, degree) for corruption in everything for degree in degrees]
        found = []
        for number, (corruption, degree) in enumerate(todo):
            self.context.tell(f"{corruption.name}, degree {degree}", number, len(todo))
            marks = self._measured(corruption, degree)
            found.append(MarkedCell(corruption=corruption.name, degree=degree, marks=marks))
        return found

    def _measured(self, corruption: Corruption, degree: int) -> dict[str, list[str]]:
        """The marks by seed, of float and each policy."""
        inputs, places, rows = self._draws(corruption, degree)
        index, where = torch.arange(len(places)), torch.tensor(places)
        plain = self.context.test.evaluator
        changed = plain.wanted_alike(laid_out_for_speed(inputs), take(plain.inputs, where))
        evaluator = Evaluator(plain.attachment, changed, plain.batch_size)
        scores: dict[str, Scores] = {FLOAT: evaluator.float_scores(index)}
        for name in self.context.everyone:
            condition = self.context.record.by_name[name].condition
            run = rerun(self.context.test.prepared, condition)
            if run is None or name in self.context.policies:
                scores[name] = evaluator.scores(index, self._bits(name, evaluator, where))
            else:
                scores[name] = run(in_batches(evaluator, condition), index, where)
        return {name: self._by_seed(each, places, rows) for name, each in scores.items()}

    def _draws(
        self, corruption: Corruption, degree: int
    ) -> tuple[Tensor, list[int], list[list[int]]]:
        """The corrupted inputs, each different one once; whose they are; by seed, which row."""
        values = take(self.context.test.examples.inputs, torch.tensor(self.places))
        assert isinstance(values, Tensor)  # noqa: S101  (`image_scale` has seen to it)
        inputs: list[Tensor] = []
        places: list[int] = []
        rows: list[list[int]] = [[] for _ in self.seeds]
        for place, value in zip(self.places, values, strict=True):
            first = len(inputs)
            for seed, mine in zip(self.seeds, rows, strict=True):
                name = self.context.test.examples.ids[place]
                drawn = corrupted(value, self.scale, corruption, degree, seed, name)
                same = (row for row in range(first, len(inputs)) if drawn.equal(inputs[row]))
                row = next(same, len(inputs))
                if row == len(inputs):
                    inputs.append(drawn)
                    places.append(place)
                mine.append(row)
        return torch.stack(inputs), places, rows

    def _bits(
        self, name: str, evaluator: Evaluator, where: Int[Tensor, " m"]
    ) -> Int[Tensor, "m points"]:
        policy = _co_trained_policy(self.context, name)
        if policy is None:
            return self.context.test.allocations[name][where]
        return policy(Batch(evaluator.inputs, where))

    def _by_seed(
        self, scores: Scores, places: Sequence[int], rows: Sequence[Sequence[int]]
    ) -> list[str]:
        target = self.context.record.table.targets[list(places)]
        marks = marks_of(classes(predictions_of(scores)), target)
        return ["".join(marks[list(mine)]) for mine in rows]
