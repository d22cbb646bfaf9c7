"""The layers' section: what it says follows from the record, whatever was found."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bitcliff.questions.layers.page import PolicyLayers, layers_section
from bitcliff.questions.layers.record import Layers, LayersObserved
from bitcliff.questions.layers.statistics import KIND
from bitcliff.records import Record, read_record, record_json, with_answer
from bitcliff.report.html import Sections, render_html
from bitcliff.report.section import Section
from bitcliff.verdict import judge
from tests.questions.layers.explained import KINDS, explained


def section(record: Record) -> tuple[Section, PolicyLayers]:
    layers = record.answer("layers", Layers)
    assert layers is not None
    found = layers_section(record, layers)
    return found, found.data[0]


def page_of(record: Record) -> str:
    return render_html(record, judge(record, 2.0), Sections(explained=[section(record)[0]]))


def text_of(record: Record) -> str:
    found, policy = section(record)
    return " ".join([found.finding, *policy.sentences, policy.plot.caption, policy.effort])


def test_the_finding_names_and_prices_the_layers() -> None:
    record = explained((2, 4), train=40)
    found, policy = section(record)
    layers = record.answer("layers", Layers)
    assert layers is not None
    test = layers.sweeps[0]
    lost = 100 * test.whole.lost / 64
    assert found.finding.startswith(
        f"Under uniform-3, quantizing only 2 of 6 layers costs {lost:.1f} "
    )
    assert f"gives back {lost:.1f} points" in found.finding
    assert found.finding.endswith(f"of {lost:.1f}, with the same allocation.")
    assert "Inflection points, by number and name: 3 (layers.2), 5 (layers.4)." in policy.sentences
    assert any(s.startswith("On 40 training examples, which had no part") for s in policy.sentences)
    assert "On those alone, the same rule names the same layers." in policy.sentences
    assert [row.number for row in policy.rows if row.inflects] == [3, 5]
    assert policy.rows[0].cells[0] == "100.0\u00a0% (64/64)"
    assert policy.rows[2].cells[2] == f"{100 - lost:.1f}\u00a0% ({64 - test.whole.lost}/64)"
    assert policy.plot.title == found.finding
    assert "64 test examples, 40 training examples" in policy.plot.caption


def test_one_layer_is_called_by_its_name() -> None:
    found, policy = section(explained((3,)))
    assert found.finding.startswith(
        "Under uniform-3, quantizing only layers.3, 1 of 6 layers, costs "
    )
    assert "keeping it in float" in found.finding
    assert any(s.startswith("The training split was not measured") for s in policy.sentences)


def test_nothing_lost_is_said_plainly() -> None:
    record = explained(())
    assert section(record)[0].finding == (
        "Under uniform-3, there are no inflection points: nothing is lost beyond chance."
    )
    assert "large" not in text_of(record)


def test_too_few_examples_are_said_to_be_too_few() -> None:
    found, policy = section(explained((3,), n=9))
    assert found.finding.endswith("are lost, but no single layer stands out.")
    (sentence,) = (s for s in policy.sentences if s.startswith("No step is both large"))
    assert "The nearest is layer 4, layers.3, which loses" in sentence
    assert sentence.endswith("more examples would tell.")


@pytest.mark.parametrize("planted", [(), (3,), (2, 4)])
def test_the_page_holds_it_and_is_the_same_each_time(
    planted: tuple[int, ...], tmp_path: Path
) -> None:
    record = explained(planted)
    page = page_of(record)
    assert page == page_of(record)
    assert 'id="layers"' in page
    assert page.count("<td") >= 6 * 5
    assert len(re.findall("nan", "".join(re.split(r"data:[^\"]*", page)), re.IGNORECASE)) <= 1
    # Back from its text the record says the same.
    (tmp_path / "record.json").write_text(record_json(record))
    assert text_of(read_record(tmp_path, KINDS)) == text_of(record)


def test_a_hostile_name_is_escaped() -> None:
    record = explained((3,))
    points = [
        point.model_copy(update={"name": f"<script>{number}\u202e"})
        for number, point in enumerate(record.subject.points)
    ]
    subject = record.subject.model_copy(update={"points": points})
    changed = replace(record, observed=record.observed.model_copy(update={"subject": subject}))
    page = page_of(changed)
    assert "<script>" not in page
    assert "\u202e" not in page
    assert "&lt;script&gt;4" in page


def test_no_prediction_at_all_still_makes_a_page() -> None:
    """Every prediction a numeric failure: rates of nothing."""
    record = explained((3,))
    observed = record.observed_by("layers", LayersObserved)
    assert observed is not None
    (test,) = observed.sweeps
    nothing = np.full(64, -1, np.int32)
    silent = test.model_copy(update={"predictions": dict.fromkeys(test.predictions, nothing)})
    changed = with_answer(record, "layers", observed.model_copy(update={"sweeps": [silent]}), KIND)
    assert "Up to 64 of 64 test examples gave NaN or infinity" in text_of(changed)
    assert page_of(changed)
