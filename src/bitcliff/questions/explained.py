"""What all questions of `bitcliff explain` check alike."""

from collections.abc import Iterable, Iterator

from bitcliff.record import Record


def about_explained(record: Record, names: Iterable[str]) -> Iterator[str]:
    """Whether an answer is about other policies than the record says are explained.

    Those are known, and measured on all examples: the record itself is checked for that.
    """
    explained = [] if record.explained is None else record.explained.policies
    if (found := list(names)) != explained:
        yield f"is about {found}, not about the explained policies, which are {explained}"
