"""How float and quantized answers stand corrupted pictures, and where quantization loses more.

Paper section 4.3. An answer is right if it is the label; without labels, if it is what float says
of the clean picture.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from bitcliff.assess.evaluate import Evaluator, Scores, laid_out_for_speed
from bitcliff.assess.explain.context import Context
from bitcliff.assess.explain.corrupting import (
    PictureScale,
    corrupted,
    normalisation_shift,
    picture_scale,
)
from bitcliff.assess.measured import Predictions, predictions_of
from bitcliff.assess.suite import runtime_run
from bitcliff.errors import InputError
from bitcliff.policy import Batch, Policy
from bitcliff.records.explanation_corruptions import (
    AgainstClean,
    Answers,
    CorruptionCell,
    CorruptionInfo,
    Corruptions,
    Loss,
)
from bitcliff.stats import clustered_rate, holm, mcnemar, paired_difference
from bitcliff.types.corruption import Corruption
from bitcliff.types.rate import ClusteredRate
from bitcliff.types.settings import CorruptionSettings
from bitcliff.verdict import policy_family

FLOAT = "float"
CLEAN = "clean"

Marks = Mapping[str, Sequence[str]]
"""By "float" and policy: a text for each seed, a character for each example (1, 0 or -)."""


def explain_corruptions(
    context: Context, picture_corruptions: Callable[[], Sequence[Corruption]]
) -> Corruptions:
    """Measure every corruption at every degree, in float and under each explained policy.

    Args:
        picture_corruptions: what acts on pictures; may raise InputError where it is not installed.
    """
    side, settings = context.test, context.corrupting
    try:
        scale = picture_scale(side.examples.inputs, side.audit.subject.preprocessing)
        everything = (*picture_corruptions(), normalisation_shift)
    except InputError as reason:
        return Corruptions(reason=str(reason))
    run = _Run(context, scale, _chosen(context, settings), _seeds(context, settings))
    clean = run.clean()
    found = run.cells(everything, settings.degrees)
    return Corruptions(
        examples=[side.examples.ids[place] for place in run.places],
        seeds=list(run.seeds),
        degrees=list(settings.degrees),
        pictures=scale.words,
        bits={name: _bits_in_words(context, name) for name in context.everyone},
        corruptions=[_info(one, settings.degrees) for one in everything],
        clean=_cell(CLEAN, 0, clean, dict.fromkeys(context.everyone)),
        cells=_cells(found, clean, context.everyone),
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


def _own_policy(context: Context, name: str) -> Policy | None:
    """The policy that looks at a picture before it chooses, if this is its name."""
    threats = {policy.name: policy.threat for policy in context.record.policies}
    return context.test.audit.policy if threats[name] == "co-trained" else None


def _was_searched(name: str) -> bool:
    """Whether its bits were looked for on the clean pictures: there they do what they were found
    for, so that what they do elsewhere cannot be held against it."""
    return policy_family(name).startswith(("worst", "friendliest"))


def _bits_in_words(context: Context, name: str) -> str:
    if runtime_run(context.test.suite, name) is not None:
        return "the runtime rounds the corrupted picture anew"
    if _own_policy(context, name) is not None:
        return "the policy looks at the corrupted picture and chooses anew"
    if _was_searched(name):
        return "those found for the clean picture, not looked for anew, so not compared with clean"
    bits = context.test.allocations[name]
    if bool((bits == bits[0]).all()):
        return "the same for every picture"
    return "those drawn for the clean picture"


@dataclass(frozen=True)
class _Run:
    """One part's measuring: which examples (by place) and seeds, and how to get at pictures."""

    context: Context
    scale: PictureScale
    places: Sequence[int]
    seeds: Sequence[int]

    def clean(self) -> Marks:
        """From the record: nothing is run again."""
        rows = [self.context.record.examples[place] for place in self.places]
        predictions = {FLOAT: [row.float_prediction for row in rows]}
        for name in self.context.everyone:
            predictions[name] = [row.outcomes[name].prediction for row in rows]
        return {name: [self._marks(each, self.places)] for name, each in predictions.items()}

    def cells(
        self, everything: Sequence[Corruption], degrees: Sequence[int]
    ) -> dict[tuple[str, int], Marks]:
        """By name and degree."""
        todo = [(corruption, degree) for corruption in everything for degree in degrees]
        found = {}
        for number, (corruption, degree) in enumerate(todo):
            self.context.tell(f"{corruption.name}, degree {degree}", number, len(todo))
            found[corruption.name, degree] = self._measured(corruption, degree)
        return found

    def _measured(self, corruption: Corruption, degree: int) -> Marks:
        inputs, places, rows = self._draws(corruption, degree)
        evaluator = Evaluator(
            self.context.test.evaluator.attachment,
            laid_out_for_speed(inputs),
            self.context.test.evaluator.batch_size,
        )
        index, where = torch.arange(len(places)), torch.tensor(places)
        scores: dict[str, Scores] = {FLOAT: evaluator.float_scores(index)}
        for name in self.context.everyone:
            shipped = runtime_run(self.context.test.suite, name)
            if shipped is not None:
                scores[name] = evaluator.runtime_scores(index, *shipped)
            else:
                scores[name] = evaluator.scores(index, self._bits(name, evaluator, where))
        return {name: self._by_seed(each, places, rows) for name, each in scores.items()}

    def _draws(
        self, corruption: Corruption, degree: int
    ) -> tuple[Tensor, list[int], list[list[int]]]:
        """The corrupted inputs, each different one once; whose they are; by seed, which row."""
        values = self.context.test.examples.inputs
        assert isinstance(values, Tensor)  # noqa: S101  (`picture_scale` has seen to it)
        inputs: list[Tensor] = []
        places: list[int] = []
        rows: list[list[int]] = [[] for _ in self.seeds]
        for place in self.places:
            first = len(inputs)
            for seed, mine in zip(self.seeds, rows, strict=True):
                name = self.context.test.examples.ids[place]
                drawn = corrupted(values[place], self.scale, corruption, degree, seed, name)
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
        policy = _own_policy(self.context, name)
        if policy is None:
            return self.context.test.allocations[name][where]
        return policy(Batch(evaluator.inputs, where))

    def _by_seed(
        self, scores: Scores, places: Sequence[int], rows: Sequence[Sequence[int]]
    ) -> list[str]:
        marks = self._marks(predictions_of(scores), places)
        return ["".join(marks[row] for row in mine) for mine in rows]

    def _marks(self, predictions: Predictions, places: Sequence[int]) -> str:
        wanted = self.context.test.suite.wanted
        return "".join(
            "-" if said is None else "1" if said == wanted[place] else "0"
            for said, place in zip(predictions, places, strict=True)
        )


def _cell(
    corruption: str, degree: int, marks: Marks, against: Mapping[str, AgainstClean | None]
) -> CorruptionCell:
    return CorruptionCell(
        corruption=corruption,
        degree=degree,
        answers={name: _answers(texts) for name, texts in marks.items()},
        losses={
            name: Loss(lost=_lost(marks[FLOAT], marks[name]), against_clean=found)
            for name, found in against.items()
        },
    )


def _answers(texts: Sequence[str]) -> Answers:
    by_example = list(zip(*texts, strict=True))
    accuracy = clustered_rate(
        [mine.count("1") for mine in by_example],
        [len(mine) - mine.count("-") for mine in by_example],
    )
    return Answers(
        marks=list(texts), accuracy=accuracy, failed=sum(text.count("-") for text in texts)
    )


def _lost(in_float: Sequence[str], quantized: Sequence[str]) -> ClusteredRate:
    """Of the pairs that float gets right and quantized answers, those it answers wrongly."""
    hits, trials = [], []
    for before, after in zip(
        zip(*in_float, strict=True), zip(*quantized, strict=True), strict=True
    ):
        pairs = list(zip(before, after, strict=True))
        hits.append(pairs.count(("1", "0")))
        trials.append(hits[-1] + pairs.count(("1", "1")))
    return clustered_rate(hits, trials)


def _cells(
    found: Mapping[tuple[str, int], Marks], clean: Marks, policies: Sequence[str]
) -> list[CorruptionCell]:
    """Every cell, its comparisons adjusted for all of them together."""
    fair = [name for name in policies if not _was_searched(name)]
    comparisons = len(found) * len(fair)
    compared = {
        (cell, name): _against_clean(clean, marks, name, comparisons)
        for cell, marks in found.items()
        for name in fair
    }
    tested = {key: one for key, one in compared.items() if one is not None}
    adjusted = holm([one.p_value for one in tested.values()])
    final = {
        key: one.model_copy(update={"p_value_holm": p})
        for (key, one), p in zip(tested.items(), adjusted, strict=True)
    }
    return [
        _cell(*cell, marks, {name: final.get((cell, name)) for name in policies})
        for cell, marks in found.items()
    ]


def _against_clean(clean: Marks, marks: Marks, name: str, comparisons: int) -> AgainstClean | None:
    """On the first seed; its p-value is not yet adjusted."""
    columns = (clean[FLOAT][0], clean[name][0], marks[FLOAT][0], marks[name][0])
    pairs = [
        (before == "0", after == "0")
        for float_before, before, float_after, after in zip(*columns, strict=True)
        if float_before == float_after == "1" and "-" not in before + after
    ]
    if not pairs:
        return None
    more, less = pairs.count((False, True)), pairs.count((True, False))
    value, low, high = paired_difference(len(pairs), less, more, 1 - 0.05 / comparisons)
    p_value = mcnemar(more, less)
    return AgainstClean(
        n=len(pairs),
        only_corrupted=more,
        only_clean=less,
        difference_pp=100 * value,
        low_pp=100 * low,
        high_pp=100 * high,
        p_value=p_value,
        p_value_holm=p_value,
    )
