"""`bitcliff explain`, `assess --explain` and `assess --plan` as a user types them."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from bitcliff.cli.main import run
from bitcliff.errors import InputError
from bitcliff.questions.kinds import KINDS
from bitcliff.questions.mitigations.record import Mitigations
from bitcliff.records import Record, read_record, record_of, with_answer, write_record
from bitcliff.records.store import valid
from tests.browser import Visit, contrast, inks, launched
from tests.end_to_end.commands import bitcliff
from tests.end_to_end.damage import Damage, at_once, changed, damages, together

QUICK = ["--rounds", "1", "--exchanges", "2", "--evaluations", "0", "--draws", "2"]
QUESTIONS = ["layers", "activations", "inputs", "corruptions", "indicators", "mitigations"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the planted case, explained in the same command."""
    folder = tmp_path_factory.mktemp("explain")
    done = bitcliff(
        folder, "assess", "brittle-digits", "--examples", "24", "--out", "run", "--explain", *QUICK
    )
    assert done.returncode == 0, done.stderr
    for question in QUESTIONS:
        assert f"Explaining: {question}" in done.stderr
    return folder


def test_every_question_is_answered_in_the_record_and_on_the_page(folder: Path) -> None:
    record = read_record(folder / "run", KINDS)
    assert record.explained is not None
    assert record.explained.commands == []  # the run's own says it
    assert [*record.answers] == QUESTIONS
    page = (folder / "run" / "report.html").read_text()
    assert re.findall(r'<details class="explain" id="(\w+)"', page) == QUESTIONS


def test_the_report_is_drawn_again_from_the_record_alone(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "record.json").write_bytes((folder / "run" / "record.json").read_bytes())
    done = bitcliff(tmp_path, "report", ".")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "report.html").read_bytes()
    assert page == (folder / "run" / "report.html").read_bytes()


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "dark")])
def test_the_page_fits_is_quiet_and_can_be_read(folder: Path, width: int, scheme: str) -> None:
    file = folder / "run" / "report.html"
    with launched() as browser, Visit(browser, file, width, scheme) as page:
        for summary in page.query_selector_all("details.explain:not([open]) > summary"):
            summary.click()
        assert page.evaluate("[...document.images].every(one => one.naturalWidth > 0)")
        assert page.evaluate("document.documentElement.scrollWidth") == width
        for ink, ground, where in inks(page):
            assert contrast(ink, ground) >= 4.5, (ink, ground, where)


def test_in_print_what_is_folded_is_there(folder: Path) -> None:
    file = folder / "run" / "report.html"
    with launched() as browser, Visit(browser, file, 1000) as page:
        page.emulate_media(media="print")
        heights = page.evaluate(
            "[...document.querySelectorAll('details.explain')].map(one => one.offsetHeight)"
        )
    assert len(heights) == len(QUESTIONS)
    assert min(heights) > 150


def test_the_plan_is_honoured(folder: Path) -> None:
    plan = yaml.safe_load((folder / "run" / "plan.yaml").read_text())
    arguments = ["--examples", "24", "--out", "planned", *QUICK]
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


def forged(record: Record, answers: dict[str, Any]) -> Record:
    """With other answers, and figures that are theirs: a record that its own figures don't betray.

    Raises:
        InputError: an answer is none, or contradicts the record.
    """
    record = record_of(record.observed)
    for key, kind in KINDS.items():
        if key in answers:
            observed = valid(kind.observed, answers[key], "record.json")
            for problem in kind.problems(record, observed):
                raise InputError(problem)
            record = with_answer(record, key, observed, kind)
    return record


# All of it takes minutes.
@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_a_damaged_answer_is_drawn_or_refused_in_a_line(
    step: int, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = json.loads((folder / "run" / "record.json").read_text())["answers"]
    record = read_record(folder / "run", KINDS)
    refusals: list[str] = []

    def is_read(changes: list[Damage]) -> bool:
        # Only the answers that were changed are left, to draw the page faster.
        kept = {path[0] for path, _ in changes}
        damaged = {key: one for key, one in changed(answers, changes).items() if key in kept}
        try:
            write_record(forged(record, damaged), tmp_path)
        except InputError as error:
            refusals.append(str(error))
            return False
        return True

    everything = damages(answers)
    tried = everything[::step]
    read = [change for change in tried if is_read([change])]
    assert len(everything) > 500
    assert 0 < len(read) < len(tried)
    assert not any("\n" in refusal for refusal in refusals)
    for some in at_once(read):
        for group in together(some, is_read):
            assert is_read(group)
            assert run(["report", str(tmp_path)]) == 0, (group, capsys.readouterr().err)
