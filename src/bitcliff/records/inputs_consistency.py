"""Is the inputs' part of an explanation what the examples of its record give?"""

from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import median_low, quantiles

from bitcliff.records.explanation import Explanation
from bitcliff.records.explanation_inputs import InputsAtRisk, PolicyRisk, Quantiles
from bitcliff.records.schema import ExampleRow, Record
from bitcliff.types.rate import Rate


def inputs_problems(record: Record, explanation: Explanation, found: InputsAtRisk) -> Iterator[str]:
    """What contradicts the record, or itself."""
    if [risk.policy for risk in found.policies] != explanation.policies:
        yield "inputs: not of the explained policies, in their order"
        return
    ids = {row.id for row in record.examples}
    if unknown := set(found.pictures) - ids:
        yield f"inputs: a picture of {sorted(unknown)[0]!r}, which is no example's id"
    if found.twin is not None and not 0 < found.twin.n_common <= len(ids):
        yield f"inputs: the twin shares {found.twin.n_common} of {len(ids)} examples"
    sizes = [abs(row.float_margin) for row in record.examples if row.float_margin is not None]
    # Against the label a margin may be larger; another machine gives slightly other ones.
    if sizes and found.margin_scale > 1.01 * median_low(sizes):
        yield f"inputs: margin_scale is {found.margin_scale}, above the median {median_low(sizes)}"
    for risk in found.policies:
        for problem in _risk_problems(record, found, risk):
            yield f"inputs under {risk.policy!r}: {problem}"


def _about(one: float, other: float, size: float) -> bool:
    return abs(one - other) <= 1e-6 * size


def _risk_problems(record: Record, found: InputsAtRisk, risk: PolicyRisk) -> Iterator[str]:
    labelled = record.subject.labelled
    whole = [
        row
        for row in record.examples
        if row.float_prediction is not None and row.outcomes[risk.policy].prediction is not None
    ]
    able = [row for row in whole if not labelled or row.label == row.float_prediction]
    hit = [row for row in able if row.outcomes[risk.policy].prediction != row.float_prediction]
    yield from _count_problems(record, found, risk, len(whole), (len(hit), len(able)))
    yield from _class_problems(risk, labelled, able, hit)
    if not set(risk.worst) <= {row.id for row in hit} or len(set(risk.worst)) < len(risk.worst):
        yield "worst holds an example that is not at risk, or one twice"
    margins = [
        (row.float_margin or 0.0) - (row.outcomes[risk.policy].margin or 0.0) for row in whole
    ]
    if (risk.eroded.k, risk.eroded.n) != (sum(one > 0 for one in margins), len(margins)):
        yield "eroded is not what the examples give"
    yield from _erosion_problems(risk.erosion, margins)
    yield from _comparison_problems(found, risk)


def _count_problems(
    record: Record, found: InputsAtRisk, risk: PolicyRisk, n: int, at_risk: tuple[int, int]
) -> Iterator[str]:
    flips = next(one.flips for one in record.policies if one.name == risk.policy)
    other = None
    if flips.lost is not None and flips.gained is not None:
        other = (flips.all.k - flips.lost.k - flips.gained.k, n)
    everyone = len(record.examples)
    for name, rate, expected in (
        ("numeric_failures", risk.numeric_failures, (everyone - n, everyone)),
        ("at_risk", risk.at_risk, at_risk),
        ("flipped", risk.flipped, (flips.all.k, flips.all.n)),
        ("lost", risk.lost, _counts(flips.lost)),
        ("gained", risk.gained, _counts(flips.gained)),
        ("other_wrong", risk.other_wrong, other),
    ):
        if _counts(rate) != expected:
            yield f"{name} is not what the examples give"
    both, of_all = risk.transitory, risk.transitory_of_all
    if any((one is None) != (found.twin is None) for one in (both, of_all)):
        yield "transitory points go with a twin, and are null without"
    elif (found.twin and both and of_all) and not (
        both.k == of_all.k and both.n <= of_all.n <= found.twin.n_common
    ):
        yield "transitory points are not those of the examples that the twin shares"


def _counts(rate: Rate | None) -> tuple[int, int] | None:
    return None if rate is None else (rate.k, rate.n)


def _class_problems(
    risk: PolicyRisk, labelled: bool, able: Sequence[ExampleRow], hit: Sequence[ExampleRow]
) -> Iterator[str]:
    if not labelled:  # Float's answers are those of the machine that explained.
        return
    at_risk, all_of = (Counter(row.label for row in rows) for rows in (hit, able))
    expected = {label: (at_risk[label], n) for label, n in all_of.items()}
    told = {one.label: _counts(one.at_risk) for one in risk.classes}
    if told != expected or len(told) < len(risk.classes):
        yield "classes are not those of the examples"


def _erosion_problems(found: Quantiles | None, margins: Sequence[float]) -> Iterator[str]:
    if (found is None) != (not margins):
        yield "erosion goes with margins, and is null without"
    if found is None or not margins:
        return
    # One value is as good as two: they have the same quantiles.
    cuts = quantiles([*margins, *margins[: len(margins) == 1]], n=20, method="inclusive")
    expected = (cuts[0], cuts[4], cuts[9], cuts[14], cuts[18])
    told = (found.p05, found.p25, found.median, found.p75, found.p95)
    size = max(map(abs, margins))
    if not all(_about(*pair, size) for pair in zip(told, expected, strict=True)):
        yield "erosion is not what the examples give"


def _comparison_problems(found: InputsAtRisk, risk: PolicyRisk) -> Iterator[str]:
    if [one.key for one in risk.comparisons] != [one.key for one in found.traits]:
        yield "comparisons are not of the traits measured, in their order"
    k, n = risk.at_risk.k, risk.at_risk.n
    for one in risk.comparisons:
        # Not every example has every trait; all have a class.
        if one.n_risk > k or one.n_safe > n - k or (one.key == "class" and one.n_risk < k):
            yield f"{one.key} of {one.n_risk} at risk and {one.n_safe} not, of {k} and {n - k}"
        there = one.n_risk > 0 and one.n_safe > 0
        if {value is not None for value in (one.effect, one.p_value, one.p_value_holm)} != {there}:
            yield f"{one.key}: effect and p-values go with examples in both groups"
        for count, middle in ((one.n_risk, one.median_risk), (one.n_safe, one.median_safe)):
            if one.key != "class" and (middle is None) != (count == 0):
                yield f"{one.key}: a median goes with examples, and is null without"
