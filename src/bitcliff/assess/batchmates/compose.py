"""Per-victim outcomes into the record, with the figures that follow from them."""

from collections.abc import Callable, Sequence

from bitcliff.assess.batchmates.measure import DATA, Measurement
from bitcliff.assess.compose import provenance_of, subject_info
from bitcliff.assess.runtimes import described
from bitcliff.records.batchmates import (
    Batchmates,
    Situation,
    Victim,
)
from bitcliff.records.schema import Interval
from bitcliff.stats import clustered_rate, holm, mcnemar, paired_difference, rate
from bitcliff.types.rate import ClusteredRate

ATTACKS = {
    DATA: "the worst companion that the data holds, each candidate tried",
    "patterns": "the worst of some flat, checkered, striped and noisy pictures",
    "widest ranges": "one crafted picture for all victims, made to widen every range",
    "gradients": "a picture crafted for the victim by gradients through a simulated shared scale, "
    "from four starts",
    "random search": "a picture crafted for the victim by random search in the runtime itself, "
    "from the worst pattern",
}
ANY = "any of these"


def compose_batchmates(
    measurement: Measurement,
    victims: list[Victim],
    planted: bool | None,
    started: str,
    command: str,
) -> Batchmates:
    """The record, its figures worked out from the victims alone."""
    subject, examples = measurement.subject, measurement.examples
    plan, seed = measurement.plan, measurement.settings.seed
    right = None
    if examples.labels is not None:
        right = rate(sum(v.baseline.alone == v.label for v in victims), len(victims))
    strays = measurement.ours.incidents.strays
    ours = [
        same for v in victims for same in (*v.baseline.ours_same_bits, v.checked.ours_same_bits)
    ]
    return Batchmates(
        provenance=provenance_of(subject, examples, seed, started, command),
        subject=subject_info(subject, examples, plan, strays, measurement.classes),
        runtime=described(measurement.bench.runtime),
        twin=described(measurement.twin.runtime),
        settings=measurement.settings,
        planted_flips=planted,
        crafting=measurement.crafting,
        accuracy_alone=right,
        as_float_alone=rate(
            sum(v.baseline.alone == v.baseline.float_prediction for v in victims), len(victims)
        ),
        ours_changed=rate(ours.count(False), len(ours)),
        situations=situations(victims),
        victims=victims,
    )


def situations(victims: Sequence[Victim]) -> list[Situation]:
    """Every comparison with the victims alone: attacks first, then chance, then controls."""
    names = [name for name in ATTACKS if name in victims[0].attacks]
    rows = [
        _compared(victims, name, ATTACKS[name], lambda v: v.attacks[name].prediction)  # noqa: B023
        for name in names
    ]
    rows = [
        row.model_copy(update={"runs": sum(v.attacks[row.name].runs for v in victims)})
        for row in rows
    ]
    rows.append(
        _compared(victims, ANY, "the worst companion that any attack found", _worst_prediction)
    )
    rows.append(
        _compared(victims, "at random", "full batches with random others", _first_draw).model_copy(
            update={"flips": _spread(victims, _random_flips)}
        )
    )
    return [*_corrected(rows), *_controls(victims)]


def _controls(victims: Sequence[Victim]) -> list[Situation]:
    n = len(victims)
    flipped = [v for v in victims if _worst_prediction(v) != v.baseline.alone]
    counted = (
        (
            "copies of itself",
            "a full batch of copies: what the size of a batch does by itself",
            rate(sum(v.baseline.copies != v.baseline.alone for v in victims), n),
        ),
        (
            "float, at random",
            "the float network in the same random batches: the noise floor",
            _spread(victims, _random_twin_flips),
        ),
        (
            "float, worst companion",
            "the float network in the same batches of two: the noise floor",
            rate(sum(v.checked.twin != v.baseline.twin_alone for v in victims), n),
        ),
        (
            "flips that stay, places swapped",
            "of those that any attack flips: the companion first, the victim second",
            rate(sum(v.checked.swapped != v.baseline.alone for v in flipped), len(flipped)),
        ),
        (
            "flips that stay in full batches",
            "of those that any attack flips: the companion, random others, any place",
            _spread(flipped, lambda v: [p != v.baseline.alone for p in v.checked.full]),
        ),
    )
    return [Situation(name=name, meaning=meaning, flips=flips) for name, meaning, flips in counted]


def _worst_prediction(victim: Victim) -> int:
    return victim.attacks[victim.checked.attack].prediction


def _first_draw(victim: Victim) -> int:
    return victim.baseline.random[0]


def _random_flips(victim: Victim) -> list[bool]:
    return [answer != victim.baseline.alone for answer in victim.baseline.random]


def _random_twin_flips(victim: Victim) -> list[bool]:
    return [answer != victim.baseline.twin_alone for answer in victim.baseline.twin_random]


def _spread(victims: Sequence[Victim], flips: Callable[[Victim], list[bool]]) -> ClusteredRate:
    found = [flips(victim) for victim in victims]
    return clustered_rate([sum(one) for one in found], [len(one) for one in found])


def _compared(
    victims: Sequence[Victim], name: str, meaning: str, answer: Callable[[Victim], int]
) -> Situation:
    n = len(victims)
    flips = rate(sum(answer(v) != v.baseline.alone for v in victims), n)
    if victims[0].label is None:
        return Situation(name=name, meaning=meaning, flips=flips)
    before = [v.baseline.alone == v.label for v in victims]
    after = [answer(v) == v.label for v in victims]
    lost = sum(b and not a for b, a in zip(before, after, strict=True))
    gained = sum(a and not b for b, a in zip(before, after, strict=True))
    sure = [v for v, b in zip(victims, before, strict=True) if b and _float_right(v)]
    value, low, high = paired_difference(n, lost, gained)
    return Situation(
        name=name,
        meaning=meaning,
        flips=flips,
        lost=lost,
        gained=gained,
        lost_right=rate(sum(answer(v) != v.label for v in sure), len(sure)),
        delta_pp=100 * value,
        delta_pp_interval=Interval(low=100 * low, high=100 * high),
        p_value=mcnemar(lost, gained),
    )


def _float_right(victim: Victim) -> bool:
    return victim.baseline.float_prediction == victim.label


def _corrected(rows: list[Situation]) -> list[Situation]:
    p_values = [row.p_value for row in rows if row.p_value is not None]
    if len(p_values) < len(rows):
        return rows
    return [
        row.model_copy(update={"p_value_holm": p})
        for row, p in zip(rows, holm(p_values), strict=True)
    ]
