"""`bitcliff sweep` as a user types it: run, failed, stopped, gone on with, refused."""

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from bitcliff.zoo.shipped import SHIPPED
from tests.end_to_end.commands import BITCLIFF, bitcliff, environment

PAIRS: dict[str, Any] = {
    "data": "digits",
    "networks": {"small": {"model": "zoo:digits", "weights": str(SHIPPED["base-digits"].weights)}},
    "bits": [[3, 5]],
    "budgets": [4],
    "settings": {"epochs": 1, "batch_size": 256, "policy_channels": [4]},
}
AUDITS = {
    "models": {"base": {"model": "base-digits"}},
    "numerics": ["vllm-int8-token"],
    "settings": {"examples": 40},
}


def write(folder: Path, name: str = "sweep.yaml", **config: Any) -> None:
    (folder / name).write_text(yaml.safe_dump(config))


def bytes_of_tables(out: Path) -> dict[str, bytes]:
    return {
        file.name: file.read_bytes() for kind in ("csv", "tex") for file in out.glob(f"*.{kind}")
    }


def test_a_sweep_with_a_cell_that_fails(tmp_path: Path) -> None:
    broken = {**PAIRS["networks"]["small"], "settings": {"optimiser": {"lr": 1e30}}}
    write(tmp_path, pairs={**PAIRS, "networks": {**PAIRS["networks"], "hot": broken}})
    arguments = ["sweep", "sweep.yaml", "--out", "s"]
    done = bitcliff(tmp_path, *arguments)
    assert done.returncode == 1, done.stderr
    assert "FAILED  hot.3-5.4.0.seed-0: values: nan at example 0" in done.stdout
    assert "1 of 2 cells are done, 1 failed." in done.stdout
    cells = tmp_path / "s" / "cells"
    alone = bitcliff(
        tmp_path,
        *("train", "pair", str(cells / "small.3-5.4.0.seed-0" / "cell.yaml")),
        *("--out", "alone", "--threads", "1"),
    )
    assert alone.returncode == 0, alone.stderr
    # A cell is the job that the command line runs.
    result = (cells / "small.3-5.4.0.seed-0" / "run" / "result.json").read_bytes()
    assert result == (tmp_path / "alone" / "result.json").read_bytes()
    first = bytes_of_tables(tmp_path / "s")
    assert set(first) >= {"table1.csv", "table3.tex"}
    attempts = {file: file.read_bytes() for file in cells.glob("*/cell.json")}
    again = bitcliff(tmp_path, *arguments, "--only", "small*")
    assert again.returncode == 1  # what failed is still not there
    assert {file: file.read_bytes() for file in attempts} == attempts
    assert bytes_of_tables(tmp_path / "s") == first


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--on", "ray://127.0.0.1:1"], "--on ray://127.0.0.1:1: nobody answers there"),
        (["--only", "smal.*"], "--only smal.*: no cell has that name"),
        (["--storage", "/proc/cells"], "/proc/cells"),
        (["--out", "/proc/sweep"], "--out /proc/sweep"),
    ],
)
def test_bad_input_is_told_in_a_line(tmp_path: Path, arguments: list[str], told: str) -> None:
    write(tmp_path, pairs=PAIRS)
    done = bitcliff(tmp_path, "sweep", "sweep.yaml", "--out", "s", *arguments)
    assert done.returncode == 2
    errors = [line for line in done.stderr.splitlines() if line.startswith("bitcliff: error: ")]
    assert len(errors) == 1
    assert told in errors[0]
    assert done.stdout == ""


def test_a_budget_that_cannot_be_met_leaves_nothing(tmp_path: Path) -> None:
    write(tmp_path, pairs={**PAIRS, "budgets": [4, 9]})
    done = bitcliff(tmp_path, "sweep", "sweep.yaml", "--out", "s")
    assert done.returncode == 2
    assert "means between 3 and 5 bits" in done.stderr
    assert not (tmp_path / "s").exists()


def test_a_dry_run_shows_the_grid_and_writes_nothing(tmp_path: Path) -> None:
    write(tmp_path, pairs={**PAIRS, "budgets": [3, 4]})
    done = bitcliff(tmp_path, "sweep", "sweep.yaml", "--out", "s", "--dry-run", "--jobs", "4")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[:4] for line in lines[1:3]] == [
        ["small.3-5.3.0.seed-0", "20", "60", "2^0.0"],
        ["small.3-5.4.0.seed-0", "20", "80", "2^28.5"],
    ]
    assert "2 cells, all of them feasible, 4 at once" in lines[3]
    assert not (tmp_path / "s").exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_stopped_sweep_goes_on_to_the_same_tables(tmp_path: Path, number: signal.Signals) -> None:
    settings = {**PAIRS["settings"], "epochs": 30, "save_every": 5}
    write(tmp_path, pairs={**PAIRS, "seeds": [0, 1], "settings": settings})
    whole = bitcliff(tmp_path, "sweep", "sweep.yaml", "--out", "whole")
    assert whole.returncode == 0, whole.stderr
    command = [BITCLIFF, "sweep", "sweep.yaml", "--out", "s"]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not [*(tmp_path / "s").glob("cells/*/run/seed-*/robust/checkpoints/*.json")]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    process.communicate(timeout=120)
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
    assert not [*(tmp_path / "s").glob("cells/*/cell.json")]
    done = bitcliff(tmp_path, "sweep", "sweep.yaml", "--out", "s")
    assert done.returncode == 0, done.stderr
    assert bytes_of_tables(tmp_path / "s") == bytes_of_tables(tmp_path / "whole")
    logs = [file.read_text() for file in (tmp_path / "s").glob("cells/*/log.txt")]
    assert any("going on after step" in log for log in logs)


@pytest.mark.slow
def test_what_failed_is_run_again_where_that_is_asked_for(tmp_path: Path) -> None:
    small = PAIRS["networks"]["small"]
    networks = {"small": small, "hot": {**small, "settings": {"optimiser": {"lr": 1e30}}}}
    write(tmp_path, pairs={**PAIRS, "networks": networks})

    def attempts(*more: str) -> dict[str, str]:
        assert bitcliff(tmp_path, "sweep", "sweep.yaml", "--out", "s", *more).returncode == 1
        files = (tmp_path / "s" / "cells").glob("*/cell.json")
        return {file.parent.name: json.loads(file.read_bytes())["attempt"] for file in files}

    first, again = attempts(), attempts()
    assert again == first
    third = attempts("--retry-failed")
    assert {name for name in first if third[name] != first[name]} == {"hot.3-5.4.0.seed-0"}


@pytest.mark.slow
def test_on_ray_the_tables_are_those_of_this_machine(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    write(tmp_path, pairs={**PAIRS, "seeds": [0, 1]}, audits=AUDITS)
    for out, more in (("here", []), ("ray", ["--on", "ray", "--cpus", "0.5"])):
        done = subprocess.run(
            [BITCLIFF, "sweep", "sweep.yaml", "--out", out, *more],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert bytes_of_tables(tmp_path / "ray") == bytes_of_tables(tmp_path / "here")
    page = (tmp_path / "ray" / "sweep.html").read_text()
    assert 'href="cells/base.vllm-int8-token/run/report.html"' in page
    assert (tmp_path / "ray" / "cells/base.vllm-int8-token/run/report.html").exists()
    outcomes = [*(tmp_path / "ray").glob("cells/*/cell.json")]
    assert {json.loads(file.read_bytes())["state"] for file in outcomes} == {"done"}
