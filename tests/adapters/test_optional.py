import contextlib
import logging
import sys
import warnings
from pathlib import Path

import pytest

from bitcliff.adapters.optional import package_folder, quiet, require
from bitcliff.errors import InputError, MissingExtra


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtra, match=r"timm:x needs the package timm: pip install 'bitcliff"):
        require("timm", "vision", "timm:x")
    with pytest.raises(MissingExtra, match=r"bitcliff\[demo\]"):
        package_folder("timm", "demo", "imagenet-20")


def test_a_missing_package_that_was_never_installed() -> None:
    with pytest.raises(MissingExtra, match="no_such_package_at_all"):
        require("no_such_package_at_all.part", "hf", "hf:DIR")


def test_a_package_that_fails_to_import_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_package_x.py").write_text("raise OSError('no libx.so')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=r"OSError: no libx\.so"):
        require("broken_package_x", "hf", "hf:DIR")


def test_quiet_keeps_stdout_clean(capsys: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("other people's")
    log.addHandler(handler := logging.StreamHandler())
    with quiet():
        print("noise")  # noqa: T201
        warnings.warn("an error in these tests, if it got out", stacklevel=1)
        filters = warnings.filters
        with quiet():
            assert warnings.filters is filters  # nothing was done: it is around what is timed
            log.warning("advice")
        log.warning("more advice")
        log.error("an error")
    assert capsys.readouterr() == ("", "noise\nan error\n")
    log.warning("after it")
    assert capsys.readouterr().err == "after it\n"
    log.removeHandler(handler)


def test_quiet_drops_warnings_where_stdout_is_stderr_already(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As while a command shows its progress."""
    log = logging.getLogger("other people's, too")
    log.addHandler(handler := logging.StreamHandler())
    with contextlib.redirect_stdout(sys.stderr):
        with quiet():
            log.warning("advice")
        log.warning("after it")
    log.removeHandler(handler)
    assert capsys.readouterr().err == "after it\n"
