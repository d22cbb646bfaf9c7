"""How the command starts: at once, and without what it does not need."""

import subprocess
import sys
from pathlib import Path

import pytest

from bitcliff.record import Record, write_record
from tests.end_to_end.commands import BITCLIFF, environment

HEAVY = (
    "torch",
    "numpy",
    "scipy",
    "pydantic",
    "rich",
    "jinja2",
    "matplotlib",
    "timm",
    "torchvision",
)
SCRIPT = """
import sys
from bitcliff.cli.main import run
code = run(sys.argv[1:])
print(sorted(set({heavy!r}) & set(sys.modules)), code, file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["--help"], []),
        (["assess", "--help"], ["pydantic"]),  # its options are made from the settings model
        (["--version"], []),
    ],
    ids=str,
)
def test_help_imports_nothing_heavy(arguments: list[str], needed: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(heavy=HEAVY), *arguments],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.strip() == f"{needed} 0"
    assert done.stdout


def test_a_stored_record_is_judged_without_what_is_slow_to_load(
    record: Record, tmp_path: Path
) -> None:
    write_record(record, tmp_path)
    slow = ("torch", "scipy.stats", "scipy.optimize", "jaxtyping", "asyncio", "yaml", "filelock")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(heavy=slow), "gate", str(tmp_path)],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.strip() == "[] 1"


def test_importing_the_package_imports_nothing_heavy() -> None:
    script = f"import sys, bitcliff; print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_a_reader_who_leaves_is_no_error() -> None:
    command = f"{BITCLIFF} assess --help | head -n 1"
    done = subprocess.run(
        ["sh", "-c", command], env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("Usage: bitcliff assess")
    assert done.stderr == ""


def test_a_full_stdout_is_told() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [BITCLIFF, "--help"],
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code"), [(["gate", ".", "--max-drop", "2"], 1), (["--help"], 0)]
)
def test_a_reader_that_leaves_early_changes_no_exit_code(
    record: Record, tmp_path: Path, arguments: list[str], code: int
) -> None:
    write_record(record, tmp_path)
    process = subprocess.Popen(
        [BITCLIFF, *arguments],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(timeout=300) == code
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()
