"""What is published: built, installed where nothing else is, and used there."""

import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

from tests.docs.blocks import ROOT
from tests.end_to_end.commands import environment

# Gigabytes of PyTorch are installed.
pytestmark = pytest.mark.slow

PYTHON = (sys.executable, "-I")
UV = (*PYTHON, "-m", "uv")

MODEL = """\
import torch
from torch import nn


def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3)).eval()
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, and the wheel that is built of it."""
    folder = tmp_path_factory.mktemp("dist")
    ran(folder, *PYTHON, "-m", "build", "--installer", "uv", "--outdir", str(folder), str(ROOT))
    return folder


@pytest.fixture(scope="module")
def installed(built: Path) -> Iterator[Path]:
    """The programs of an environment that holds the wheel, what it needs, and nothing else."""
    (wheel,) = built.glob("*.whl")
    with tempfile.TemporaryDirectory() as folder:
        programs = Path(folder) / "bin"
        ran(built, *UV, "venv", "--python", sys.executable, "--clear", folder)
        # Of uv's cache: from the second time on it takes seconds.
        ran(built, *UV, "pip", "install", "--python", str(programs / "python"), str(wheel))
        yield programs


def ran(folder: Path, *command: str) -> str:
    """What a command prints, in an environment that finds nothing of this checkout."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={key: value for key, value in environment().items() if key != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_both_hold_all_that_is_no_python_too(built: Path) -> None:
    package = ROOT / "src" / "bitcliff"
    others = {
        str(file.relative_to(package.parent))
        for file in package.rglob("*")
        if file.is_file() and file.suffix != ".py" and "__pycache__" not in file.parts
    }
    assert "bitcliff/py.typed" in others
    assert len(others) > 10
    (wheel,), (sdist,) = built.glob("*.whl"), built.glob("*.tar.gz")
    assert others <= set(ZipFile(wheel).namelist())
    with tarfile.open(sdist) as archive:
        names = {name.partition("/src/")[2] for name in archive.getnames()}
    assert others <= names


def test_help_and_an_audit_of_ones_own_network(installed: Path, tmp_path: Path) -> None:
    bitcliff = str(installed / "bitcliff")
    assert "assess" in ran(tmp_path, bitcliff, "--help")
    (tmp_path / "mine.py").write_text(MODEL)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 8)).astype(np.float32)
    np.savez(tmp_path / "arrays.npz", x=x, y=rng.integers(0, 3, 30))
    asked = ["py:mine:small", "--data", "arrays.npz", "--budget", "4", "--draws", "2"]
    assert "30" in ran(tmp_path, bitcliff, "assess", *asked, "--out", "run")
    assert (tmp_path / "run" / "report.html").exists()
    assert "uniform-8" in ran(
        tmp_path, bitcliff, "gate", "run", "--policy", "uniform-8", "--max-drop", "99"
    )
