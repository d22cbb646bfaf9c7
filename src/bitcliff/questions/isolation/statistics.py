"""From what was observed to every figure: pure, worked out when written and when read."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from bitcliff.questions.isolation.proof_statistics import proof_figures, proof_problems
from bitcliff.questions.isolation.record import (
    DATA,
    IsolationFigures,
    IsolationObserved,
    ProofFigures,
    Situation,
    Status,
    Victim,
)
from bitcliff.record.problems import twice
from bitcliff.stats import change_between, clustered_rate, rate, with_holm
from bitcliff.types.rate import ClusteredRate

ATTACKS = {
    DATA: "the worst companion that the data holds, each candidate tried",
    "patterns": "the worst of some flat, checkered, striped and noisy images",
    "widest ranges": "one crafted image for all victims, made to widen every range",
    "gradients": "an image crafted for the victim by gradients through a simulated shared scale, "
    "from four starts",
    "random search": "an image crafted for the victim by random search in the runtime itself, "
    "from the worst pattern",
}
ANY = "any of these"
RANDOM = "at random"


def figures(observed: IsolationObserved) -> IsolationFigures:
    """Every figure, from the groups and the victims alone."""
    victims, n = observed.victims, len(observed.victims)
    proof = None
    if observed.proof is not None:
        proof = proof_figures(observed.proof, observed.subject)
    right = None
    if observed.subject.labelled and victims:
        right = rate(sum(v.baseline.alone == v.label for v in victims), n)
    ours = [
        same for v in victims for same in (*v.baseline.ours_same_bits, v.checked.ours_same_bits)
    ]
    as_float = sum(v.baseline.alone == v.baseline.float_prediction for v in victims)
    flipped = sorted(filter(_is_flipped, victims), key=_lead_kept)
    counterexamples = [v.id for v in flipped if _by_its_companion(v)]
    return IsolationFigures(
        status=_status(proof, counterexamples),
        proof=proof,
        counterexamples=counterexamples,
        runs=sum(attack.runs for v in victims for attack in v.attacks.values()),
        accuracy_alone=right,
        as_float_alone=rate(as_float, n) if victims else None,
        ours_changed=rate(ours.count(False), len(ours)) if victims else None,
        situations=situations(victims) if victims else [],
        flipped=[v.id for v in flipped],
    )


def _status(proof: ProofFigures | None, counterexamples: list[str]) -> Status:
    if proof is not None and proof.proved:
        return "proved"
    return "counterexample" if counterexamples else "open"


def _by_its_companion(victim: Victim) -> bool:
    """What float does too, or a batch of copies, is not quantization's doing, or not another's."""
    baseline = victim.baseline
    as_float = victim.checked.reference == baseline.reference_alone
    return as_float and baseline.copies == baseline.alone


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
        _compared(victims, RANDOM, "full batches with random others", _first_draw).model_copy(
            update={"flips": _spread(victims, _random_flips)}
        )
    )
    changes = with_holm([row.change for row in rows])
    rows = [
        row.model_copy(update={"change": change}) for row, change in zip(rows, changes, strict=True)
    ]
    return [*rows, *_controls(victims)]


def _controls(victims: Sequence[Victim]) -> list[Situation]:
    n = len(victims)
    flipped = [v for v in victims if _is_flipped(v)]
    counted = (
        (
            "copies of itself",
            "a full batch of copies: what the size of a batch does by itself",
            rate(sum(v.baseline.copies != v.baseline.alone for v in victims), n),
        ),
        (
            "float, at random",
            "the float network in the same random batches: the noise floor",
            _spread(victims, _random_reference_flips),
        ),
        (
            "float, worst companion",
            "the float network in the same batches of two: the noise floor",
            rate(sum(v.checked.reference != v.baseline.reference_alone for v in victims), n),
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


def _is_flipped(victim: Victim) -> bool:
    return _worst_prediction(victim) != victim.baseline.alone


def _lead_kept(victim: Victim) -> float:
    return victim.attacks[victim.checked.attack].margin - victim.baseline.margin


def _first_draw(victim: Victim) -> int:
    return victim.baseline.random[0]


def _random_flips(victim: Victim) -> list[bool]:
    return [one != victim.baseline.alone for one in victim.baseline.random]


def _random_reference_flips(victim: Victim) -> list[bool]:
    return [one != victim.baseline.reference_alone for one in victim.baseline.reference_random]


def _spread(victims: Sequence[Victim], flips: Callable[[Victim], list[bool]]) -> ClusteredRate:
    found = [flips(victim) for victim in victims]
    return clustered_rate([sum(one) for one in found], [len(one) for one in found])


def _compared(
    victims: Sequence[Victim], name: str, meaning: str, prediction: Callable[[Victim], int]
) -> Situation:
    n = len(victims)
    flips = rate(sum(prediction(v) != v.baseline.alone for v in victims), n)
    if victims[0].label is None:
        return Situation(name=name, meaning=meaning, flips=flips)
    before = np.array([v.baseline.alone == v.label for v in victims])
    after = np.array([prediction(v) == v.label for v in victims])
    sure = [v for v, b in zip(victims, before, strict=True) if b and _float_right(v)]
    return Situation(
        name=name,
        meaning=meaning,
        flips=flips,
        change=change_between(before, after),
        lost_right=rate(sum(prediction(v) != v.label for v in sure), len(sure)),
    )


def _float_right(victim: Victim) -> bool:
    return victim.baseline.float_prediction == victim.label


def problems(observed: IsolationObserved) -> Iterator[str]:
    """What contradicts itself."""
    victims, subject, proof = observed.victims, observed.subject, observed.proof
    if proof is not None:
        yield from proof_problems(proof, subject, observed.settings.batch)
        if proof_figures(proof, subject).proved != (not victims):
            yield f"there are {len(victims)} victims, against whether isolation is proved"
    if not victims:
        if proof is None:
            yield "there is neither a proof nor a victim"
        return
    yield from twice((victim.id for victim in victims), "victim")
    if subject.n_examples != len(victims):
        yield f"n_examples is {subject.n_examples}, but there are {len(victims)} victims"
    if DATA not in victims[0].attacks or not victims[0].attacks.keys() <= ATTACKS.keys():
        yield f"the attacks are {[*victims[0].attacks]}"
    for victim in victims:
        for problem in _victim_problems(observed, victim):
            yield f"victim {victim.id!r} {problem}"


def _victim_problems(observed: IsolationObserved, victim: Victim) -> Iterator[str]:
    baseline, checked, attacks = victim.baseline, victim.checked, victim.attacks
    if attacks.keys() != observed.victims[0].attacks.keys() or checked.attack not in attacks:
        yield "was attacked otherwise than the first"
    if observed.subject.labelled != (victim.label is not None):
        yield "has a label, or none, against labelled"
    draws = observed.settings.draws
    for each in (baseline.random, baseline.reference_random, baseline.ours_same_bits):
        if draws < 1 or len(each) != draws:
            yield f"has {len(each)} random batches for {draws} draws"
    if not checked.full:
        yield "was not checked in full batches"
    if _largest_class(victim) >= observed.subject.n_classes:
        yield f"has class {_largest_class(victim)} of {observed.subject.n_classes}"
    for name, attack in attacks.items():
        flipped = attack.prediction != baseline.alone
        if not flipped == (attack.flips > 0) == (attack.flipped_at is not None):
            yield f"is flipped or not under {name!r}, against its prediction"
        if max(attack.flips, attack.flipped_at or 0) > attack.runs:
            yield f"is flipped more often than run under {name!r}"


def _largest_class(victim: Victim) -> int:
    baseline, checked = victim.baseline, victim.checked
    each = (baseline.float_prediction, baseline.alone, baseline.copies, baseline.reference_alone)
    lists = (baseline.random, baseline.reference_random, checked.full)
    attacks = (attack.prediction for attack in victim.attacks.values())
    return max(
        *each, *(one for some in lists for one in some), *attacks,
        victim.label or 0, checked.swapped, checked.reference,
    )  # fmt: skip
