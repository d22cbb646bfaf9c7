"""The built site: it builds without a warning, stands alone, and can be used by everyone."""

import subprocess
import sys
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from tests.docs.blocks import ROOT

pytestmark = pytest.mark.slow

# Not what axe calls best practice: landmarks are Furo's, tables in the notebook pandas'.
WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}

# One of each kind: a table, code, help, docstrings, definitions, a notebook.
LOOKED_AT = ("index", "tutorial", "commands", "api", "glossary", "own-pieces", "what-is-measured")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    options = ["-b", "html", "-W", "--keep-going", "-q", "-d", str(folder / "doctrees")]
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, str(ROOT / "docs"), str(folder / "html")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return folder / "html"


def test_every_page_is_built_and_loads_nothing_from_elsewhere(site: Path, browser: Browser) -> None:
    pages = {page.stem for page in site.glob("*.html")}
    assert {page.stem for page in (ROOT / "docs").glob("*.md")} <= pages
    context = browser.new_context()
    page = context.new_page()
    asked: list[str] = []
    broken: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("requestfailed", lambda request: broken.append(request.url))
    page.on("pageerror", lambda error: broken.append(str(error)))
    for name in sorted(pages):
        page.goto((site / f"{name}.html").as_uri())
    context.close()
    assert broken == []
    assert [url for url in asked if not url.startswith((site.as_uri(), "data:"))] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_pages_can_be_used_by_everyone(
    site: Path, browser: Browser, width: int, scheme: str
) -> None:
    found = []
    for name in LOOKED_AT:
        context = browser.new_context(
            viewport={"width": width, "height": 860},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        page = context.new_page()
        page.goto((site / f"{name}.html").as_uri())
        for one in Axe().run(page, options=WCAG).response["violations"]:
            found += [(name, one["id"], node["html"][:120]) for node in one["nodes"]]
        wider = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wider <= 0, f"{name} is {wider} pixels wider than the screen"
        context.close()
    assert found == []
