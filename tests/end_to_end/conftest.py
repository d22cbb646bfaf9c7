import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from torch import Tensor

from tests.end_to_end.commands import QUICK, furnish, spawned

Digits = tuple[Tensor, Tensor]


@pytest.fixture(scope="session")
def furnished(
    tmp_path_factory: pytest.TempPathFactory,
    weights_file: Callable[[str], Path],
    digits: Digits,
) -> Callable[[str], Path]:
    """Makes a new working folder with networks, weights and 40 digits in every form."""

    def make(name: str) -> Path:
        folder = tmp_path_factory.mktemp(name)
        furnish(folder, weights_file(".safetensors"), digits[0][1400:1440], digits[1][1400:1440])
        return folder

    return make


@pytest.fixture(scope="session")
def workplace(furnished: Callable[[str], Path]) -> Path:
    """One such folder for all commands that do not hinder each other."""
    return furnished("workplace")


@pytest.fixture(scope="session")
def finishing(workplace: Path) -> "subprocess.CompletedProcess[str]":
    """What `bitcliff assess` said, in a process of its own."""
    return spawned(
        workplace,
        *("assess", "py:mynet:DigitsMLP", "--weights", "mlp.safetensors"),
        *("--data", "digits.npz", "--out", "finished", *QUICK),
    )


@pytest.fixture(scope="session")
def finished(workplace: Path, finishing: "subprocess.CompletedProcess[str]") -> Path:
    """The run directory that it has written."""
    assert finishing.returncode == 0, finishing.stderr
    return workplace / "finished"
