"""Class names as folders, tables and data sets write them, turned into output indices."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bitcliff.adapters.imagenet_classes import imagenet_wordnet_ids
from bitcliff.adapters.wording import listed
from bitcliff.errors import InputError, nearest

_WORDNET_ID = re.compile(r"n\d{8}")
_IMAGENET_CLASSES = 1000
_INDEX = re.compile(r"\d{1,9}", re.ASCII)
_DIGITS = re.compile(r"(\d+)", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?", re.ASCII)

AS_TOLD = "mapped to outputs by --label-map"


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
    told: Mapping[str, int] | None = None,
) -> LabelMap:
    """Decides what class names mean, in this order: as told; integers are indices; names that the
    model knows; ImageNet's WordNet ids; as many names as outputs, in natural order.

    Args:
        names: distinct, in any order.
        class_names: the model's own, in output order.
        outputs: how many outputs the model has; called only where it matters.
        where: the folder or file, for errors.
        told: the user's own map, which leaves nothing to be decided; empty where there is none.

    Raises:
        InputError: some names, or all, match nothing.
    """
    if told:
        return _as_told(names, told, where, outputs)
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
        index = _numbered(names)
        how = f"numbered in natural order: {in_pairs(index)}"
        return LabelMap(index, tuple(index), how)
    raise InputError(
        f"{where}: {len(names)} classes ({listed(names)}) match neither the model's class names "
        f"nor its {n} outputs; say which output each is: --label-map {in_pairs(_numbered(names))}"
    )


def natural(name: str) -> tuple[tuple[bool, int, str], ...]:
    """A key to sort by, in which numbers count as such: r0, r90, r180, r270."""
    parts = filter(None, _DIGITS.split(name))
    return tuple((not p.isdecimal(), int(p) if p.isdecimal() else 0, p) for p in parts)


def in_pairs(index: Mapping[str, int], most: int = 12) -> str:
    """A map as it would be typed for --label-map, cut off where it is long."""
    pairs = [f"{name}={output}" for name, output in index.items()]
    return ",".join(pairs[:most]) + (",..." if len(pairs) > most else "")


def _numbered(names: Sequence[str]) -> dict[str, int]:
    return {name: number for number, name in enumerate(sorted(names, key=natural))}


def _as_told(
    names: Sequence[str], told: Mapping[str, int], where: str, outputs: Callable[[], int]
) -> LabelMap:
    missing = [name for name in names if name not in told]
    if missing:
        hint = nearest(missing[0], list(told))
        raise InputError(f"{where}: --label-map does not say what {listed(missing)} is{hint}")
    whole = sorted(told.values()) == list(range(outputs()))
    ordered = tuple(sorted(told, key=told.__getitem__)) if whole else None
    return LabelMap(dict(told), ordered, AS_TOLD)


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
