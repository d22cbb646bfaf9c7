"""`py:package.module:factory`: a model that the user's own code builds."""

import importlib
import os
import sys
import traceback
from types import ModuleType
from typing import Any

from torch import nn

from bitcliff.adapters.assembly import make_subject
from bitcliff.adapters.fitting import load_weights
from bitcliff.adapters.optional import quiet
from bitcliff.adapters.options import ModelOptions
from bitcliff.adapters.preprocessing import override
from bitcliff.adapters.weights import Weights
from bitcliff.adapters.wording import nearest, one_line
from bitcliff.errors import InputError
from bitcliff.types.subject import Subject


def load_python(name: str, weights: Weights | None, options: ModelOptions) -> Subject:
    """Imports the user's module and takes an nn.Module from it. Runs the user's own code.

    Args:
        name: "package.module:factory"; the factory is a callable without arguments that gives an
            nn.Module, or an nn.Module itself.

    Raises:
        InputError: not found, raises, or gives something else; the text has the exception's own.
    """
    spec = f"py:{name}"
    module_name, colon, attribute = name.partition(":")
    if not (colon and module_name and attribute):
        raise InputError(f"{spec}: must be py:package.module:factory")
    if options.num_classes is not None:
        raise InputError(f"--num-classes does not apply to {spec}: its own code decides")
    module = _module_from(_import(module_name, spec), attribute, spec)
    if weights is not None:
        load_weights(module, weights, spec)
    return make_subject(spec, module, override(None, options), weights, runs_user_code=True)


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
        raise InputError(f"{spec}: importing {module_name} failed: {_told(error)}") from error


def _leads_to(missing: str, wanted: str) -> bool:
    return wanted == missing or wanted.startswith(missing + ".")


def _module_from(source: ModuleType, attribute: str, spec: str) -> nn.Module:
    found: Any = source
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise InputError(
                f"{spec}: {source.__name__} has no {attribute}{nearest(part, vars(source))}"
            )
        found = getattr(found, part)
    if not isinstance(found, nn.Module):
        if not callable(found):
            raise InputError(f"{spec}: {attribute} is a {type(found).__name__}, not a callable")
        try:
            with quiet():
                found = found()
        except (Exception, SystemExit) as error:
            raise InputError(f"{spec}: calling {attribute}() failed: {_told(error)}") from error
    if not isinstance(found, nn.Module):
        raise InputError(f"{spec}: {attribute} gave {type(found).__name__}, not an nn.Module")
    return found


def _told(error: BaseException) -> str:
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
