"""Word and character error rates of texts."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from bitcliff.types.rate import ErrorRates


@cache
def _plainer() -> Callable[[str], Any]:
    import jiwer  # here, so that whoever reads a record without texts does not wait for it

    return jiwer.Compose(
        [
            jiwer.ToLowerCase(),
            jiwer.SubstituteRegexes({r"[-‐-―]": " "}),
            jiwer.RemovePunctuation(),  # type: ignore[no-untyped-call]
            jiwer.RemoveMultipleSpaces(),
            jiwer.Strip(),
        ]
    )


def plain(text: str) -> str:
    """In small letters, hyphens as spaces, and without other punctuation."""
    return str(_plainer()(text))


def error_rates(wanted: Sequence[str], said: Sequence[str]) -> ErrorRates | None:
    """Of plain texts; None where no word is wanted."""
    import jiwer

    pairs = [(plain(one), plain(other)) for one, other in zip(wanted, said, strict=True)]
    # Of those without a word no rate is known.
    pairs = [pair for pair in pairs if pair[0]]
    if not pairs:
        return None
    references, found = ([*texts] for texts in zip(*pairs, strict=True))
    return ErrorRates(
        words=float(jiwer.wer(references, found)),
        characters=float(jiwer.cer(references, found)),
        n=sum(len(one.split()) for one in references),
    )


def words_right(wanted: str, said: str) -> float:
    """One less the word error rate, none below 0; where no word is wanted, whether none is said."""
    found = error_rates([wanted], [said])
    return float(not plain(said)) if found is None else max(0.0, 1 - found.words)
