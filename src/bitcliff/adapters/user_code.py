"""What the user's own modules hold, by dotted name."""

import importlib
import os
import sys
import traceback
from collections.abc import Callable
from types import ModuleType
from typing import Any

from bitcliff.adapters.optional import quiet
from bitcliff.adapters.wording import one_line
from bitcliff.errors import InputError, nearest


def find_object(name: str, spec: str) -> Any:
    """Imports a module of the user's and takes something from it. Runs the user's own code.

    Args:
        name: "package.module:attribute".
        spec: as the user gave it, with its prefix, for errors.

    Raises:
        InputError: malformed, not found, or importing it fails; the text has the exception's own.
    """
    module_name, colon, attribute = name.partition(":")
    if not (colon and module_name and attribute):
        kind = spec.partition(":")[0]
        raise InputError(f"{spec}: must be {kind}:package.module:name")
    source = _import(module_name, spec)
    found: Any = source
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise InputError(
                f"{spec}: {source.__name__} has no {attribute}{nearest(part, vars(source))}"
            )
        found = getattr(found, part)
    return found


def called(made: Callable[[], Any], name: str, spec: str) -> Any:
    """What the user's code makes, without what it prints.

    Args:
        name: as errors call it. spec: as in `find_object`.

    Raises:
        InputError: it raises or leaves; the text has the exception's own.
    """
    try:
        with quiet():
            return made()
    except (Exception, SystemExit) as error:
        raise InputError(f"{spec}: calling {name} failed: {described(error)}") from error


def described(error: BaseException) -> str:
    """Type, message, and the line of the user's file where it happened."""
    if isinstance(error, SyntaxError):
        return one_line(error)
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<") and frame.filename != importlib.__file__
    ]
    if len(frames) < 2:  # only Bitcliff's own frame: the error came before any of the user's code
        return one_line(error)
    return f"{one_line(error)} ({os.path.basename(frames[-1].filename)}, line {frames[-1].lineno})"


def _import(module_name: str, spec: str) -> ModuleType:
    # A console script's sys.path lacks the working directory. It stays there: the user's code may
    # import more when the model runs.
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        with quiet():
            importlib.invalidate_caches()
            return importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        if (
            isinstance(error, ModuleNotFoundError)
            and error.name
            and _leads_to(error.name, module_name)
        ):
            raise InputError(
                f"{spec}: no module {error.name} in the working directory or on PYTHONPATH"
            ) from error
        raise InputError(f"{spec}: importing {module_name} failed: {described(error)}") from error


def _leads_to(missing: str, module_name: str) -> bool:
    return module_name == missing or module_name.startswith(missing + ".")
