"""What was put is found again by the same configuration, whatever became of the process."""

import json
import random
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bitcliff.errors import InputError
from bitcliff.run.partial import Partial, fingerprint

CONFIG = {"seed": 1, "bits": [3, 4]}
VALUES: dict[str, Any] = {
    "worst-4": {"margin": 0.1 + 0.2, "bits": [3, None], "name": "Ünïcødé \udcff\n"},
    "worst-5": [],
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "partial.jsonl"


@pytest.fixture
def kept(file: Path) -> Partial:
    """An interrupted run's."""
    partial = Partial(file, CONFIG)
    for key, value in VALUES.items():
        partial.put(key, value)
    return partial


def left(file: Path) -> dict[str, Any]:
    """What the same configuration finds."""
    partial = Partial(file, CONFIG)
    found = {key: partial.get(key) for key in VALUES if partial.get(key) is not None}
    assert partial.resumed == len(found)
    return found


def test_what_was_put_is_found_again_by_the_same_configuration_only(
    file: Path, kept: Partial
) -> None:
    assert kept.resumed == 0
    again = Partial(file, dict(reversed(CONFIG.items())))
    assert again.resumed == 2
    assert {key: again.get(key) for key in VALUES} == VALUES
    assert again.get("worst-9") is None
    assert again.started == kept.started
    assert Partial(file, {**CONFIG, "seed": 2}).resumed == 0
    assert Partial(file, CONFIG).resumed == 0


def test_the_last_value_put_under_a_key_counts(file: Path, kept: Partial) -> None:
    kept.put("worst-5", 7)
    assert kept.get("worst-5") == 7
    assert left(file) == VALUES | {"worst-5": 7}


def test_a_value_that_cannot_be_read_is_as_good_as_none(kept: Partial) -> None:
    kept.put("count", "7")
    assert kept.get_as("count", int) == 7
    kept.put("count", "seven")
    assert kept.get_as("count", int) is None
    assert kept.get_as("worst-9", str) is None


def test_a_run_that_ended_leaves_nothing_to_take_up(file: Path, kept: Partial) -> None:
    kept.clear()
    kept.clear()
    assert list(file.parent.iterdir()) == []


@pytest.mark.parametrize("torn", [1, 2, 20])
def test_a_torn_last_line_is_ignored_and_nothing_is_lost_after_it(
    file: Path, kept: Partial, torn: int
) -> None:
    file.write_bytes(file.read_bytes()[:-torn])
    again = Partial(file, CONFIG)
    assert again.resumed == 1
    again.put("worst-5", VALUES["worst-5"])
    assert left(file) == VALUES


@pytest.mark.parametrize(
    ("old", "new", "resumed"),
    [
        (rb"{", b"[" * 200_000, 0),
        (rb'"fingerprint": "', rb'"fingerprint": "0', 0),
        (rb'"started": "', rb'"began": "', 0),
        (rb'{"key": "worst-5"', rb'{"key": 5', 1),
        (rb'{"key": "worst-4"', rb'{"kex": "worst-4"', 0),
        (rb'"margin": 0.3', bytes(range(256)), 0),
    ],
    ids=["nested", "fingerprint", "began", "key", "field", "binary"],
)
def test_what_is_damaged_is_not_used_nor_what_follows(
    file: Path, kept: Partial, old: bytes, new: bytes, resumed: int
) -> None:
    data = file.read_bytes()
    assert old in data
    file.write_bytes(data.replace(old, new, 1))
    assert list(left(file)) == list(VALUES)[:resumed]


@pytest.mark.parametrize("data", [b"", b"[1, 2]\n", b"{}", bytes(range(256)), b"\n\n"], ids=str)
def test_a_file_of_something_else_is_as_good_as_none(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    assert left(file) == {}


def test_the_fingerprint_is_of_all_that_is_configured() -> None:
    others = [{}, {"seed": 1}, {"seed": 1, "bits": [4, 3]}, {"seed": "1", "bits": [3, 4]}, "é"]
    assert len({fingerprint(config) for config in [CONFIG, *others]}) == 6


def test_a_value_is_on_disk_when_it_was_put(file: Path, synced: Callable[[], list[Path]]) -> None:
    partial = Partial(file, CONFIG)
    before = len(synced())
    partial.put("worst-4", 1)
    assert synced()[before:] == [file]


def test_a_value_costs_as_much_to_write_after_many(file: Path) -> None:
    partial, sizes = Partial(file, CONFIG), []
    inode = file.stat().st_ino
    for number in range(50):
        before = file.stat().st_size
        partial.put(f"{number:02}", "x" * 100)
        sizes.append(file.stat().st_size - before)
    assert len(set(sizes)) == 1
    assert file.stat().st_ino == inode  # appended to, never written anew


def test_a_full_disk_is_told_in_one_line_and_costs_no_value(
    file: Path, kept: Partial, monkeypatch: pytest.MonkeyPatch
) -> None:
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 30, limits[1]))
    try:
        with pytest.raises(InputError, match=r"partial\.jsonl: cannot be written.*space left"):
            kept.put("worst-6", "x" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert kept.get("worst-6") is None
    assert not file.read_bytes().endswith(b"\n")
    assert left(file) == VALUES


PUTTING = """
    import sys
    from pathlib import Path
    from bitcliff.run.partial import Partial
    assert "torch" not in sys.modules
    partial = Partial(Path(sys.argv[1]), {})
    for number in range(partial.resumed, 100_000):
        partial.put(str(number), [number] * 2000)
        print(number, flush=True)
"""


def test_a_kill_at_any_moment_costs_nothing_that_was_put(file: Path) -> None:
    rng, whole = random.Random(0), 0
    for _ in range(4):
        command = [sys.executable, "-c", textwrap.dedent(PUTTING), str(file)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert int(process.stdout.readline()) == whole
            time.sleep(rng.uniform(0, 0.3))
            process.kill()
            said = process.stdout.read().splitlines(keepends=True)
        put = [int(line) for line in said if line.endswith("\n")]
        last = max(put, default=whole)
        partial = Partial(file, {})
        assert partial.resumed in (last + 1, last + 2)  # put, and maybe not said any more
        whole = partial.resumed
        for number in range(whole):
            assert partial.get(str(number)) == [number] * 2000
    lines = file.read_text().splitlines()
    assert [json.loads(line)["key"] for line in lines[1:]] == [str(n) for n in range(whole)]
