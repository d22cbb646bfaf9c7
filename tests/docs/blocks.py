"""The code blocks of README and `docs/`, and what stands above each of whether it is run."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# What Sphinx reads is run by building the site.
_DIRECTIVE = "{"
_BLOCK = re.compile(r"(?:^<!-- ([^>]*) -->\n)?^```([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_PARTLY = re.compile(r"not run of it: ([^(]*) \(.+\)")


@dataclass(frozen=True)
class Block:
    """One of a page, its language, and the remark above it."""

    page: Path
    language: str
    text: str
    remark: str

    @property
    def why_not(self) -> str | None:
        """Why it is not run, if it says so."""
        _, said, reason = self.remark.partition("not run: ")
        return reason if said else None

    @property
    def commands(self) -> list[str]:
        """The lines that are run: all but those with what its remark names."""
        partly = _PARTLY.fullmatch(self.remark)
        without = partly[1].split(", ") if partly else []
        lines = [line for line in self.text.splitlines() if line.strip()]
        return [line for line in lines if not any(one in line for one in without)]


def blocks() -> list[Block]:
    """All of all pages, but for directives."""
    return [
        Block(page, language, text, remark)
        for page in PAGES
        for remark, language, text in _BLOCK.findall(page.read_text())
        if not language.startswith(_DIRECTIVE)
    ]
