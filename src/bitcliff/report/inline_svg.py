"""matplotlib's SVG as a part of a page: half the size, in the page's own colours and type.

The page's content security policy blocks style attributes, so they become plain ones; a colour
becomes a variable of the page, so that one drawing serves a light and a dark ground, and print.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from xml.etree import ElementTree

_SVG = "http://www.w3.org/2000/svg"
_LINK = "{http://www.w3.org/1999/xlink}href"
_DECIMALS = re.compile(r"-?\d+\.\d+")
_REFERENCE = re.compile(r"(?<=url\(#)[\w.-]+|(?<=^#)[\w.-]+")


def inline_svg(svg: str, *, colours: Mapping[str, str], kind: str, words: str) -> str:
    """An `<svg>` element for a page; what is text in it is escaped.

    Args:
        svg: as matplotlib writes it. colours: the variable of the page for each colour in it.
        kind: a second class beside "plot". words: the same for those who cannot see it.
    """
    root = ElementTree.fromstring(svg)  # noqa: S314  (our own)
    # Two drawings of a page must not share names.
    prefix = "p" + hashlib.sha256(svg.encode()).hexdigest()[:8]
    used = {name for one in root.iter() for value in one.attrib.values()
            for name in _REFERENCE.findall(value)}  # fmt: skip
    names = {name: f"{prefix}-{number}" for number, name in enumerate(sorted(used))}
    _strip(root)
    for one in root.iter():
        attributes = dict(_attributes(one, names, colours))
        one.attrib.clear()
        one.attrib.update(attributes)
    shape = {"viewBox": root.get("viewBox", ""), "class": f"plot {kind}"}
    root.attrib.clear()
    root.attrib.update(shape | {"role": "img", "aria-label": words, "stroke-linejoin": "round"})
    ElementTree.register_namespace("", _SVG)
    return ElementTree.tostring(root, encoding="unicode")


def _strip(parent: ElementTree.Element) -> None:
    """Without metadata, styles, groups of nothing and the space between elements."""
    for child in list(parent):
        _strip(child)
        tag = child.tag.removeprefix(f"{{{_SVG}}}")
        if tag in ("metadata", "style") or (tag in ("g", "defs") and not len(child)):
            parent.remove(child)
        elif tag != "text":
            child.text = None
        child.tail = None
    if parent.tag != f"{{{_SVG}}}text":
        parent.text = None


def _attributes(
    one: ElementTree.Element, names: Mapping[str, str], colours: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    for key, value in one.attrib.items():
        if key == "style":
            yield from _styles(value, colours)
        elif key == "id":
            if value in names:
                yield key, names[value]
        else:
            text = _REFERENCE.sub(lambda found: names[found[0]], value)
            yield "href" if key == _LINK else key, _short(" ".join(text.split()))


def _styles(style: str, colours: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for part in filter(None, map(str.strip, style.split(";"))):
        key, _, value = (piece.strip() for piece in part.partition(":"))
        if key == "font-family":  # The page's own: not every reader has matplotlib's.
            continue
        if key == "font":  # Not an attribute as a whole.
            size = re.search(r"([\d.]+)px", value)
            yield "font-size", _short(size[1]) if size else "10"
            if re.search(r"\b(bold|[6-9]00)\b", value):
                yield "font-weight", "bold"
        elif value in colours:
            yield key, f"var({colours[value]})"
        else:
            yield key, _short(value)


def _short(text: str) -> str:
    """Numbers to a hundredth: of a point, which nobody sees."""
    return _DECIMALS.sub(lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), text)
