"""Names that others may build on: a change to one is a line of the changelog."""

import inspect
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
LINE = re.compile(r"^- `(bitcliff[.\w]*)`: (.*)$", re.MULTILINE)


def told() -> dict[str, list[str]]:
    """By module, the names that the changelog lists."""
    _, _, section = (ROOT / "CHANGELOG.md").read_text().partition("\n## Public names\n")
    return {module: re.findall(r"`(\w+)`", names) for module, names in LINE.findall(section)}


def public(module: ModuleType) -> list[str]:
    """What it lists, or else the functions and classes that it defines."""
    if hasattr(module, "__all__"):
        return sorted(module.__all__)
    return sorted(
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isfunction(value) or inspect.isclass(value))
        and value.__module__ == module.__name__
    )


@pytest.mark.parametrize("module", told())
def test_public_names_are_those_of_the_changelog(module: str) -> None:
    assert public(import_module(module)) == told()[module]


def test_every_listed_module_has_its_place_in_the_reference() -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    assert len(told()) > 10
    for module in told():
        assert re.search(rf"auto\w+:: {re.escape(module)}\b", page), module
