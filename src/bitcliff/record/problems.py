"""What is observed, does it fit together? Figures are not asked about: they are worked out."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator

import numpy as np
import numpy.typing as npt

from bitcliff.record.arrays import NONE
from bitcliff.record.compared import unmeasured
from bitcliff.record.outcomes import Measured, Outcomes, Table
from bitcliff.record.schema import Explained, Observed, SubjectInfo


def problems(observed: Observed) -> Iterator[str]:
    """What contradicts itself, the gravest first; whoever asks needs only the first."""
    names = [one.name for one in observed.conditions]
    yield from twice(observed.examples.ids, "example id")
    yield from twice(names, "condition")
    yield from twice((point.name for point in observed.subject.points), "point")
    if observed.provenance.seed != observed.settings.seed:
        yield f"the seed is {observed.provenance.seed}, and {observed.settings.seed} in settings"
    yield from _subject(observed.subject, observed.examples)
    yield from _table(observed)
    for measured in observed.conditions:
        for problem in _measured(observed, measured):
            yield f"{measured.name!r} {problem}"
    for name in unmeasured(observed):
        yield f"{name!r} is to be compared, and was not measured on every example"
    if observed.folding is not None:
        yield from _places("folding.changed", observed.folding.changed, len(observed.examples))
    if observed.explained is not None:
        yield from _explained(observed, observed.explained)


def twice(names: Iterable[str], what: str) -> Iterator[str]:
    """Names that stand more than once."""
    for name, count in Counter(names).items():
        if count > 1:
            yield f"{what} {name!r} stands {count} times; each must stand once"


def _subject(subject: SubjectInfo, table: Table) -> Iterator[str]:
    if subject.n_examples != len(table):
        yield f"n_examples is {subject.n_examples}, but there are {len(table)} examples"
    if subject.labelled != (table.labels is not None):
        yield "labelled goes with labels"
    if subject.class_names is not None and len(subject.class_names) != subject.n_classes:
        yield f"{len(subject.class_names)} class_names for {subject.n_classes} classes"
    if subject.black_box and subject.points:
        yield f"the network was not looked inside, yet has {len(subject.points)} points"
    for point in subject.points:
        if point.quantized == bool(point.reason):
            yield f"point {point.name!r} is left out for a reason, and quantized without"


def _table(observed: Observed) -> Iterator[str]:
    table, n = observed.examples, len(observed.examples)
    if not len(table.prediction) == len(table.margin) == n:
        yield f"float has {len(table.prediction)} predictions for {n} examples"
        return
    if table.labels is not None:
        if len(table.labels) != n:
            yield f"{len(table.labels)} labels for {n} examples"
            return
        yield from _classes("a label", table.labels, 0, observed.subject.n_classes)
    yield from _classes("float", table.prediction, NONE, observed.subject.n_classes)
    yield from _margins(observed, "float", table.prediction, table.margin, slice(None))
    if (table.nll is None) != (table.tokens is None):
        yield "nll goes with tokens"
    if table.nll is not None and table.tokens is not None:
        known = table.nll[table.prediction != NONE]
        if not len(table.nll) == len(table.tokens) == n or bool((table.tokens < 0).any()):
            yield f"not as many nll and tokens as examples, which are {n}"
            return
        if not np.isfinite(known).all() or bool((known < 0).any()):
            yield "float has nll that is no sum of nats"
    if any(texts is not None and len(texts) != n for texts in (table.said, table.wanted)):
        yield f"not as many texts as examples, which are {n}"
    kept = table.thumbnails.keys() | table.texts.keys() | table.waves.keys()
    if unknown := kept - set(table.ids):
        yield f"an image, a text or a sound of {sorted(unknown)[0]!r}, which is no example's id"


def _nats(table: Table, found: Outcomes) -> Iterator[str]:
    failed = found.prediction == NONE
    for name, sums in (("nll", found.nll), ("kl", found.kl)):
        if sums is None:
            continue
        if table.nll is None or len(sums) != len(found):
            yield f"has {name} of {len(sums)} examples, or float has none"
            return
        known = sums[~failed & (table.prediction[found.index] != NONE)]
        if not np.isfinite(known).all() or bool((known < 0).any()):
            yield f"has {name} that is no sum of nats"


def _classes(what: str, found: npt.NDArray[np.int32], least: int, classes: int) -> Iterator[str]:
    if len(found) and not least <= found.min() <= found.max() < classes:
        wrong = found.min() if found.min() < least else found.max()
        yield f"{what} has class {wrong}; classes are 0 to {classes - 1}"


def _margins(
    observed: Observed,
    what: str,
    prediction: npt.NDArray[np.int32],
    margin: npt.NDArray[np.float64],
    index: npt.NDArray[np.int32] | slice,
) -> Iterator[str]:
    """A margin goes with a prediction, and its sign tells whether that is the reference."""
    there = prediction != NONE
    if not (np.isfinite(margin) == there).all():
        yield f"{what}: a margin goes with a prediction, and is not there without"
        return
    table = observed.examples
    against_label = observed.settings.margin == "label" and table.labels is not None
    reference = (table.labels if against_label else table.prediction)[index]  # type: ignore[index]
    same = prediction == reference
    known = there & (reference != NONE)
    if (known & ((same & (margin < 0)) | (~same & (margin > 0)))).any():
        yield f"{what}: a margin whose sign its prediction does not give"


def _measured(observed: Observed, measured: Measured) -> Iterator[str]:
    found, n = measured.outcomes, len(observed.examples)
    if found.places is None and len(found) != n:
        yield f"has {len(found)} outcomes for {n} examples"
        return
    if len(found.margin) != len(found) or len(found.index) != len(found):
        yield "has not as many places, predictions and margins"
        return
    wrong = list(_places("places", found.index.tolist(), n))
    yield from wrong
    if wrong or bool((np.diff(found.index) <= 0).any()):
        yield "has places that do not increase"
        return
    classes = observed.subject.n_classes
    yield from _classes("an outcome", found.prediction, NONE, classes)
    yield from _margins(observed, "outcomes", found.prediction, found.margin, found.index)
    if set(found.failed_at) != set(np.flatnonzero(found.prediction == NONE).tolist()):
        yield "names a point for other examples than those that failed"
    if found.score is not None:
        yield from _scores(found.score, found.prediction)
    if found.said is not None and (len(found.said) != len(found) or observed.examples.said is None):
        yield "has not a text for each outcome, or float has none"
    yield from _nats(observed.examples, found)
    yield from _bits(observed, measured)
    yield from _widths(observed, measured)
    yield from _plan(observed, measured)
    for name, tables in (("draws", found.draws), ("repeats", found.repeats)):
        if tables is not None:
            if not len(tables) or tables.shape[1] != len(found):
                yield f"has {name} of shape {tables.shape} for {len(found)} examples"
            else:
                yield from _classes(f"one of its {name}", tables.ravel(), NONE, classes)
    if found.in_float is not None:
        if len(found.in_float) != len(found):
            yield f"has {len(found.in_float)} predictions in float for {len(found)} examples"
        else:
            yield from _classes("float, run alike,", found.in_float, NONE, classes)
    yield from _places("broken", measured.broken, n)


def _scores(score: npt.NDArray[np.float64], prediction: npt.NDArray[np.int32]) -> Iterator[str]:
    there = prediction != NONE
    if len(score) != len(prediction) or not (np.isfinite(score) == there).all():
        yield "a score goes with an outcome, and is not there without"
    elif not ((score[there] >= 0) & (score[there] <= 1)).all():
        yield "a score is not from 0 to 1"


def _places(what: str, places: Collection[int], n: int) -> Iterator[str]:
    if len(set(places)) < len(places) or not all(0 <= place < n for place in places):
        yield f"{what} are not places among {n} examples, each once"


def _bits(observed: Observed, measured: Measured) -> Iterator[str]:
    bits, condition = measured.outcomes.bits, measured.condition
    points = sum(point.quantized for point in observed.subject.points)
    if bits is None:
        if condition.total_bits is not None:
            yield f"has no bits, but spends {condition.total_bits}"
        return
    if bits.shape not in ((1, points), (len(measured.outcomes), points)):
        yield f"has bits of shape {bits.shape}, but {points} points are quantized"
    elif (bits.sum(1, dtype=np.int64) != condition.total).any():
        yield f"has bits that do not add up to {condition.total}"


def _widths(observed: Observed, measured: Measured) -> Iterator[str]:
    widths, bits = measured.condition.widths, measured.outcomes.bits
    if widths is None:
        return
    asked = list(observed.settings.bits)
    # A co-trained policy brings its own.
    if widths != asked and measured.condition.kind != "co-trained":
        yield f"chooses among {widths} bits, but {asked} are in settings"
    if bits is not None and not set(np.unique(bits).tolist()) <= {*widths}:
        yield f"has other bits than {widths}, among which it chooses"


def _plan(observed: Observed, measured: Measured) -> Iterator[str]:
    plan, condition, asked = measured.outcomes.plan, measured.condition, observed.settings
    options = condition.options or []
    if (plan is None) != (condition.options is None):
        yield "has a plan without formats to choose among, or formats without a plan"
    if plan is None:
        return
    points = sum(point.quantized for point in observed.subject.points)
    if options != list(asked.mix):
        yield f"chooses among {options}, but {list(asked.mix)} are in settings"
    elif len(plan) != points or not set(plan) <= set(options):
        yield f"has a plan that does not give {points} points one of {options}"
    elif sum(asked.mix[one] for one in plan) != condition.cost_32nds:
        yield f"has a plan that does not cost {condition.cost_32nds} thirty-seconds of a bit"


def _explained(observed: Observed, explained: Explained) -> Iterator[str]:
    yield from twice(explained.policies, "an explained policy")
    known = {one.name: one for one in observed.conditions}
    for name in explained.policies:
        one = known.get(name)
        whole = one is not None and len(one.outcomes) == len(observed.examples)
        if one is None or not whole or (one.outcomes.bits is None and not one.condition.deployed):
            yield f"explained: {name!r} is no policy with bits for every example, nor deployed"
