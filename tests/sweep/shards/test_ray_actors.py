"""Audits on a real Ray cluster of several machines, which asks for a token."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sweep.shards import audits

pytest.importorskip("ray")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> str:
    return audits.record(audits.job(tmp_path_factory.mktemp("run") / "alone"))


def on_cluster(out: Path, *more: str) -> str:
    """The record without its times. A process of its own: Ray reads how to ask for a token once."""
    token = out.with_suffix(".token")
    token.write_text("0123456789abcdef" * 4)
    env = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.sweep.shards.on_cluster", str(out), *more]
    done = subprocess.run(
        command, env=os.environ | env, capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, done.stderr
    return (out / "timeless.json").read_text()


def test_an_actor_and_a_machine_that_are_lost_change_nothing(alone: str, tmp_path: Path) -> None:
    assert on_cluster(tmp_path / "run", "3", "lose") == alone


@pytest.mark.parametrize("count", ["1", "2"])
def test_the_record_is_that_of_one_process(alone: str, tmp_path: Path, count: str) -> None:
    assert on_cluster(tmp_path / "run", count) == alone
