"""A YAML file that a user wrote: read, checked, every slip told in one line."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import yaml
from pydantic import BaseModel, ValidationError

from bitcliff.errors import InputError, nearest

Kind = TypeVar("Kind", bound=BaseModel)


class _EachKeyOnce(yaml.SafeLoader):
    """YAML takes the last of two equal keys and says nothing."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = next((key for place, key in enumerate(keys) if key in keys[:place]), None)
        if twice is not None:
            raise yaml.YAMLError(f"the key {twice} stands twice")
        return super().construct_mapping(node, deep)


def read_yaml(file: Path, kind: type[Kind], option: str = "") -> Kind:
    """The file as a `kind`.

    Args:
        option: the option that named the file, with a space behind, for the error.

    Raises:
        InputError: missing, not YAML, an unknown key or a value out of range; the text names it.
    """
    shown = f"{option}{file}"
    try:
        fields = yaml.load(file.read_text("utf-8"), _EachKeyOnce)  # noqa: S506  (a safe loader)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise InputError(f"{shown}: cannot be read: {reason}; give a YAML file") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{shown}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(fields, dict):
        known = ", ".join(list(kind.model_fields)[:6])
        raise InputError(f"{shown}: must hold `key: value` lines, with keys such as {known}")
    return checked(fields, kind, shown)


def checked(fields: dict[str, Any], kind: type[Kind], shown: str) -> Kind:
    """What a file holds as a `kind`.

    Raises:
        InputError: an unknown key or a value out of range; the text begins with `shown`.
    """
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise InputError(f"{shown}: {_first_slip(error, kind)}") from error


def _keys(kind: Any, parents: Iterable[str]) -> set[str]:
    """The keys known at a place in the file."""
    for key in parents:
        kind = _inside(kind, key)
    return get_type_hints(kind).keys() - {"model_config"}


def _inside(kind: Any, key: str) -> Any:
    """The type of a key's value: a field's, without None, or that of all values of a mapping."""
    if get_origin(kind) is dict:
        return get_args(kind)[1]
    found = get_type_hints(kind)[key]
    if get_origin(found) is dict:
        return found
    return next((one for one in get_args(found) if hasattr(one, "model_fields")), found)


def _first_slip(error: ValidationError, kind: type[BaseModel]) -> str:
    # A slip in a key's name makes another key missing: the slip is what to tell.
    first: Any = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        *parents, word = first["loc"]
        return f"unknown key {where}{nearest(str(word), _keys(kind, parents))}"
    if first["type"] == "missing":
        return f"the key {where} is missing"
    said = f"{where}: " if where else ""
    return f"{said}{first['msg']}, not {first['input']!r}"
