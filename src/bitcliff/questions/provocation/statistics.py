"""From what searches found to every figure: pure, worked out when written and when read."""

from collections.abc import Iterator, Sequence
from statistics import median

import numpy as np

from bitcliff.questions.provocation.record import (
    CONTROL,
    METHODS,
    NUDGES,
    RANDOM,
    AsTheyAre,
    Attempt,
    Failure,
    FiguresAsTheyAre,
    MethodFigures,
    Parent,
    ProvocationFigures,
    ProvocationObserved,
    Ranked,
    RankedFigures,
    Searched,
    SetFigures,
)
from bitcliff.record.problems import twice
from bitcliff.stats import change_between, fisher_greater, holm, rate, with_holm
from bitcliff.types.rate import Rate
from bitcliff.verdict import Status


def can_fail(observed: AsTheyAre) -> list[Parent]:
    """Right in float by delta, and right quantized: those that are searched around."""
    return [p for p in observed.parents if _led(p, observed.delta) and not _fails(p)]


def figures(observed: ProvocationObserved) -> ProvocationFigures:
    """Every figure, from the attempts alone."""
    sets = _with_family([_of_set(one) for one in observed.searched])
    worst = worst_failures(observed)
    return ProvocationFigures(
        **as_they_are(observed).model_dump(),
        # Where nothing was looked for around the examples it is of none of them.
        provoked=rate(len(worst), len(can_fail(observed)) if sets else 0),
        sets=sets,
        most_led=sorted(worst, key=lambda name: -worst[name][2].float_lead),
        ranked=_adjusted(observed.ranked),
    )


def as_they_are(observed: AsTheyAre) -> FiguresAsTheyAre:
    """Of the examples before anything is changed."""
    parents = observed.parents
    led = [parent for parent in parents if _led(parent, observed.delta)]
    return FiguresAsTheyAre(
        right=rate(sum((p.float_lead or 0) > 0 for p in parents), len(parents)),
        led=rate(len(led), len(parents)),
        failing=rate(sum(map(_fails, led)), len(led)),
    )


def _led(parent: Parent, delta: float) -> bool:
    return parent.float_lead is not None and parent.float_lead >= delta


def _fails(parent: Parent) -> bool:
    return parent.quantized_lead is None or parent.quantized_lead < 0


def _of_set(searched: Searched) -> SetFigures:
    random = _held(searched.attempts[RANDOM])
    rows = [_of_method(name, found, random) for name, found in searched.attempts.items()]
    searches = [found for name, found in searched.attempts.items() if name != CONTROL]
    fell = sum(any(one.failure for one in tried) for tried in zip(*searches, strict=True))
    return SetFigures(within=searched.within, provoked=rate(fell, len(searches[0])), methods=rows)


def _held(attempts: Sequence[Attempt]) -> np.ndarray:
    """Which examples did not fail."""
    return np.array([attempt.failure is None for attempt in attempts])


def _of_method(name: str, attempts: Sequence[Attempt], random: np.ndarray) -> MethodFigures:
    found = [one for one in attempts if one.failure is not None]
    stays = [one.failure.stays for one in found if one.failure is not None]
    known = [one for one in stays if one is not None]
    chance = int((~random).sum())
    compared = name not in (RANDOM, CONTROL)
    return MethodFigures(
        method=name,
        found=rate(len(found), len(attempts)),
        passes=sum(one.passes for one in attempts),
        stays=rate(known.count(NUDGES), len(known)) if known else None,
        change=change_between(random, _held(attempts)) if compared else None,
        times=len(found) / chance if compared and chance and found else None,
        median_passes=float(median(one.passes for one in found)) if found else None,
        not_confirmed=sum(one.lost for one in attempts),
    )


def _with_family(sets: list[SetFigures]) -> list[SetFigures]:
    """The tests of all searches are one family."""
    changes = iter(with_holm([row.change for one in sets for row in one.methods]))
    return [
        one.model_copy(
            update={
                "methods": [row.model_copy(update={"change": next(changes)}) for row in one.methods]
            }
        )
        for one in sets
    ]


def failing_ids(found: Ranked) -> set[str]:
    """Of the inputs that were run, those that the format decides otherwise, unnoticed."""
    return {
        one.id
        for one in found.tried
        if one.quantized_lead is not None and one.quantized_lead < 0 and not one.flagged
    }


def _adjusted(found: Sequence[Ranked]) -> list[RankedFigures]:
    """The tests of all second sets are one family."""
    rows = [*map(_of_ranked, found)]
    pairs = zip(rows, holm([one.p_value for one in rows]), strict=True)
    return [one.model_copy(update={"p_holm": p}) for one, p in pairs]


def _of_ranked(found: Ranked) -> RankedFigures:
    failing = failing_ids(found)
    first, by_lead, at_random = (
        rate(len(failing.intersection(ids)), len(ids))
        for ids in (found.first, found.by_lead, found.at_random)
    )
    # What is drawn from all tells how many there are; the test needs examples of one side each.
    others = set(found.at_random) - set(found.first)
    return RankedFigures(
        within=found.within,
        n=found.n,
        led=found.led,
        first=first,
        by_lead=by_lead,
        at_random=at_random,
        times=first.k / at_random.k if first.k and at_random.k else None,
        p_value=fisher_greater(first.k, first.n, len(failing & others), len(others)),
    )


def worst_failures(observed: ProvocationObserved) -> dict[str, tuple[str, str, Failure]]:
    """By an example's id the failure on which float is surest: its set, its search and itself."""
    found: dict[str, tuple[str, str, Failure]] = {}
    for one in observed.searched:
        for name, attempts in one.attempts.items():
            if name == CONTROL:
                continue
            for parent, attempt in zip(can_fail(observed), attempts, strict=True):
                failure, before = attempt.failure, found.get(parent.id)
                if failure and (before is None or failure.float_lead > before[2].float_lead):
                    found[parent.id] = one.within, name, failure
    return found


def judged(found: Rate, max_provoked: float) -> Status:
    """Against the most that may be made to fail, per cent, by the whole interval."""
    if found.n and 100 * (found.high or 0) <= max_provoked:
        return "pass"
    return "fail" if found.n and 100 * (found.low or 0) > max_provoked else "inconclusive"


def problems(observed: ProvocationObserved) -> Iterator[str]:
    """What contradicts itself."""
    yield from problems_as_they_are(observed)
    yield from twice((one.within for one in observed.searched), "set")
    if observed.settings.universal:
        yield "it is of one trigger for all inputs"
    asked = observed.settings.within
    made = [one.within for one in observed.searched] + [one.within for one in observed.ranked]
    if not made or (asked and sorted(asked) != sorted(made)):
        yield "the sets are not those that were asked for"
    for one in observed.searched:
        for problem in _set_problems(observed, one):
            yield f"within {one.within!r} {problem}"
    for other in observed.ranked:
        for problem in _ranked_problems(observed, other):
            yield f"within {other.within!r} {problem}"


def problems_as_they_are(observed: AsTheyAre) -> Iterator[str]:
    """What contradicts itself before anything is changed."""
    parents, subject = observed.parents, observed.subject
    yield from twice((parent.id for parent in parents), "example")
    if subject.n_examples != len(parents):
        yield f"n_examples is {subject.n_examples}, but there are {len(parents)} examples"
    if observed.settings.delta not in (None, observed.delta):
        yield f"delta is {observed.delta:g}, but {observed.settings.delta:g} was asked for"
    if observed.provenance.seed != observed.settings.seed:
        yield f"the seed is {observed.provenance.seed} and {observed.settings.seed}"
    if any(parent.wanted >= subject.n_classes for parent in parents):
        yield f"an example wants a class that is none of {subject.n_classes}"


def _set_problems(observed: ProvocationObserved, searched: Searched) -> Iterator[str]:
    names, n = searched.attempts.keys(), len(can_fail(observed))
    if not {RANDOM, CONTROL} < names or not names <= METHODS.keys():
        yield f"the searches are {[*names]}"
        return
    for name, attempts in searched.attempts.items():
        if len(attempts) != n:
            yield f"{name!r} has {len(attempts)} attempts, but {n} examples can fail"
        if any(attempt.passes > observed.settings.effort for attempt in attempts):
            yield f"{name!r} spent more than {observed.settings.effort} passes"
        for parent, attempt in zip(can_fail(observed), attempts, strict=False):
            if attempt.failure is not None and not _is_one(observed, parent, attempt.failure):
                yield f"{name!r} has a failure that is none"
        if any(attempt.lost and attempt.failure is not None for attempt in attempts):
            yield f"{name!r} has a failure that is not confirmed"


def _ranked_problems(observed: ProvocationObserved, found: Ranked) -> Iterator[str]:
    known = [one.id for one in found.tried]
    yield from twice(known, "input")
    chosen = found.first, found.by_lead, found.at_random
    if any(len(set(ids)) < len(found.first) or len(ids) != len(found.first) for ids in chosen):
        yield "has not as many inputs each, each once, of every order"
    elif set().union(*chosen) != set(known):
        yield "was run on other inputs than those that were chosen"
    if not len(known) <= found.led <= found.n:
        yield f"{len(known)} of {found.led} of {found.n} inputs were run"
    for one in found.tried:
        right = one.prediction == one.decided
        lead = one.quantized_lead
        if one.float_lead < observed.delta or (lead is None) != (one.prediction is None):
            yield f"{one.id!r} is not decided by delta, or has a lead without a decision"
        elif lead is not None and ((right and lead < 0) or (not right and lead > 0)):
            yield f"{one.id!r} has a lead whose sign its prediction does not give"
        if max(one.decided, one.prediction or 0) >= observed.subject.n_classes:
            yield f"{one.id!r} is of a class that is none"


def _is_one(observed: ProvocationObserved, parent: Parent, failure: Failure) -> bool:
    if failure.prediction == parent.wanted:
        return False
    known = failure.prediction < observed.subject.n_classes and (failure.stays or 0) <= NUDGES
    return known and failure.float_lead >= observed.delta and failure.quantized_lead < 0
