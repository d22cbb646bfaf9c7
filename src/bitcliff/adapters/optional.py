"""Packages that not every installation has, and libraries that print where they should not."""

import contextlib
import importlib
import importlib.util
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from bitcliff.adapters.wording import one_line
from bitcliff.errors import InputError, MissingExtra


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """Imports a third-party module.

    Args:
        module: dotted name, e.g. "torchvision.transforms".
        extra: which of Bitcliff's extras brings it.
        purpose: what the user asked for, for the error.

    Raises:
        MissingExtra: its package is not installed.
        InputError: it is installed but cannot be imported.
    """
    package = module.split(".")[0]
    try:
        with quiet():
            return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == package:
            raise _missing(package, extra, purpose) from error
        raise InputError(f"{purpose}: importing {module} failed: {one_line(error)}") from error
    except Exception as error:
        raise InputError(f"{purpose}: importing {module} failed: {one_line(error)}") from error


def package_folder(package: str, extra: str, purpose: str) -> Path:
    """Where an installed package lies, found without importing it.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        spec = importlib.util.find_spec(package)
    except ValueError:  # a module put into sys.modules by hand has no spec
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise _missing(package, extra, purpose)
    return Path(next(iter(spec.submodule_search_locations)))


def _missing(package: str, extra: str, purpose: str) -> MissingExtra:
    return MissingExtra(f"{purpose} needs the package {package}: pip install 'bitcliff[{extra}]'")


_silent = False  # whether a call of `quiet` is on


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Sends what is printed to stderr and drops warnings, while other people's code runs.

    stdout belongs to `--json`. Of what is logged only errors are left. Inside itself it does
    nothing, so that around what is timed it costs no time; nor in another thread than the main one,
    since all share what it changes.
    """
    global _silent
    if _silent or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = logging.root.manager.disable
    louder = before < logging.WARNING
    _silent = True
    if louder:  # each call clears every logger's cache
        logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        _silent = False
        if louder:
            logging.disable(before)
