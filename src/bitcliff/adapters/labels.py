"""Class names as folders, tables and data sets write them, turned into output indices."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bitcliff.adapters.imagenet_classes import imagenet_wordnet_ids
from bitcliff.adapters.wording import listed
from bitcliff.errors import InputError, nearest

_WORDNET_ID = re.compile(r"n\d{8}")
_IMAGENET_CLASSES = 1000
_INDEX = re.compile(r"\d{1,9}", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?", re.ASCII)


@dataclass(frozen=True)
class LabelMap:
    """What each name means.

    Attributes:
        index: name to output index.
        class_names: in output order where the data itself names all classes, else None.
        how: how it was decided, in words.
    """

    index: dict[str, int]
    class_names: tuple[str, ...] | None
    how: str


def map_labels(
    names: Sequence[str],
    class_names: tuple[str, ...] | None,
    outputs: Callable[[], int],
    where: str,
) -> LabelMap:
    """Decides what class names mean, in this order: integers are indices; names that the model
    knows; ImageNet's WordNet ids; as many names as outputs, sorted.

    Args:
        names: distinct, in any order.
        class_names: the model's own, in output order.
        outputs: how many outputs the model has; called only where it matters.
        where: the folder or file, for errors.

    Raises:
        InputError: some names, or all, match nothing.
    """
    if all(_INDEX.fullmatch(name) for name in names):
        return LabelMap({name: int(name) for name in names}, None, "given as class indices")
    odd = [name for name in names if _NUMBER.fullmatch(name) and not _INDEX.fullmatch(name)]
    if odd:
        raise InputError(f"{where}: {listed(odd)} is no class index; indices are 0, 1, 2 and so on")
    matched = match_names(names, class_names or (), where)
    if len(matched) == len(names):
        return LabelMap(matched, class_names, "matched to the model's class names")
    if matched:
        missing = [name for name in names if name not in matched]
        hint = nearest(missing[0], class_names or ())
        raise InputError(f"{where}: not among the model's class names: {listed(missing)}{hint}")
    n = outputs()
    wordnet = imagenet_wordnet_ids() if n == _IMAGENET_CLASSES else None
    if wordnet and all(_WORDNET_ID.fullmatch(name) for name in names):
        unknown = sorted(set(names) - set(wordnet))
        if unknown:
            raise InputError(f"{where}: not among ImageNet's 1000 WordNet ids: {listed(unknown)}")
        index = {name: wordnet.index(name) for name in names}
        return LabelMap(index, None, "matched to ImageNet's WordNet ids")
    if len(names) == n:
        ordered = sorted(names)
        index = {name: number for number, name in enumerate(ordered)}
        return LabelMap(index, tuple(ordered), "numbered in sorted order")
    raise InputError(
        f"{where}: {len(names)} classes ({listed(names)}) match neither the model's class names "
        f"nor its {n} outputs; name them by class index"
    )


def match_names(names: Sequence[str], class_names: Sequence[str], where: str) -> dict[str, int]:
    """Those names that are among the class names, to their index; case and _ or - do not count.

    Raises:
        InputError: a name that two classes share, as ImageNet's two cranes do in some tables.
    """
    known: dict[str, set[int]] = {}
    for index, own in enumerate(class_names):
        # "tench, Tinca tinca" is known by its first name too.
        for form in {_plain(own), _plain(own.split(",")[0])}:
            known.setdefault(form, set()).add(index)
    matched = {}
    for name in names:
        indices = known.get(_plain(name), set())
        if len(indices) > 1:
            raise InputError(
                f"{where}: {name!r} names {len(indices)} of the model's classes "
                f"({listed(map(str, sorted(indices)))}); name classes by index"
            )
        if indices:
            matched[name] = next(iter(indices))
    return matched


def _plain(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())
