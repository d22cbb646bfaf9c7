import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from bitcliff.cli.display import Display, coverage_lines
from bitcliff.points import Plan, discover
from tests.small_networks import Cliff, chain

LOUD = """
import os, sys
from bitcliff.cli.display import stdout_set_aside
kept = sys.stdout
print("before")
try:
    with stdout_set_aside():
        print("by print")
        kept.write("through a kept reference\\n")
        os.write(1, b"by descriptor\\n")
        os.system("echo by another program")
        raise KeyboardInterrupt
except KeyboardInterrupt:
    pass
assert sys.stdout is kept
os.write(1, b"after\\n")
"""


def test_what_others_print_goes_to_stderr_however_they_do_it() -> None:
    done = subprocess.run([sys.executable, "-c", LOUD], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["before", "after"]
    assert sorted(done.stderr.splitlines()) == [
        "by another program",
        "by descriptor",
        "by print",
        "through a kept reference",
    ]


def test_a_closed_stdout_is_no_trouble() -> None:
    script = (
        "import sys; sys.stdout.close()\n" + LOUD.replace("kept", "other").partition("print(")[0]
    )
    script += "with stdout_set_aside(): print('said', file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "said"


def test_the_coverage_table_counts_and_shares_out_the_work() -> None:
    plan = discover(chain(0), torch.randn(4, 4))
    heading, linear = coverage_lines(plan)
    assert heading.split() == ["points", "quantized", "left", "out", "multiply-adds"]
    assert linear.split() == ["linear", "5", "1", "100.0%"]
    cliff = coverage_lines(discover(Cliff().eval(), torch.randn(4, 2)))
    assert cliff[1].split()[:3] == ["linear", "3", "1"]


def test_off_a_terminal_the_time_left_is_told_once_something_is_done(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([100.0, 160.0, 170.0, 190.0, 200.0, 210.0])
    clock = SimpleNamespace(monotonic=lambda: next(times))
    monkeypatch.setattr("bitcliff.cli.display.time", clock)
    with Display() as display:
        for name, done in (("a", 0), ("b", 10), ("c", 20), ("done", 40), ("next", 0)):
            display.listener().progress(name, done, 40)
    # 10 s for 10 of 40, then 30 s for 20 of them; another piece of work begins anew.
    assert capfd.readouterr().err.splitlines() == [
        "[  0 %,   60 s] a",
        "[ 25 %,   70 s, about 30 s left] b",
        "[ 50 %,   90 s, about 30 s left] c",
        "[100 %,  100 s] done",
        "[  0 %,  110 s] next",
    ]


def test_off_a_terminal_nothing_is_said_before_the_points_are_found(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with Display() as display:
        listener = display.listener()
        listener.stage("Loading the model")
        assert capfd.readouterr().err == ""
        listener.plan(discover(chain(0), torch.randn(4, 4)))
        said = capfd.readouterr().err.splitlines()
        assert said[0] == "Loading the model"
        assert len(said) == 3
        listener.stage("Going on")
        for done in (0, 5, 10):
            listener.progress("worst-[red]4", done, 40)
        listener.progress("done", 40, 40)
    lines = capfd.readouterr().err.splitlines()
    assert lines[0] == "Going on"
    # One line a policy, as it begins; names are shown as they are.
    assert [line.partition("] ")[2] for line in lines[1:]] == ["worst-[red]4", "done"]
    assert lines[1].startswith("[  0 %,")
    assert lines[2].startswith("[100 %,")


def test_a_network_that_is_not_looked_into_has_no_table() -> None:
    assert coverage_lines(Plan(seen=(), weights={}, missed=(), where="inputs")) == []
