"""`bitcliff explain`, `assess --explain` and `assess --plan` as a user types them."""

import re
import shutil
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Browser

from bitcliff.questions.kinds import KINDS
from bitcliff.questions.mitigations.record import Mitigations
from bitcliff.record import read_record
from tests.browser import Visit, contrast, inks
from tests.end_to_end.commands import bitcliff

QUICK = ["--rounds", "1", "--exchanges", "2", "--evaluations", "0", "--draws", "2"]
QUESTIONS = [
    "layers",
    "activations",
    "inputs",
    "distributions",
    "corruptions",
    "lengths",
    "indicators",
    "mitigations",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the planted case, explained in the same command."""
    folder = tmp_path_factory.mktemp("explain")
    done = bitcliff(
        folder, "assess", "brittle-digits", "--examples", "12", "--out", "run", "--explain", *QUICK
    )
    assert done.returncode == 0, done.stderr
    for question in QUESTIONS:
        assert f"Explaining: {question}" in done.stderr
    return folder


def test_every_question_is_answered_in_the_record_and_on_the_page(folder: Path) -> None:
    record = read_record(folder / "run", KINDS)
    assert record.explained is not None
    assert record.explained.commands == []  # the run's own says it
    assert [*record.answers] == ["least_widths", *QUESTIONS]
    page = (folder / "run" / "report.html").read_text()
    assert re.findall(r'<details class="explain" id="(\w+)"', page) == [*QUESTIONS, "least_widths"]


def test_the_report_is_drawn_again_from_the_record_alone(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "record.json").write_bytes((folder / "run" / "record.json").read_bytes())
    done = bitcliff(tmp_path, "report", ".")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "report.html").read_bytes()
    assert page == (folder / "run" / "report.html").read_bytes()


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "dark")])
def test_the_page_fits_is_quiet_and_can_be_read(
    folder: Path, browser: Browser, width: int, scheme: str
) -> None:
    file = folder / "run" / "report.html"
    with Visit(browser, file, width, scheme) as page:
        for summary in page.query_selector_all("details.explain:not([open]) > summary"):
            summary.click()
        assert page.evaluate("[...document.images].every(one => one.naturalWidth > 0)")
        assert page.evaluate("document.documentElement.scrollWidth") == width
        for ink, ground, where in inks(page):
            assert contrast(ink, ground) >= 4.5, (ink, ground, where)


def test_in_print_what_is_folded_is_there(folder: Path, browser: Browser) -> None:
    file = folder / "run" / "report.html"
    with Visit(browser, file, 1000) as page:
        page.emulate_media(media="print")
        heights = page.evaluate(
            "[...document.querySelectorAll('details.explain')].map(one => one.offsetHeight)"
        )
    told = dict(zip([*QUESTIONS, "least_widths"], heights, strict=True))
    assert told.pop("lengths") > 70  # one sentence: images are not padded
    assert min(told.values()) > 150


def test_the_plan_is_honoured(folder: Path) -> None:
    plan = yaml.safe_load((folder / "run" / "plan.yaml").read_text())
    arguments = ["--examples", "12", "--out", "planned", *QUICK]
    done = bitcliff(folder, "assess", "brittle-digits", "--plan", "run/plan.yaml", *arguments)
    assert done.returncode == 0, done.stderr
    record = read_record(folder / "planned", KINDS)
    mitigations = read_record(folder / "run", KINDS).answer("mitigations", Mitigations)
    assert mitigations is not None
    assert record.by_name["worst-5.5"].accuracy == mitigations.recommended[0].right
    left_out = {point.name for point in record.subject.points if not point.quantized}
    assert left_out >= set(plan["float_points"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["explain", "nowhere"], "nowhere: no such folder"),
        (["explain", "run", "--only", "taste"], "--only taste: not known; there are layers"),
        (["explain", "run", "--policy", "worst-9"], "--policy worst-9: not a policy that"),
        (["explain", "run", "--degrees", "6"], "6"),
        (["explain", "run", "--degrees", "x"], "x"),
        (["explain", "run", "--against", "nowhere"], "nowhere: no such file"),
        (["explain", "short"], "short/record.json: not a whole JSON file"),
        (["assess", "brittle-digits", "--plan", "bad.yaml", *QUICK], "stages.0.conv1"),
    ],
)
def test_bad_input_is_one_line(folder: Path, arguments: list[str], says: str) -> None:
    short = folder / "short"
    shutil.copytree(folder / "run", short, dirs_exist_ok=True)
    (short / "record.json").write_bytes((folder / "run" / "record.json").read_bytes()[:5000])
    plan = (folder / "run" / "plan.yaml").read_text()
    fields = yaml.safe_load(plan) | {"float_points": ["stages.0.conv9"], "floors": {}}
    (folder / "bad.yaml").write_text(yaml.safe_dump(fields))
    before = (folder / "run" / "record.json").read_bytes()
    done = bitcliff(folder, *arguments)
    assert done.returncode == 2
    lines = done.stderr.strip().splitlines()
    assert lines[-1].startswith("bitcliff: error: ")
    assert says in lines[-1]
    assert "Traceback" not in done.stderr
    assert (folder / "run" / "record.json").read_bytes() == before
