"""The layers' section: what it says follows from the record, whatever was found."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bitcliff.questions.layers.page import layers_section
from bitcliff.questions.layers.record import Layers, LayersObserved
from bitcliff.questions.layers.statistics import KIND
from bitcliff.record import Record, read_record, record_json, with_answer
from tests.a_record import figures_in, observed_in
from tests.questions.layers.explained import KINDS, explained
from tests.questions.page_text import page_of, rows_of, text_of


def figures_of(record: Record) -> Layers:
    return figures_in(record, "layers", Layers)


def finding_of(record: Record) -> str:
    return layers_section(record, figures_of(record)).finding


def shown(record: Record) -> str:
    return page_of(record, layers_section(record, figures_of(record)))


def test_the_finding_names_and_prices_the_layers() -> None:
    record = explained((2, 4), train=40)
    test, finding = figures_of(record).sweeps[0], finding_of(record)
    lost = 100 * test.whole.lost / 64
    assert finding.startswith(f"Under uniform-3, quantizing only 2 of 6 layers costs {lost:.1f} ")
    assert f"gives back {lost:.1f} points" in finding
    assert finding.endswith(f"of {lost:.1f}, with the same allocation.")
    page = shown(record)
    text, rows = text_of(page), rows_of(page)
    assert "Inflection points, by number and name: 3 (layers.2), 5 (layers.4)." in text
    assert "On 40 training examples, which had no part" in text
    assert "On those alone, the same rule names the same layers." in text
    assert [row[0] for row in rows if row[1].endswith("inflection")] == ["3", "5"]
    assert rows[0][2] == "100.0\u00a0% (64/64)"
    assert rows[2][4] == f"{100 - lost:.1f}\u00a0% ({64 - test.whole.lost}/64)"
    assert "64 test examples, 40 training examples" in text
    assert re.search(r"The curves took \d+\.\d\u00a0% of the layer calls and \d", text)
    assert text.count(finding) == 2  # in the summary and above the plot


def test_one_layer_is_called_by_its_name() -> None:
    record = explained((3,))
    finding = finding_of(record)
    assert finding.startswith("Under uniform-3, quantizing only layers.3, 1 of 6 layers, costs ")
    assert "keeping it in float" in finding
    assert "The training split was not measured" in text_of(shown(record))


def test_nothing_lost_is_said_plainly() -> None:
    record = explained(())
    assert finding_of(record) == (
        "Under uniform-3, there are no inflection points: nothing is lost beyond chance."
    )
    assert "large" not in text_of(shown(record))


def test_too_few_examples_are_said_to_be_too_few() -> None:
    record = explained((3,), n=9)
    assert finding_of(record).endswith("are lost, but no single layer stands out.")
    assert re.search(
        r"No step is both large .*\. The nearest is layer 4, layers\.3, which loses [^.]* of 9 "
        r"\(adjusted p [^)]*\): more examples would tell\.",
        text_of(shown(record)),
    )


@pytest.mark.parametrize("planted", [(), (3,), (2, 4)])
def test_the_page_holds_it_and_is_the_same_each_time(
    planted: tuple[int, ...], tmp_path: Path
) -> None:
    record = explained(planted)
    page = shown(record)
    assert page == shown(record)
    assert [len(row) for row in rows_of(page)] == [6] * 6
    assert len(re.findall("nan", "".join(re.split(r"data:[^\"]*", page)), re.IGNORECASE)) <= 1
    # Back from its text the record says the same.
    (tmp_path / "record.json").write_text(record_json(record))
    assert shown(read_record(tmp_path, KINDS)) == page


def test_a_hostile_name_is_escaped() -> None:
    record = explained((3,))
    points = [
        point.model_copy(update={"name": f"<script>{number}\u202e"})
        for number, point in enumerate(record.subject.points)
    ]
    subject = record.subject.model_copy(update={"points": points})
    changed = replace(record, observed=record.observed.model_copy(update={"subject": subject}))
    page = shown(changed)
    assert "<script>" not in page
    assert "\u202e" not in page
    assert "&lt;script&gt;4" in page


def test_no_prediction_at_all_still_makes_a_page() -> None:
    """Every prediction a numeric failure: rates of nothing."""
    record = explained((3,))
    observed = observed_in(record, "layers", LayersObserved)
    (test,) = observed.sweeps
    nothing = np.full(64, -1, np.int32)
    silent = test.model_copy(update={"predictions": dict.fromkeys(test.predictions, nothing)})
    changed = with_answer(record, "layers", observed.model_copy(update={"sweeps": [silent]}), KIND)
    assert "Up to 64 of 64 test examples gave NaN or infinity" in text_of(shown(changed))
