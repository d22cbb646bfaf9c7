"""Is a record consistent in itself, its counts those of its examples?"""

from collections import Counter
from collections.abc import Iterable, Iterator

from bitcliff.errors import InputError
from bitcliff.records.explanation_consistency import explanation_problems
from bitcliff.records.schema import ExampleRow, Record


def check_record(record: Record, source: str = "record") -> None:
    """Refuse a record whose parts contradict each other.

    Args:
        record: as validated by the schema.
        source: named first in the error: the file it was read from.

    Raises:
        InputError: the first contradiction found, e.g. an id that stands twice, an outcome of a
            policy that is not in the record, flips that are not those of the examples.
    """
    for problem in _problems(record):
        raise InputError(f"{source}: inconsistent record: {problem}")


def _problems(record: Record) -> Iterator[str]:
    yield from _twice((row.id for row in record.examples), "example id")
    yield from _twice((policy.name for policy in record.policies), "policy")
    yield from _twice((point.name for point in record.subject.points), "point")
    yield from _twice((runtime.name for runtime in record.runtimes), "runtime")
    yield from _subject_problems(record)
    yield from _policy_problems(record)
    names = {policy.name for policy in record.policies}
    points = sum(point.quantized for point in record.subject.points)
    for row in record.examples:
        yield from _example_problems(row, names, points, record.subject.n_classes)
    ids = {row.id for row in record.examples}
    for name in record.at_risk:
        if name not in ids:
            yield f"at_risk names {name!r}, which is no example's id"
    yield from _count_problems(record)
    if record.explanation is not None:
        yield from explanation_problems(record, record.explanation)
    yield from _verification_problems(record)


def _twice(names: Iterable[str], what: str) -> Iterator[str]:
    for name, count in Counter(names).items():
        if count > 1:
            yield f"{what} {name!r} stands {count} times; each must stand once"


def _subject_problems(record: Record) -> Iterator[str]:
    subject = record.subject
    if subject.n_examples != len(record.examples):
        yield f"n_examples is {subject.n_examples}, but there are {len(record.examples)} examples"
    if subject.class_names is not None and len(subject.class_names) != subject.n_classes:
        yield f"{len(subject.class_names)} class_names for {subject.n_classes} classes"
    if subject.black_box and subject.points:
        yield f"the network was not looked inside, yet has {len(subject.points)} points"
    if subject.coverage.complete and subject.coverage.uncovered:
        yield f"coverage is complete, yet {len(subject.coverage.uncovered)} are uncovered"


def _policy_problems(record: Record) -> Iterator[str]:
    measured = Counter(name for row in record.examples for name in row.outcomes)
    runtimes = {runtime.name for runtime in record.runtimes}
    points = sum(point.quantized for point in record.subject.points)
    for policy in record.policies:
        if policy.runtime is not None and policy.runtime not in runtimes:
            yield (
                f"policy {policy.name!r} was measured in {policy.runtime!r}, which is not in "
                "the record's runtimes"
            )
        if policy.agreement.n > measured[policy.name]:
            yield (
                f"policy {policy.name!r} speaks of {policy.agreement.n} examples, "
                f"but {measured[policy.name]} have an outcome under that name"
            )
        if policy.allocation is not None and len(policy.allocation) != points:
            yield (
                f"policy {policy.name!r} allocates bits to {len(policy.allocation)} points, "
                f"but {points} are quantized"
            )


def _count_problems(record: Record) -> Iterator[str]:
    """What a gate rests on must follow from the examples."""
    for policy in record.policies:
        told = [
            (row.label, row.float_prediction, outcome.prediction)
            for row in record.examples
            if (outcome := row.outcomes.get(policy.name)) is not None
            and row.float_prediction is not None
            and outcome.prediction is not None
        ]
        changed = [(label, before, after) for label, before, after in told if before != after]
        flips = policy.flips
        lost = sum(label == before for label, before, _ in changed)
        gained = sum(label == after for label, _, after in changed)
        found = {"flips.all": (flips.all, len(changed))}
        if flips.lost is not None and flips.gained is not None:
            found |= {"flips.lost": (flips.lost, lost), "flips.gained": (flips.gained, gained)}
        for name, (rate, k) in found.items():
            if (rate.k, rate.n) != (k, len(told)):
                yield (
                    f"{name} of {policy.name!r} is {rate.k} of {rate.n}, "
                    f"but the examples give {k} of {len(told)}"
                )
        if policy.delta_pp is not None and told:
            delta, interval = 100 * (gained - lost) / len(told), policy.delta_pp_interval
            if abs(delta - policy.delta_pp) > 1e-9:
                yield f"delta_pp of {policy.name!r} is {policy.delta_pp}, not {delta}"
            if interval is None or not interval.low <= delta <= interval.high:
                yield f"delta_pp of {policy.name!r} is outside its interval"


def _example_problems(
    row: ExampleRow, names: set[str], points: int, n_classes: int
) -> Iterator[str]:
    for name, outcome in row.outcomes.items():
        if name not in names:
            yield f"example {row.id!r} has an outcome under {name!r}, which is no policy's name"
        if outcome.bits is not None and len(outcome.bits) != points:
            yield (
                f"example {row.id!r} under {name!r} has bits for {len(outcome.bits)} points, "
                f"but {points} are quantized"
            )
    predictions = (row.float_prediction, *(out.prediction for out in row.outcomes.values()))
    for index in (row.label, *predictions):
        if index is not None and not 0 <= index < n_classes:
            yield f"example {row.id!r} has class {index}; classes are 0 to {n_classes - 1}"


def _verification_problems(record: Record) -> Iterator[str]:
    measured = Counter(name for row in record.examples for name in row.outcomes)
    points = [point.name for point in record.subject.points if point.quantized]
    ids = {row.id for row in record.examples}
    for one in record.verification.policies if record.verification else ():
        name = f"the verification of {one.policy!r}"
        if one.decisions.n != measured[one.policy]:
            yield f"{name} speaks of {one.decisions.n} examples, not {measured[one.policy]}"
        if [point.name for point in one.points] != points:
            yield f"{name} is of other points than those that are quantized"
        if len(one.differing) != one.decisions.n - one.decisions.k:
            yield f"{name} lists {len(one.differing)} examples that differ, against its counts"
        if any(example.id not in ids for example in one.differing):
            yield f"{name} names an example that is not in the record"
        if any(max(p.rounded_alike, p.equal, p.same_level) > p.values for p in one.points):
            yield f"{name} counts more equal values than there are"
