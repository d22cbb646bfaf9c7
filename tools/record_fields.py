"""A directive, `record-fields`, that writes down the fields of `record.json` from their classes."""

import inspect
import types
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin, get_type_hints

from docutils import nodes
from pydantic import BaseModel
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from bitcliff.questions.kinds import KINDS
from bitcliff.record import Figures, Observed


class RecordFields(SphinxDirective):
    """A section for what an assessment holds, and one for each question."""

    has_content = False

    def run(self) -> list[nodes.Node]:
        """The sections; a class that several parts hold is told where it is met first."""
        seen: set[type[BaseModel]] = set()
        sections: list[nodes.Node] = []
        for title, words, roots in _chapters():
            kinds = [kind for kind in parts(*roots) if kind not in seen]
            seen.update(kinds)
            sections.append(_section(title, words, kinds))
        return sections


def _chapters() -> Iterator[tuple[str, str, list[type[BaseModel]]]]:
    yield "What was observed", "At the top of the file, beside `schema_version`.", [Observed]
    yield "Figures", "`figures`: worked out from what was observed, and checked.", [Figures]
    for key, kind in KINDS.items():
        words = f"`answers.{key}`, and the figures that follow in `figures.answers.{key}`."
        figures = get_type_hints(kind.figures)["return"]
        yield f"Answer: {key}", words, [kind.observed, figures]


def parts(*roots: type[BaseModel]) -> list[type[BaseModel]]:
    """The classes, and all that their fields hold, from the top down."""
    found: list[type[BaseModel]] = list(roots)
    for kind in found:
        held = [one for field in kind.model_fields.values() for one in _classes(field.annotation)]
        found += [one for one in dict.fromkeys(held) if one not in found]
    return found


def _classes(annotation: Any) -> Iterator[type[BaseModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _classes(part)


def words_of(annotation: Any) -> str:
    """A type as it is written, without the modules that its parts come from."""
    if annotation is type(None):
        return "null"
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is None:
        return str(getattr(annotation, "__name__", annotation))
    if hasattr(annotation, "__metadata__"):
        return words_of(arguments[0])
    if origin is Literal:
        return " or ".join(map(repr, arguments))
    if origin is types.UnionType or str(origin) == "typing.Union":
        return " or ".join(map(words_of, arguments))
    return f"{origin.__name__}[{', '.join(map(words_of, arguments))}]".replace("Ellipsis", "...")


def _section(title: str, words: str, kinds: list[type[BaseModel]]) -> nodes.section:
    section = nodes.section(ids=[nodes.make_id(title)])
    section += nodes.title(text=title)
    section += _paragraph(words)
    for kind in kinds:
        part = nodes.section(ids=[nodes.make_id(f"{title}-{kind.__name__}")])
        part += nodes.title(text=kind.__name__)
        part += [_paragraph(text) for text in (inspect.getdoc(kind) or "").split("\n\n")]
        part += _fields(kind)
        section += part
    return section


def _paragraph(text: str) -> nodes.paragraph:
    paragraph = nodes.paragraph()
    for place, piece in enumerate(text.split("`")):
        paragraph += nodes.literal(text=piece) if place % 2 else nodes.Text(piece)
    return paragraph


def _fields(kind: type[BaseModel]) -> nodes.bullet_list:
    told = nodes.bullet_list()
    for name, field in kind.model_fields.items():
        meaning = f". {field.description}" if field.description else ""
        words = f"`{name}`: `{words_of(field.annotation)}`{meaning}"
        told += nodes.list_item("", _paragraph(words))
    return told


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_directive("record-fields", RecordFields)
    return {"parallel_read_safe": True}
