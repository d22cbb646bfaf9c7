"""The section on inputs at risk: its sentences, tables and figure, from a record alone."""

import re
from collections import Counter
from typing import Any
from xml.etree import ElementTree

import pytest

from bitcliff.questions.features import FeatureKey, NotMeasured
from bitcliff.questions.inputs.page import inputs_section
from bitcliff.questions.inputs.plot import margins_plot
from bitcliff.questions.inputs.record import (
    ClassAtRisk,
    Comparison,
    Feature,
    InputsAtRisk,
    InputsObserved,
    PolicyRisk,
    Quantiles,
    Reference,
)
from bitcliff.questions.inputs.wording import answer, effect_text
from bitcliff.record import Record
from bitcliff.record.record import Answer
from bitcliff.report.filters import significant
from bitcliff.report.html import Sections, render_html
from bitcliff.report.section import Section
from bitcliff.stats import rate
from bitcliff.verdict import judge
from tests.a_record import figures_in
from tests.report.example_record import Variant, example_record

MARGIN = Comparison(
    key="margin", n_risk=10, n_safe=8, median_risk=2.1, median_safe=5.6,
    effect=0.1, low=0.02, high=0.4, p_value=0.0001, p_holm=0.0004,
)  # fmt: skip
DULL = Comparison(
    key="brightness", n_risk=10, n_safe=8, median_risk=0.4, median_safe=0.5,
    effect=0.4, low=0.2, high=0.6, p_value=0.5, p_holm=0.75,
)  # fmt: skip
CLASS = Comparison(
    key="class", n_risk=10, n_safe=8, effect=0.31, p_value=0.3, p_holm=0.6
)  # fmt: skip


def _risk(**changes: Any) -> PolicyRisk:
    fields: dict[str, Any] = {
        "policy": "worst-7",
        "numeric_failures": rate(0, 20),
        "at_risk": rate(10, 18),
        "flipped": rate(12, 20),
        "lost": rate(10, 20),
        "gained": rate(0, 20),
        "other_wrong": rate(2, 20),
        "transitory": None,
        "transitory_of_all": None,
        "erosion": Quantiles(p05=-1, p25=0.5, median=2, p75=3, p95=5),
        "eroded": rate(16, 20),
        "comparisons": [CLASS, MARGIN, DULL],
        "classes": [ClassAtRisk(label=609, at_risk=rate(2, 2)), *_singles()],
        "worst": [],
    }
    return PolicyRisk(**(fields | changes))


def _singles() -> list[ClassAtRisk]:
    return [ClassAtRisk(label=99, at_risk=rate(1, 3)), ClassAtRisk(label=22, at_risk=rate(0, 1))]


def _explained(
    record: Record, *risks: PolicyRisk, images: dict[str, str] | None = None, **changes: Any
) -> Record:
    keys: tuple[FeatureKey, ...] = ("class", "margin", "brightness")
    fields: dict[str, Any] = {
        "margin_scale": 4.0,
        "features": [Feature(key=key, measured=f"how {key} was measured") for key in keys],
        "not_measured": [NotMeasured(key="length", reason="there is no text")],
        "reference": None,
        "policies": list(risks),
    }
    observed = InputsObserved(
        margin_scale=4.0,
        features=[],
        not_measured=[],
        reference=None,
        images=images or {},
        resampled={risk.policy: {} for risk in risks},
    )
    part = InputsAtRisk(**(fields | changes))
    return Record(record.observed, record.figures, {"inputs": Answer(observed, part)})


def _part(record: Record) -> InputsAtRisk:
    return figures_in(record, "inputs", InputsAtRisk)


def _section(record: Record) -> Section:
    return inputs_section(record, _part(record))


def _page(record: Record) -> str:
    return render_html(record, judge(record, 2.0), Sections(explained=[_section(record)]))


def _text(page: str) -> str:
    inside = page[page.index('id="inputs"') :].split('<section aria-labelledby="coverage">')[0]
    inside = re.sub(r"</?bdi[^>]*>", "", inside)
    return " ".join(re.sub(r"<[^>]+>", " ", inside).split())


RECORD = example_record()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {},
            "Under worst-7, 10 of 18 images that float gets right are lost. They have smaller "
            "float margins (median 2.1 against 5.6, p <\u00a00.001); none of the 2 other features "
            "tells them apart.",
        ),
        (
            {"comparisons": [CLASS, DULL]},
            "Under worst-7, 10 of 18 images that float gets right are lost; none of the 2 "
            "features tested tells them from the others (smallest adjusted p = 0.600).",
        ),
        (
            {"comparisons": [MARGIN.model_copy(update={"effect": 0.9, "low": 0.8, "high": 1.0}),
                             CLASS.model_copy(update={"p_holm": 0.01, "p_value": 0.005})]},
            "Under worst-7, 10 of 18 images that float gets right are lost. They have larger "
            "float margins (median 2.1 against 5.6, p <\u00a00.001) and come more from some "
            "classes than from others (p = 0.010).",
        ),
        (
            {"at_risk": rate(0, 18)},
            "Under worst-7 none of the 18 images that float gets right is lost: "
            "nothing to compare.",
        ),
        (
            {"at_risk": rate(18, 18)},
            "Under worst-7 all 18 images that float gets right are lost: "
            "none is left to compare with.",
        ),
        (
            {"at_risk": rate(17, 18), "comparisons": [DULL]},
            "Under worst-7, 17 of 18 images that float gets right are lost; with only 1 that is "
            "not, there is too little to compare.",
        ),
        (
            {"at_risk": rate(1, 18), "comparisons": [DULL]},
            "Under worst-7, 1 of 18 images that float gets right is lost; with only 1, there is "
            "too little to compare.",
        ),
        (
            {"at_risk": rate(0, 0)},
            "No image that float gets right has a prediction under worst-7: "
            "there is nothing to compare.",
        ),
    ],
)  # fmt: skip
def test_answer(changes: dict[str, Any], expected: str) -> None:
    assert answer(RECORD, _risk(**changes)) == expected


def test_finding_takes_the_policy_that_tells_most() -> None:
    everyone = _risk(policy="worst-8", at_risk=rate(18, 18), comparisons=[])
    section = _section(_explained(RECORD, everyone, _risk()))
    assert section.finding.startswith("Under worst-8 all 18 images")
    assert "Under worst-7, 10 of 18" in section.finding


def test_page_holds_the_numbers() -> None:
    reference = Reference(model="robust <b>", n_common=19)
    risk = _risk(
        transitory=rate(8, 16), transitory_of_all=rate(8, 19), worst=[RECORD.examples[0].id]
    )
    page = _page(_explained(RECORD, risk, reference=reference))
    text = _text(page)
    for part in (
        "50.0 % (8/16)".replace(" %", "\u00a0%"),
        "42.1 % (8/19) 20.3 to 66.5 %".replace(" %", "\u00a0%"),
        "robust &lt;b&gt;, wrong here under the policy; 19 images in common",
        "10 / 8 2.1 5.6 0.10 (0.02 to 0.40) &lt;\u00a00.001 &lt;\u00a00.001 differs",
        "V = 0.31",
        "Holm over all 3 tests of this section",
        "At risk by class: jeep (609) 2 of 2, goose (99) 1 of 3.",
        "Not measured: text length, because there is no text.",
        RECORD.examples[0].id,
    ):
        assert " ".join(part.split()) in text, part
    assert "<b>" not in text


def test_nothing_to_compare_shows_no_table_of_features() -> None:
    text = _text(_page(_explained(RECORD, _risk(at_risk=rate(18, 18)))))
    assert "Mann–Whitney" not in text
    assert "none is left to compare with" in text


def test_without_labels() -> None:
    record = example_record(Variant(labelled=False))
    risk = _risk(lost=None, gained=None, other_wrong=None, at_risk=rate(12, 20))
    text = _text(_page(_explained(record, risk)))
    assert "12 of 20 images are changed" in text
    assert "There are no labels" in text
    assert "Gained" not in text


def test_images_kept_for_this_section_are_checked() -> None:
    name = RECORD.examples[3].id  # has no image in the record
    assert RECORD.examples[3].thumbnail is None
    good, bad = "data:image/png;base64,QUJD", "https://evil.invalid/x.png"
    shown = _page(_explained(RECORD, _risk(worst=[name]), images={name: good}))
    assert good in shown
    hidden = _page(_explained(RECORD, _risk(worst=[name]), images={name: bad}))
    assert bad not in hidden


def test_figure_has_a_mark_an_example() -> None:
    record = _explained(RECORD, _risk())
    drawn = margins_plot(record, _part(record), _risk())
    assert drawn is not None
    assert drawn.title == (
        "Under worst-7 the margin shrinks by 2 logits in the median (0.50 times the median float "
        "margin); 10 of 18 right predictions are lost"
    )
    assert "each of 20 images" in drawn.caption
    for svg in (drawn.wide, drawn.narrow):
        root = ElementTree.fromstring(svg)
        marks = Counter(e.get("href") for e in root.iter() if e.tag.endswith("use"))
        # Wrong in float, kept and lost, each with one in the legend; beside the axes' ticks.
        assert {3, 9, 11} <= set(marks.values())


def test_many_marks_are_thinned_and_it_says_so() -> None:
    record = _explained(example_record(Variant(n=700, adversary=False)), _risk(policy="uniform-7"))
    drawn = margins_plot(record, _part(record), _risk(policy="uniform-7"))
    assert drawn is not None
    assert "At most 500 marks of a kind" in drawn.caption
    assert len(drawn.wide) < 150_000


def test_no_margin_no_figure() -> None:
    record = _explained(RECORD, _risk(erosion=None))
    assert margins_plot(record, _part(record), _risk(erosion=None)) is None
    assert "logits in the median" not in _text(_page(record))


def test_numbers_in_words() -> None:
    assert [significant(v) for v in (2.0146, -0.02771, 13.44, 0.0, None)] == [
        "2.01", "−0.0277", "13.4", "0", "–"
    ]  # fmt: skip
    assert effect_text(MARGIN) == "0.10 (0.02 to 0.40)"
    assert effect_text(CLASS) == "V = 0.31"
    assert effect_text(Comparison(key="margin", n_risk=0, n_safe=1)) == "–"
