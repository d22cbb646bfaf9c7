"""report.html as text, and as a real browser shows it."""

import base64
import functools
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from bitcliff.record import Record
from bitcliff.report import render_html
from bitcliff.report.formatting import clean
from bitcliff.report.html import Sections
from bitcliff.verdict import judge
from tests.browser import Visit, contrast, inks
from tests.report.example_record import (
    BAD_THUMBNAILS,
    HOSTILE,
    Variant,
    example_record,
    transcribed,
)

VARIANTS = {
    "demo": Variant(),
    "hostile": Variant(hostile=True, complete=False, failures=True),
    "no labels": Variant(labelled=False),
    "no cliff": Variant(cliff=False, n=70),
    "no even policy": Variant(uniform=False, budgets=(4, 5.5)),
    "no adversary": Variant(adversary=False),
    "nothing": Variant(n=0, uniform=False),
}


class Collector(HTMLParser):
    """Every tag with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def page_of(record: Record) -> str:
    return render_html(record, judge(record, 2.0), Sections())


@functools.cache
def drawn(variant: Variant | None = None) -> str:
    """The page of that variant, drawn once."""
    return page_of(example_record(variant))


def tags(text: str) -> list[tuple[str, dict[str, str | None]]]:
    collector = Collector()
    collector.feed(text)
    return collector.tags


@pytest.mark.parametrize("name", VARIANTS)
def test_nothing_in_it_can_run_or_fetch(name: str) -> None:
    for tag, attributes in tags(drawn(VARIANTS[name])):
        assert tag not in {"script", "iframe", "object", "embed", "form", "base"}
        for key, value in attributes.items():
            assert not key.startswith("on")
            assert key != "style"
            if key in {"src", "srcset", "href"}:
                assert (value or "").startswith(("data:", "#")), value


def test_policy_allows_the_one_style_block_by_its_hash() -> None:
    text = drawn()
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )


def test_the_same_record_gives_the_same_page() -> None:
    assert page_of(example_record()) == page_of(example_record())


def test_repeats_are_shown_where_they_were_made() -> None:
    text = drawn()
    assert (
        "9 of the 10 flips found under worst-7 stay in all 3 repeats with the image nudged by "
        "one part in a million: these do not hang on one machine’s rounding; the other may not "
        "show elsewhere."
    ) in text
    assert "<dt>Repeat</dt>" in text
    assert '<td class="number">9/10</td>' in text
    assert text.count('<span class="wavers">flip stays in 2 of 3 repeats</span>') == 1


def test_a_record_that_knows_no_repeats_shows_nothing_of_them() -> None:
    text = drawn(Variant(repeats=0))
    _, _, body = text.partition("</style>")
    assert "repeat" not in body
    assert "wavers" not in body


def test_float_stands_beside_what_was_measured_on_half() -> None:
    text = drawn()
    assert text.count("float on the same: 9/10") == 3
    note = "worst-static: measured on 10 of 20 images; float has 9 of these 10 right."
    assert note in re.findall(r"<figcaption>(.*?)</figcaption>", text)[0]


def test_thumbnails_from_data_are_checked() -> None:
    text = drawn(Variant(hostile=True))
    for address in BAD_THUMBNAILS:
        assert address not in text
    assert "no image" in text


def test_accessible_by_structure() -> None:
    found = tags(drawn())
    names = [tag for tag, _ in found]
    assert dict(found)["html"] == {"lang": "en"}
    assert names.count("h1") == names.count("main") == names.count("header") == 1
    assert names.count("caption") == names.count("table") == 4
    assert all("alt" in attributes for tag, attributes in found if tag == "img")
    assert all("scope" in attributes for tag, attributes in found if tag == "th")
    identities = [attributes["id"] for _, attributes in found if "id" in attributes]
    assert len(identities) == len(set(identities))
    labels = {
        attributes["aria-labelledby"] for _, attributes in found if "aria-labelledby" in attributes
    }
    assert labels <= set(identities)


@pytest.fixture(scope="module", params=list(VARIANTS))
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("report") / "report.html"
    text = drawn(VARIANTS[request.param])
    file.write_text(text, encoding="utf-8", errors="backslashreplace")
    return file


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "dark")])
def test_fits_and_stays_quiet(browser: Browser, saved: Path, width: int, scheme: str) -> None:
    with Visit(browser, saved, width, scheme) as page:
        for details in page.query_selector_all("summary"):
            details.click()
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.evaluate("[...document.images].every(one => one.naturalWidth > 0)")
        # The style block got through the policy of its own page.
        assert page.evaluate("getComputedStyle(document.body).marginTop") == "0px"
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == ("rgb(18, 22, 28)" if scheme == "dark" else "rgb(255, 255, 255)")


def test_the_first_screen_tells_the_story(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(drawn(), encoding="utf-8")
    with Visit(browser, file, 1280) as page:
        seen = page.evaluate(
            "[...document.querySelectorAll('.flag, h1, .lead, .big, .meaning p')]"
            ".filter(one => one.getBoundingClientRect().bottom < innerHeight)"
            ".map(one => one.innerText)"
        )
    assert seen[0] == "✕ Fails"
    assert seen[1] == (
        "The same 7 bits a layer: 18 of 20 right when allocated evenly, "
        "8 of 20 when allocated badly (3 to 10 each)."
    )
    assert seen[3:7] == ["18", "18", "17", "8"]
    assert "10 of 18 right answers are lost; allocated evenly, none." in seen[7]


def test_hostile_names_are_shown_as_text(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(page_of(example_record(VARIANTS["hostile"])), encoding="utf-8")
    with Visit(browser, file, 1280) as page:
        shown = page.evaluate("document.body.textContent")
        assert page.evaluate("document.querySelectorAll('script, style').length") == 1
    for name in (HOSTILE[0], HOSTILE[1], HOSTILE[2]):
        assert clean(name) in shown


def test_what_is_not_covered_is_on_the_first_screen(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(drawn(Variant(complete=False)), encoding="utf-8")
    with Visit(browser, file, 1280) as page:
        assert page.locator(".verdict .gap").is_visible()
        assert "attn.scores" in page.locator(".alert").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(browser: Browser, tmp_path: Path, scheme: str) -> None:
    """WCAG 2.2 AA: 4.5 to 1 for all text, worked out from what the browser computed."""
    file = tmp_path / "report.html"
    record = example_record(Variant(complete=False, failures=True))
    for one in (record, transcribed(record)):
        file.write_text(page_of(one), encoding="utf-8")
        with Visit(browser, file, 1280, scheme) as page:
            pairs = inks(page)
        assert len(pairs) > 100
        for ink, ground, where in pairs:
            assert contrast(ink, ground) >= 4.5, (ink, ground, where)


@pytest.mark.parametrize(("width", "scheme"), [(400, "light"), (1280, "dark")])
def test_axe_finds_nothing(browser: Browser, tmp_path: Path, width: int, scheme: str) -> None:
    file = tmp_path / "report.html"
    file.write_text(drawn(), encoding="utf-8")
    with Visit(browser, file, width, scheme) as page:
        assert Axe().run(page).response["violations"] == []
