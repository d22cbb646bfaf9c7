"""Pages opened in a real browser."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")


@contextmanager
def launched() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    if not CHROMIUM.exists():
        pytest.skip(f"no browser at {CHROMIUM}: install Debian's chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=str(CHROMIUM),
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ],
        )
        yield running
        running.close()


class Visit:
    """A page opened from a file, with all it complains of and asks for."""

    def __init__(self, browser: Browser, file: Path, width: int, scheme: str = "light") -> None:
        self.file = file
        self.complaints: list[str] = []
        self.requests: list[str] = []
        context = browser.new_context(
            viewport={"width": width, "height": 860},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        self.page: Page = context.new_page()
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(file.as_uri())

    def __enter__(self) -> Page:
        return self.page

    def __exit__(self, *_: object) -> None:
        self.page.context.close()
        assert self.complaints == []
        assert [u for u in self.requests if not u.startswith("data:")] == [self.file.as_uri()]


def inks(page: Page) -> list[tuple[str, str, str]]:
    """Colour of every text that can be seen, of the ground it stands on, and where that is."""
    pairs: list[tuple[str, str, str]] = page.evaluate(
        """[...document.querySelectorAll('body *')].filter(one =>
             [...one.childNodes].some(n => n.nodeType === 3 && n.data.trim())
           ).map(one => {
             let under = one, ground = 'rgba(0, 0, 0, 0)';
             while (under && ground === 'rgba(0, 0, 0, 0)') {
               ground = getComputedStyle(under).backgroundColor; under = under.parentElement;
             }
             return [getComputedStyle(one).color, ground, one.className + one.tagName];
           })"""
    )
    return pairs


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    assert colour.startswith("rgb"), f"{colour} is not understood here"
    channels = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
