"""What was seen of the groups at each point, in words: for the page and the terminal."""

from dataclasses import dataclass

from bitcliff.questions.isolation.record import Isolation, PointGroups


@dataclass(frozen=True)
class PointLine:
    """One point in the largest batch.

    Attributes:
        groups: that share a scale there. examples: the most in one of them, of all passes. words:
            what is wrong with it; empty for a point that is isolated.
    """

    name: str
    groups: int
    examples: int
    words: str


def point_lines(record: Isolation) -> list[PointLine]:
    """Every point, in order of execution, but those that are not isolated first."""
    proof = record.observed.proof
    lines = [_line(point) for point in proof.points] if proof is not None else []
    return sorted(lines, key=lambda line: not line.words)


def _line(point: PointGroups) -> PointLine:
    crossing = max(seen.crossing for seen in point.seen)
    mixed = max(seen.mixed for seen in point.seen)
    told = []
    if crossing:
        told.append(f"crosses examples in {crossing} {'group' if crossing == 1 else 'groups'}")
    if mixed:
        told.append(f"{mixed} values that the network has made of several examples, in float")
    if len(set(point.spans)) > 1:
        told.append("padding enters its groups")
    if any(not seen.groups for seen in point.seen):
        told.append("not reached in every pass")
    return PointLine(
        point.name,
        point.seen[-1].groups,
        max(seen.examples for seen in point.seen),
        "; ".join(told),
    )


def passes_words(record: Isolation) -> str:
    """What was run to see it."""
    proof = record.observed.proof
    if proof is None:
        return ""
    sizes = sorted({one.batch for one in proof.passes})
    listed = f"{', '.join(map(str, sizes[:-1]))} and {sizes[-1]}" if sizes[1:] else str(sizes[0])
    told = [f"Every kernel was followed in batches of {listed}"]
    if any(one.padded for one in proof.passes):
        told.append("of texts of one length and with one padded")
    told.append(f"a scale is shared by {proof.group}")
    if proof.in_float:
        told.append(f"{len(proof.in_float)} points stay in float")
    if proof.unknown:
        told.append(f"kernels taken to mix all they are given: {', '.join(proof.unknown)}")
    return "; ".join(told) + "."
