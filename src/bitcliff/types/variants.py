"""What a shipped format could be changed to, in one respect each, to lose less."""

from collections.abc import Iterator
from typing import Any, Literal

from bitcliff.types.numerics import FLOATS, POWERS_OF_TWO, Numerics
from bitcliff.types.presets import Format
from bitcliff.types.value import Value

Family = Literal["groups", "rule", "zero-point", "wider", "smoothed", "rotated"]

_BLOCK = 32
"""Entries of a block where a format has a scale for each token."""
_RULES = ("floor", "rceil", "even", "ceil")
_WIDER = {"e2m1": "e2m3", "e2m3": "e4m3", "e3m2": "e4m3", "int4": "int8"}


class Variant(Value):
    """A format changed in one respect, or what its layers are given.

    Attributes:
        words: what was changed. format: what is rounded to. "smoothed": each channel's range is
            evened out between a layer's input and its weights before, "rotated": both are
            multiplied by a Hadamard matrix; either leaves the product in float as it is.
    """

    family: Family
    words: str
    format: Format


def variants_of(shipped: Format) -> list[Variant]:
    """Those there are of a format, the ones that leave its values' bits as they are first."""
    found = [*_other_rules(shipped), *_own_scales(shipped), *_zero_points(shipped)]
    if shipped.activations is not None and not shipped.everywhere:
        words = "channels smoothed between inputs and weights (SmoothQuant, strength 0.5)"
        found.append(Variant(family="smoothed", words=words, format=shipped))
        words = "inputs and weights rotated by a Hadamard matrix"
        found.append(Variant(family="rotated", words=words, format=shipped))
    return [*found, *_smaller_groups(shipped), *_wider(shipped)]


def _other_rules(shipped: Format) -> Iterator[Variant]:
    used = {one.scale for one in _parts(shipped).values()} & POWERS_OF_TWO
    for rule in _RULES if used else ():
        if rule not in used:
            changed = {name: {"scale": rule} for name in _parts(shipped)}
            yield _variant("rule", f"scales rounded by {rule}", shipped, changed)


def _own_scales(shipped: Format) -> Iterator[Variant]:
    fixed = {name: one for name, one in _parts(shipped).items() if one.scale == "one"}
    if fixed:
        changed = {
            name: {"scale": "amax", "divisor": _most(one.element)} for name, one in fixed.items()
        }
        words = (
            f"scales by the values: {', '.join(f'{name} by {fixed[name].group}' for name in fixed)}"
        )
        yield _variant("rule", words, shipped, changed)


def _zero_points(shipped: Format) -> Iterator[Variant]:
    one = shipped.activations
    if one is None or one.float_element is not None or one.scale == "one":
        return
    plain: dict[str, Any] = {"order": "divide", "zero_point": "rounded", "divisor": 1.0}
    if one.asymmetric:
        element = one.element.removeprefix("u")
        divisor = float(2 ** (one.element_bits - 1) - 1)
        plain |= {"element": element, "scale": "amax", "divisor": divisor}
        words = "activations without a zero point"
    else:
        plain |= {"scale": "minmax-zero"}
        words = "activations with a zero point"
    yield _variant("zero-point", words, shipped, {"activations": plain})


def _smaller_groups(shipped: Format) -> Iterator[Variant]:
    changed = dict[str, dict[str, Any]]()
    for name, one in _parts(shipped).items():
        if one.group == "block" and one.block >= 2 * 8:
            changed[name] = {"block": one.block // 2}
        elif one.group == "batch":
            # The weights of a convolution have one scale, and no tokens.
            if name == "cache" or not shipped.everywhere:
                changed[name] = {"group": "token"}
            elif name == "activations":
                changed[name] = {"group": "example"}
        elif one.group == "token" and one.scale != "one" and not shipped.everywhere:
            changed[name] = {"group": "block", "block": _BLOCK}
    if changed:
        told = ", ".join(f"{name} {_group(parts)}" for name, parts in changed.items())
        yield _variant("groups", f"smaller groups: {told}", shipped, changed)


def _group(changed: dict[str, Any]) -> str:
    return f"in blocks of {changed['block']}" if "block" in changed else f"by {changed['group']}"


def _wider(shipped: Format) -> Iterator[Variant]:
    changed = dict[str, dict[str, Any]]()
    for name, one in _parts(shipped).items():
        wide = _WIDER.get(one.element)
        if wide is None or one.scale == "two-level":
            continue
        changed[name] = {"element": wide}
        if one.scale == "amax":
            most, now = (_most(element) for element in (wide, one.element))
            changed[name]["divisor"] = one.divisor * most / now
    if changed:
        told = ", ".join(f"{name} {parts['element']}" for name, parts in changed.items())
        yield _variant("wider", f"wider: {told}", shipped, changed)


def _most(element: str) -> float:
    return FLOATS[element].most if element in FLOATS else float(2 ** (int(element[3:]) - 1) - 1)


def _parts(shipped: Format) -> dict[str, Numerics]:
    parts = {
        "activations": shipped.activations, "weights": shipped.weights, "cache": shipped.cache
    }  # fmt: skip
    return {name: one for name, one in parts.items() if one is not None}


def _variant(
    family: Family, words: str, shipped: Format, changed: dict[str, dict[str, Any]]
) -> Variant:
    parts = {
        name: Numerics.model_validate({**one.model_dump(), **changed.get(name, {})})
        for name, one in _parts(shipped).items()
    }
    made = Format(
        activations=parts.get("activations"),
        weights=parts.get("weights"),
        cache=parts.get("cache"),
        everywhere=shipped.everywhere,
    )
    return Variant(family=family, words=words, format=made)
