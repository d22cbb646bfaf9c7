import errno
import os
from pathlib import Path
from unittest import mock

import pytest

from bitcliff.errors import InputError
from bitcliff.sweep.folder import Claim, sweep_folder
from bitcliff.sweep.store import Store


def test_a_full_disk_is_told_before_anything_starts(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with (
        mock.patch("os.fsync", side_effect=full),
        pytest.raises(InputError, match="No space left on device"),
    ):
        Store(str(tmp_path)).check()
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be made"):
        Store(str(tmp_path / "file" / "cells")).check()
    with pytest.raises(InputError, match="cannot be"):
        Store("/proc/cells").check()


def test_two_sweeps_into_one_folder_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    with (
        sweep_folder(out, {"pairs": 1}),
        pytest.raises(InputError, match=f"in use by process {os.getpid()} on "),
        sweep_folder(out, {"pairs": 1}),
    ):
        pass
    (out / "cells" / "a").mkdir(parents=True)
    with (
        pytest.raises(InputError, match="holds another sweep: pairs was 1, is 2"),
        sweep_folder(out, {"pairs": 2}),
    ):
        pass


def test_a_mended_file_is_taken_where_no_cell_has_begun(tmp_path: Path) -> None:
    for asked in ({"pairs": 1}, {"pairs": 2}):
        with sweep_folder(tmp_path / "sweep", asked):
            pass
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("")
    with (
        pytest.raises(InputError, match="not empty and holds no sweep"),
        sweep_folder(tmp_path / "other", {"pairs": 1}),
    ):
        pass


def test_shared_storage_is_used_by_one_sweep(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "shared"))
    mine, theirs = (Claim(store, tmp_path / name, {"pairs": 1}) for name in ("mine", "theirs"))
    mine.take()
    with pytest.raises(InputError, match=r"in use by .*mine, heard of 0 s ago"):
        theirs.take()
    Claim(store, tmp_path / "mine", {"pairs": 1}).take()  # after a kill, it is its own
    mine.release()
    theirs.take()
    with pytest.raises(InputError, match="holds another sweep"):
        Claim(store, tmp_path / "theirs", {"pairs": 2}).take()
