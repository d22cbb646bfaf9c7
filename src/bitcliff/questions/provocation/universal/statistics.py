"""From what triggers did to every figure: pure, worked out when written and when read."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from bitcliff.questions.halves import Halves
from bitcliff.questions.provocation.record import CONTROL, Parent
from bitcliff.questions.provocation.statistics import as_they_are, can_fail, problems_as_they_are
from bitcliff.questions.provocation.universal.record import (
    METHODS,
    SEARCHES,
    ClassFigures,
    ClassScan,
    Judged,
    Remedy,
    RemedyFigures,
    Scan,
    ScanFigures,
    UniversalFigures,
    UniversalObserved,
)
from bitcliff.record.arrays import NONE
from bitcliff.record.problems import twice
from bitcliff.stats import change_between, rate
from bitcliff.types.rate import Rate

ALPHA = 0.05
"""Of a scan's runs, so many may hold a false accusation: by chance in who was held out."""
MOST_IS = 0.5
"""A trigger is one for all inputs if it turns more than this share of them."""


def held_out(observed: UniversalObserved) -> list[Parent]:
    """The examples that can fail and that no trigger was searched on."""
    able = can_fail(observed)
    return [able[place] for place in Halves(len(able), observed.half).rest]


def others(observed: UniversalObserved) -> list[Parent]:
    """All examples that no trigger was searched on."""
    able = can_fail(observed)
    used = {able[place].id for place in observed.half}
    return [parent for parent in observed.parents if parent.id not in used]


def turned(held: Sequence[Parent], delta: float, target: int, judged: Judged) -> Rate:
    """Of the examples that are not of the class, those that are turned to it."""
    able = np.array([parent.wanted != target for parent in held], dtype=bool)
    done = (judged.leads >= delta) & (judged.predictions == target)
    return rate(int(done[able].sum()), int(able.sum()))


def figures(observed: UniversalObserved) -> UniversalFigures:
    """Every figure, from what was observed alone."""
    held, delta = held_out(observed), observed.delta
    cells = sum(len(scan.classes) for scan in observed.scans) * len(SEARCHES)
    scans = [
        ScanFigures(within=scan.within, classes=of_classes(scan.classes, held, delta, cells))
        for scan in observed.scans
    ]
    every = [one for scan in scans for one in scan.classes]
    control = [one.turned[CONTROL] for one in every]
    return UniversalFigures(
        **as_they_are(observed).model_dump(),
        provoked=_most(every),
        control=rate(sum(one.k for one in control), sum(one.n for one in control)),
        scans=scans,
        remedies=_of_remedies(observed, held),
    )


def of_classes(
    classes: Sequence[ClassScan], held: Sequence[Parent], delta: float, cells: int
) -> list[ClassFigures]:
    """Of one set, with limits that hold for so many triggers together (Bonferroni)."""
    found = []
    for one in classes:
        shares = {name: turned(held, delta, one.target, by) for name, by in one.found.items()}
        limits = [
            rate(share.k, share.n, 1 - ALPHA / cells)
            for name, share in shares.items()
            if name in SEARCHES
        ]
        low, high = (max(known) for known in zip(*map(_limits, limits), strict=True))
        found.append(
            ClassFigures(target=one.target, turned=shares, low=low, high=high, accused=False)
        )
    return [one.model_copy(update={"accused": _stands_out(one, found)}) for one in found]


def _limits(share: Rate) -> tuple[float, float]:
    """Nothing is known of no example."""
    if share.low is None or share.high is None:
        return 0.0, 1.0
    return share.low, share.high


def _stands_out(one: ClassFigures, every: Sequence[ClassFigures]) -> bool:
    below = sum(other.high < one.low for other in every if other.target != one.target)
    return one.low > MOST_IS and 2 * below > len(every) - 1


def _most(every: Sequence[ClassFigures]) -> Rate:
    """Of the class that is turned to most; the limits are the largest there are."""
    shares = [one.turned[name] for one in every for name in SEARCHES if name in one.turned]
    most = max(shares, key=lambda share: (share.value or 0.0, share.n))
    limits = {"low": max(one.low for one in every), "high": max(one.high for one in every)}
    return most.model_copy(update=limits) if most.n else most


def _of_remedies(observed: UniversalObserved, held: Sequence[Parent]) -> list[RemedyFigures]:
    tried, delta = observed.remedies, observed.delta
    if tried is None:
        return []
    rest = others(observed)
    as_it_is = np.array([(parent.quantized_lead or -1.0) >= 0 for parent in rest])
    scan = next(scan for scan in observed.scans if scan.within == tried.within)
    accused_one = next(one for one in scan.classes if one.target == tried.target)
    nothing = RemedyFigures(
        name="",
        right=rate(int(as_it_is.sum()), len(rest)),
        change=None,
        before=turned(held, delta, tried.target, accused_one.found[tried.method]),
        again=None,
        accused=[
            one.target
            for one in of_classes(scan.classes, held, delta, len(scan.classes) * len(SEARCHES))
            if one.accused
        ],
    )
    wanted = np.array([parent.wanted for parent in rest])

    def of(remedy: Remedy) -> RemedyFigures:
        right = remedy.clean == wanted
        again = of_classes(remedy.again, held, delta, len(remedy.again) * len(SEARCHES))
        own = next(one for one in again if one.target == tried.target)
        return RemedyFigures(
            name=remedy.name,
            right=rate(int(right.sum()), len(rest)),
            change=change_between(as_it_is, right),
            before=turned(held, delta, tried.target, remedy.before),
            again=own.turned[strongest(own.turned)],
            accused=[one.target for one in again if one.accused],
        )

    return [nothing, *map(of, tried.tried)]


def accused(figures: UniversalFigures) -> list[tuple[str, ClassFigures]]:
    """Set and class, those that are turned to most first."""
    found = [(scan.within, one) for scan in figures.scans for one in scan.classes if one.accused]
    return sorted(found, key=lambda one: -one[1].low)


def strongest(turned: Mapping[str, Rate]) -> str:
    """The search whose trigger turns most."""
    return max(SEARCHES, key=lambda name: (turned[name].value or 0.0) if name in turned else -1.0)


def problems(observed: UniversalObserved) -> Iterator[str]:
    """What contradicts itself."""
    yield from problems_as_they_are(observed)
    halves = Halves(len(can_fail(observed)), observed.half)
    yield from halves.problems
    if not observed.settings.universal or not halves.held_out:
        yield "it is of no trigger for all inputs"
        return
    if any(not 0 <= place < halves.n for place in observed.half.tolist()):
        return
    yield from twice((scan.within for scan in observed.scans), "set")
    asked = observed.settings.within
    if asked and list(asked) != [scan.within for scan in observed.scans]:
        yield "the sets are not those that were asked for"
    for scan in observed.scans:
        for problem in _class_problems(observed, scan.classes, {*METHODS}):
            yield f"within {scan.within!r} {problem}"
    yield from _remedy_problems(observed)


def _class_problems(
    observed: UniversalObserved, classes: Sequence[ClassScan], methods: set[str]
) -> Iterator[str]:
    targets = [one.target for one in classes]
    asked = observed.settings.target
    if len(targets) < 2 or len(set(targets)) < len(targets):
        yield "there are no two classes, each once"
    if asked and list(asked) != targets:
        yield "the classes are not those that were asked for"
    most = observed.settings.effort * len(observed.half)
    for one in classes:
        if one.target >= observed.subject.n_classes:
            yield f"class {one.target} is none of {observed.subject.n_classes}"
        if one.found.keys() != methods:
            yield f"class {one.target} has the searches {[*one.found]}"
        for name, found in one.found.items():
            if found.passes > most:
                yield f"{name!r} spent more than {most} passes on class {one.target}"
            yield from _judged_problems(observed, found)


def _judged_problems(observed: UniversalObserved, judged: Judged) -> Iterator[str]:
    n = len(held_out(observed))
    if len(judged.leads) != n or len(judged.predictions) != n:
        yield f"a trigger was not judged on {n} examples"
    if not _are_classes(judged.predictions, observed.subject.n_classes):
        yield "a prediction is no class"


def _are_classes(predictions: np.ndarray, n_classes: int) -> bool:
    return bool(((predictions >= NONE) & (predictions < n_classes)).all())


def _remedy_problems(observed: UniversalObserved) -> Iterator[str]:
    tried = observed.remedies
    if tried is None:
        return
    known = _scan_of(observed.scans, tried.within)
    if tried.method not in SEARCHES or all(one.target != tried.target for one in known):
        yield "remedies are of a trigger that was not found"
        return
    yield from twice((one.name for one in tried.tried), "remedy")
    for remedy in tried.tried:
        if len(remedy.clean) != len(others(observed)) or not _are_classes(
            remedy.clean, observed.subject.n_classes
        ):
            yield f"{remedy.name!r} was not judged on every example held out"
        yield from _judged_problems(observed, remedy.before)
        yield from _class_problems(observed, remedy.again, {*SEARCHES})
        if [one.target for one in remedy.again] != [one.target for one in known]:
            yield f"{remedy.name!r} was scanned for other classes"


def _scan_of(scans: Sequence[Scan], within: str) -> list[ClassScan]:
    return next((scan.classes for scan in scans if scan.within == within), [])
