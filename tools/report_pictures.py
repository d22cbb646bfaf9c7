"""Takes the documentation's pictures of the report anew, in a browser without a window.

python -m tools.report_pictures [RUN]

Without RUN those of the tutorial's own run, half a minute; with the folder of a run, such as
`runs/demo` of `make demo`, README's first screen.
"""

import io
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import FloatRect, Page, ViewportSize, sync_playwright

from tools.rerun_docs import DOCS, TUTORIAL

# Each by what of the report it shows: its elements, from the first to the last.
OF_TUTORIAL = {
    "allocations.png": ["section[aria-labelledby=figure]"],
    "at-risk.png": ["section[aria-labelledby=risk]", ".risk li:nth-child(6)"],
    "layers.png": ["#layers figure >> nth=0"],
    "least-width.png": ["#least_widths > summary", "#least_widths figure"],
}
MOST_BYTES = 150_000
_SCREEN = (1280, 900)
_MARGIN = 16


def tutorial_run(folder: Path) -> Path:
    """The run of the brittle network as the tutorial makes it."""
    lines = [line.removeprefix("$ ") for line in TUTORIAL.read_text().splitlines()]
    for line in lines:
        words = shlex.split(line) if line.startswith("bitcliff ") else []
        if "runs/brittle" in words and words[1] in ("assess", "explain"):
            command = [sys.executable, "-m", *words]
            subprocess.run(command, cwd=folder, check=False)  # noqa: S603  (exit code: the verdict)
    return folder / "runs" / "brittle"


def take(run: Path, pictures: dict[str, list[str]]) -> None:
    """Writes them into `docs/`; of one without elements, the first screen.

    Raises:
        ValueError: one is larger than a page should load.
    """
    browser: dict[str, Any] = {
        "executable_path": os.environ.get("BITCLIFF_CHROMIUM", "/usr/bin/chromium"),
        "args": ["--no-sandbox", "--disable-gpu"],
    }
    with sync_playwright() as playwright, playwright.chromium.launch(**browser) as running:
        size: ViewportSize = {"width": _SCREEN[0], "height": _SCREEN[1]}
        page = running.new_page(viewport=size, color_scheme="light")
        page.goto((run / "report.html").absolute().as_uri())
        page.evaluate("for (const one of document.querySelectorAll('.explain')) one.open = true")
        for name, elements in pictures.items():
            shot = page.screenshot(full_page=bool(elements), clip=_around(page, elements))
            _write(shot, DOCS / name)


def _around(page: Page, elements: list[str]) -> FloatRect:
    boxes = [page.locator(one).bounding_box() for one in elements]
    if not boxes:
        return {"x": 0, "y": 0, "width": _SCREEN[0], "height": _SCREEN[1]}
    first, last = boxes[0], boxes[-1]
    assert first is not None  # noqa: S101
    assert last is not None  # noqa: S101
    end = last["y"] + last["height"] if len(boxes) > 1 else first["y"] + first["height"]
    return {
        "x": first["x"] - _MARGIN,
        "y": first["y"] - _MARGIN,
        "width": first["width"] + 2 * _MARGIN,
        "height": end - first["y"] + 2 * _MARGIN,
    }


def _write(shot: bytes, file: Path) -> None:
    buffer = io.BytesIO()
    # A palette that keeps colours of a few pixels, such as thin lines'.
    way, dither = Image.Quantize.MAXCOVERAGE, Image.Dither.NONE
    picture = Image.open(io.BytesIO(shot)).convert("RGB").quantize(256, way, dither=dither)
    picture.save(buffer, "PNG", optimize=True)
    if len(buffer.getvalue()) > MOST_BYTES:
        raise ValueError(f"{file}: {len(buffer.getvalue())} bytes; at most {MOST_BYTES}")
    file.write_bytes(buffer.getvalue())


if __name__ == "__main__":
    if len(sys.argv) > 1:
        take(Path(sys.argv[1]), {"first-screen.png": []})
    else:
        with tempfile.TemporaryDirectory() as folder:
            take(tutorial_run(Path(folder)), OF_TUTORIAL)
