"""The page of `bitcliff isolate`, as text and in a browser."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from bitcliff.questions.isolation.page import isolation_lines, render_isolation
from bitcliff.questions.isolation.plot import curve
from bitcliff.questions.isolation.record import Isolation
from tests.browser import Visit, contrast, inks
from tests.questions.isolation.victims import followed, record, victims


def test_without_labels_no_test_is_told() -> None:
    assert "McNemar" not in render_isolation(record(labelled=False))
    assert "McNemar" in render_isolation(record())


def test_the_curve_climbs_at_each_first_flip() -> None:
    assert curve(record(), "random search") == [(1, 0), (7, 1), (18, 2), (20, 2)]


def test_the_terminal_tells_the_finding_first() -> None:
    lines = isolation_lines(record())
    assert lines[0] == "A chosen or crafted batch-mate changes 3 of 4 predictions."
    assert any(line.startswith("at random") and "50.0 % (4/8)" in line for line in lines)
    assert "At random, lost and gained are of each victim's first draw alone." in lines


def test_no_flip_is_no_proof() -> None:
    calm = victims()[3:]
    quiet = record(calm)
    page = render_isolation(quiet)
    assert "no proof that none ever will" in page
    assert isolation_lines(quiet)[0] == (
        "No proof: a runtime is a black box; no batch-mate was found in 40 runs that changes any "
        "of the 1 predictions."
    )


def test_a_proof_is_shown_with_its_points_and_no_victims() -> None:
    page = render_isolation(followed())
    assert "Proved isolated from quantization" in page
    assert "deterministic" in page
    assert "Every kind of companion" not in page
    assert "another way in float" in page
    lines = isolation_lines(followed())
    assert lines[0].startswith("Proved isolated from quantization: ")
    assert any("_fft_c2c" in line for line in lines)
    assert not any(line.startswith("companions") for line in lines)


def test_what_is_wrong_with_a_point_comes_first() -> None:
    wrong = followed(crossing=3)
    lines = isolation_lines(wrong)
    rows = lines[next(i for i, line in enumerate(lines) if line.startswith("point ")) + 1 :]
    assert rows[0].endswith("crosses examples in 3 groups")
    assert not any("crosses" in row for row in rows[1:])
    page = render_isolation(wrong)
    assert "Why there is no proof" in page
    assert "<script" not in page
    assert "in float" in render_isolation(followed(mixed=2))


def test_names_and_images_from_data_cannot_do_anything() -> None:
    page = render_isolation(record())
    assert "<script" not in page
    assert "javascript:" not in page
    assert page == render_isolation(record())


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize(
    "kept", [record(), followed(), followed(crossing=3)], ids=("search", "proof", "both")
)
def test_a_browser_shows_it_legibly_without_a_complaint(
    browser: Browser, tmp_path: Path, scheme: str, width: int, kept: Isolation
) -> None:
    file = tmp_path / "report.html"
    file.write_text(render_isolation(kept))
    with Visit(browser, file, width, scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator(".couple").count() == (3 if kept.observed.victims else 0)
        assert min(contrast(ink, ground) for ink, ground, _ in inks(page)) >= 4.5
