"""From whose values lie in which group to whether that is a proof: pure, and what is no such
observation."""

from collections.abc import Iterator

from bitcliff.questions.isolation.record import PointGroups, Proof, ProofFigures
from bitcliff.record.problems import twice
from bitcliff.record.schema import SubjectInfo


def proof_figures(proof: Proof, subject: SubjectInfo) -> ProofFigures:
    """Whether all groups hold one example alone, and what else the proof needs."""
    crossing = [one.name for one in proof.points if any(seen.crossing for seen in one.seen)]
    mixed = [one.name for one in proof.points if any(seen.mixed for seen in one.seen)]
    padding = [one.name for one in proof.points if len(set(one.spans)) > 1]
    reasons = [*_reasons(proof, subject, crossing, mixed, padding)]
    return ProofFigures(
        proved=not reasons,
        reasons=reasons,
        examples=max((seen.examples for one in proof.points for seen in one.seen), default=0),
        groups=sum(seen.groups for one in proof.points for seen in one.seen),
        crossing=crossing,
        mixed=mixed,
        padding=padding,
    )


def _reasons(
    proof: Proof,
    subject: SubjectInfo,
    crossing: list[str],
    mixed: list[str],
    padding: list[str],
) -> Iterator[str]:
    count = len(proof.points)
    if crossing:
        yield f"a group holds values of several examples at {_first_of(crossing, count)}"
    reached = [*mixed, *(["its output"] if any(p.mixed_output for p in proof.passes) else [])]
    if reached:
        where = next(iter(one.mixing for one in proof.passes if one.mixing), "not told where")
        yield (
            "the network itself, in float, makes values of several examples, first at "
            f"{where}; they reach {reached[0]}"
        )
    if padding:
        yield f"padding enters a group at {_first_of(padding, count)}"
    if subject.uncovered:
        first = subject.uncovered[0]
        yield f"{len(subject.uncovered)} not covered, first {first.name}: {first.reason}"
    lost = list(dict.fromkeys(told for one in proof.passes for told in one.lost))
    if lost:
        yield f"{len(lost)} not followed, first {lost[0]}"
    left_out = [one.name for one in proof.points if any(not seen.groups for seen in one.seen)]
    if left_out:
        yield f"not reached in every pass: {_first_of(left_out, count)}"


def _first_of(names: list[str], count: int) -> str:
    return f"{len(names)} of {count} points, first {names[0]}"


def proof_problems(proof: Proof, subject: SubjectInfo, largest: int) -> Iterator[str]:
    """What contradicts itself."""
    names = [one.name for one in proof.points]
    yield from twice(names, "point")
    quantized = {point.name for point in subject.points if point.quantized}
    if {*names, *proof.in_float} != quantized or len(names) + len(proof.in_float) != len(quantized):
        yield "the points followed are not those that are quantized or left in float"
    sizes = [(one.batch, one.padded) for one in proof.passes]
    texts = any(one.padded for one in proof.passes)
    kinds = (False, True) if texts else (False,)
    if sizes != [(size, kind) for size in sorted({2, min(3, largest), largest}) for kind in kinds]:
        yield f"the passes are {sizes}"
    for point in proof.points:
        for problem in _point_problems(point, proof, 2 if texts else 0):
            yield f"point {point.name!r} {problem}"


def _point_problems(point: PointGroups, proof: Proof, lengths: int) -> Iterator[str]:
    if len(point.seen) != len(proof.passes):
        yield f"was seen in {len(point.seen)} passes of {len(proof.passes)}"
        return
    if len(point.spans) not in (0, lengths):
        yield f"was seen at {len(point.spans)} lengths of texts"
    for seen, one in zip(point.seen, proof.passes, strict=True):
        if seen.examples > one.batch or seen.crossing > seen.groups:
            yield "has more in its groups than there are"
        if bool(seen.crossing or seen.mixed) != (seen.examples > 1):
            yield "has groups of several examples, or none, against how many there are"
        if bool(seen.groups) != bool(seen.examples):
            yield "has groups without examples"
