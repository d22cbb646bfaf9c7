"""Where two texts differ, word by word."""

from itertools import groupby

from rapidfuzz.distance import Levenshtein

Pieces = list[tuple[str, bool]]
"""A text in pieces, each with whether it differs."""


def differing(before: str, now: str) -> tuple[Pieces, Pieces]:
    """Both, with the words that one has and the other has not, or not there."""
    ours, theirs = before.split(), now.split()
    steps = Levenshtein.editops(ours, theirs)
    gone = {step.src_pos for step in steps if step.tag != "insert"}
    come = {step.dest_pos for step in steps if step.tag != "delete"}
    return _pieces(ours, gone), _pieces(theirs, come)


def _pieces(words: list[str], odd: set[int]) -> Pieces:
    groups = groupby(enumerate(words), key=lambda one: one[0] in odd)
    return [(" ".join(word for _, word in group), differs) for differs, group in groups]
