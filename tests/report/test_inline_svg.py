"""A drawing becomes part of the page: what the page's policy blocks is gone, the image is not."""

import re
from dataclasses import fields
from xml.etree import ElementTree

from matplotlib.figure import Figure

from bitcliff.report.inline_svg import inline_svg
from bitcliff.report.plot import DARK, LIGHT, Theme, colour_rules, plot, svg_text

SVG = "{http://www.w3.org/2000/svg}"


def draw(figure: Figure, theme: Theme = LIGHT, narrow: bool = False) -> None:
    axes = figure.add_subplot()
    axes.plot([0, 1, 2], [1, 1 / 3, 2], color=theme.worst, marker="o", label="<b>&")
    axes.text(1, 1, "wide" if not narrow else "narrow", color=theme.ink, weight="bold")
    axes.legend()


def inlined(svg: str) -> ElementTree.Element:
    colours = {LIGHT.worst: "--plot-worst"}
    return ElementTree.fromstring(inline_svg(svg, colours=colours, kind="k", words="<words>"))


def original() -> str:
    return svg_text(draw, (4.0, 3.0), False, (4.0, 3.0), type_as="none")


def test_nothing_that_the_pages_policy_blocks_is_left() -> None:
    for one in inlined(original()).iter():
        assert "style" not in one.attrib
        assert one.tag.removeprefix(SVG) not in ("style", "script", "metadata")
    assert "style=" in original()


def test_every_shape_and_text_is_still_there() -> None:
    before, after = ElementTree.fromstring(original()), inlined(original())
    for tag in ("path", "use", "text", "clipPath"):
        assert len([*after.iter(SVG + tag)]) == len([*before.iter(SVG + tag)]) > 0
    assert "<b>&" in {one.text for one in after.iter(SVG + "text")}
    bold = [one for one in after.iter(SVG + "text") if one.get("font-weight") in ("bold", "700")]
    assert [one.text for one in bold] == ["wide"]


def test_coordinates_are_moved_by_no_more_than_a_hundredth_of_a_point() -> None:
    def numbers(root: ElementTree.Element) -> list[float]:
        paths = [one.get("d", "") for one in root.iter(SVG + "path")]
        return [float(number) for path in paths for number in re.findall(r"-?\d+\.?\d*", path)]

    before, after = numbers(ElementTree.fromstring(original())), numbers(inlined(original()))
    assert len(before) == len(after) > 50
    assert max(abs(a - b) for a, b in zip(before, after, strict=True)) <= 0.0051


def test_names_are_found_and_are_no_other_drawings() -> None:
    first = inlined(original())
    second = inlined(svg_text(draw, (5.0, 3.0), False, (4.0, 3.0), type_as="none"))
    names = [{one.attrib["id"] for one in root.iter() if "id" in one.attrib}
             for root in (first, second)]  # fmt: skip
    assert not names[0] & names[1]
    wanted = {
        name
        for one in first.iter()
        for key, value in one.attrib.items()
        if key in ("href", "clip-path")
        for name in re.findall(r"#([\w-]+)", value)
    }
    assert wanted == names[0] != set()


def test_one_drawing_serves_light_and_dark() -> None:
    drawn = plot(draw, title="", caption="", words="")
    assert "var(--plot-worst)" in drawn.wide
    assert "var(--plot-ink)" in drawn.narrow
    light, dark = colour_rules().split("@media screen and (prefers-color-scheme: dark)")
    for one in fields(Theme):
        assert getattr(LIGHT, one.name) not in drawn.wide + drawn.narrow
        assert f"--plot-{one.name}: {getattr(LIGHT, one.name)};" in light
        assert f"--plot-{one.name}: {getattr(DARK, one.name)};" in dark
