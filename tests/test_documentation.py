"""What README and the other pages tell a reader to type, and where they send them."""

import importlib.util
import json
import re
import shlex
from pathlib import Path

import click
import pytest
from benchmarks.harness import read
from tools import speed_page
from tools.report_pictures import MOST_BYTES

from bitcliff.cli.main import commands
from bitcliff.types.presets import PRESETS

ROOT = Path(__file__).parents[1]
AT_THE_TOP = ("README.md", "CONTRIBUTING.md", "SECURITY.md")
PAGES = [*(ROOT / name for name in AT_THE_TOP), *sorted((ROOT / "docs").glob("*.md"))]
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


def told(page: Path) -> list[list[str]]:
    """The lines of a page's code blocks that call `bitcliff`, as a shell splits them."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("bitcliff ")]


def options_of(command: click.Command) -> set[str]:
    return {name for one in command.get_params(click.Context(command)) for name in one.opts}


def every_option(command: click.Command) -> set[str]:
    if not isinstance(command, click.Group):
        return options_of(command)
    return {"--help"}.union(*(every_option(one) for one in command.commands.values()))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_are_those_there_are(page: Path) -> None:
    for words in told(page):
        command: click.Command = commands
        while isinstance(command, click.Group):
            command = command.commands[words.pop(1)]
        asked = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert asked <= options_of(command), words
    # Also those that a sentence mentions, of whichever command.
    prose = {
        one for code in re.findall(r"`[^`]+`", page.read_text()) for one in OPTION.findall(code)
    }
    assert prose <= every_option(commands)


def test_pictures_are_told_in_words_shown_and_small() -> None:
    shown = [one for page in PAGES for one in re.findall(r"!\[(.*?)\]\((.*?)\)", page.read_text())]
    assert {Path(name).name for _, name in shown} == {one.name for one in ROOT.glob("docs/*.png")}
    assert len({words for words, _ in shown}) == len(shown) >= 5
    assert all(len(words) > 20 for words, _ in shown)
    assert all(one.stat().st_size <= MOST_BYTES for one in ROOT.glob("docs/*.png"))


def test_there_are_commands_to_check() -> None:
    assert len([line for page in PAGES for line in told(page)]) > 20


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    for link in [*links, *re.findall(r"`((?:design|configs|experiments)/[\w./-]+)`", text)]:
        assert any((folder / link.partition("#")[0]).exists() for folder in (page.parent, ROOT)), (
            link
        )
    for module in re.findall(r"python -m ([\w.]+)", text):
        assert importlib.util.find_spec(module) is not None


def test_what_engines_call_a_format_is_a_preset_held_against_what_is_said() -> None:
    page = (ROOT / "docs" / "formats.md").read_text()
    rows = re.findall(r"^\| .* \| `([\w-]+)`[^|]* \| (\w+) \|$", page, re.MULTILINE)
    assert len(rows) >= 12
    for name, oracle in rows:
        assert PRESETS[name].oracle == oracle, name


def test_the_page_of_times_is_of_the_tables_that_are_kept() -> None:
    machine = json.loads(speed_page.TABLE.read_text())["machine"]
    curves = json.loads(speed_page.CURVES.read_text())
    written = speed_page.page(read(speed_page.TABLE), machine, curves)
    assert written == speed_page.PAGE.read_text()
