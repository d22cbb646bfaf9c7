"""A stored record can be judged and shown on a machine without torch."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import sys, tempfile
from pathlib import Path
from tests.report.example_record import example_record
from bitcliff.run.run_directory import finished_record
from bitcliff.questions.sections import sections_of
from bitcliff.report import render_csv, render_html, render_junit
from bitcliff.record import write_record
from bitcliff.verdict import judge
with tempfile.TemporaryDirectory() as folder:
    write_record(example_record(), folder)
    record = finished_record(Path(folder))
verdict = judge(record, 2.0)
html = render_html(record, verdict, sections_of(record))
shown = [html, render_junit(record, verdict), render_csv(record)]
print(*map(len, shown), "torch" in sys.modules)
"""

LIGHT = """
import sys
import bitcliff.report
print(sorted({"jinja2", "matplotlib", "rich", "torch"} & set(sys.modules)))
"""


PAGE = """
import hashlib
from tests.report.example_record import example_record
from bitcliff.report.html import Sections
from bitcliff.report import render_html
from bitcliff.verdict import judge
record = example_record()
print(hashlib.sha256(render_html(record, judge(record, 2.0), Sections()).encode()).hexdigest())
"""


def run(script: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )
    return done.stdout.strip()


def test_never_touches_torch() -> None:
    *lengths, torch = run(SCRIPT).split()
    assert all(int(length) > 1000 for length in lengths)
    assert torch == "False"


def test_costs_little_to_import() -> None:
    assert run(LIGHT) == "[]"


@pytest.mark.slow
def test_the_same_bytes_in_another_process() -> None:
    """Neither the order of sets, nor the clock's zone, nor the locale shows in the page."""
    one = run(PAGE, PYTHONHASHSEED="1", TZ="UTC")
    assert run(PAGE, PYTHONHASHSEED="2", TZ="Asia/Tokyo", LC_ALL="C") == one
    assert len(one) == 64
