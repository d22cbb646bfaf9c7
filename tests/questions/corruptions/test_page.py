import re

import pytest

from bitcliff.errors import InputError
from bitcliff.questions.corruptions.networks_plot import corruptions_of_networks
from bitcliff.questions.corruptions.observe import observe_corruptions
from bitcliff.questions.corruptions.page import (
    corruptions_section,
    float_sentence,
    hurt_sentence,
    more_lost,
)
from bitcliff.questions.corruptions.record import Corruptions, CorruptionsObserved
from bitcliff.questions.corruptions.statistics import KIND
from bitcliff.record import Record, with_answer
from bitcliff.record.record import Answer
from bitcliff.stats import paired_change
from bitcliff.types.settings import CorruptionSettings
from tests.a_record import figures_in
from tests.questions.corruptions.dazzling import GLARE, SPOT, Dazzled, context_of, some_images
from tests.questions.page_text import page_of, rows_of, rows_under, text_of


@pytest.fixture(scope="module")
def record() -> Record:
    context = context_of(
        Dazzled(),
        *some_images(),
        policies=("uniform-4", "worst-6"),
        corrupting=CorruptionSettings(degrees=(1, 2, 5), seeds=2),
    )
    found = observe_corruptions(context, lambda: (GLARE, SPOT))
    return with_answer(context.record, "corruptions", found, KIND)


def _part(record: Record) -> Corruptions:
    return figures_in(record, "corruptions", Corruptions)


def _page(record: Record) -> str:
    return page_of(record, corruptions_section(record, _part(record)))


def test_the_finding_names_the_corruption_that_hurts_quantization(record: Record) -> None:
    part = _part(record)
    assert float_sentence(part, True) == (
        "In float, no corruption leaves fewer right than on clean images."
    )
    sentence = hurt_sentence(part)
    assert sentence.startswith("Quantization hurts most beyond clean with glare at degree 2 under")
    assert "it loses 50.0 points more of what float gets right (" in sentence
    assert sentence.endswith("n = 60).")


def test_without_the_planted_one_it_says_that_none_is_worse(record: Record) -> None:
    part = _part(record)
    cells = [one for one in part.cells if one.corruption != "glare"]
    sentence = hurt_sentence(part.model_copy(update={"cells": cells}))
    assert sentence == "Under no corruption did quantization lose more than on clean images."


def test_a_difference_within_chance_is_called_that(record: Record) -> None:
    part = _part(record)
    cell = next(one for one in part.cells if one.corruption == "glare" and one.degree == 2)
    against = cell.losses["uniform-4"].against_clean
    assert against is not None
    weak = against.model_copy(update={"p_holm": 0.06})
    loss = cell.losses["uniform-4"].model_copy(update={"against_clean": weak})
    cell = cell.model_copy(update={"losses": {"uniform-4": loss}})
    sentence = hurt_sentence(part.model_copy(update={"cells": [cell]}))
    assert "is not shown: the most was 50.0 points more" in sentence
    assert "with glare at degree 2 under uniform-4" in sentence


def test_float_that_falls_is_told_with_its_interval(record: Record) -> None:
    part = _part(record)
    cell = part.cells[0]
    fallen = cell.losses["worst-6"].lost.model_copy(update={"value": 0.25, "low": 0.1, "high": 0.5})
    runs = {"float": cell.runs["float"].model_copy(update={"accuracy": fallen})}
    cell = cell.model_copy(update={"runs": runs})
    assert float_sentence(part.model_copy(update={"cells": [cell]}), True) == (
        "In float, glare at degree 1 costs most: 25.0\u00a0% (10.0 to 50.0\u00a0%) are right, "
        "against 100.0\u00a0% clean."
    )


def test_the_table_holds_every_corruption_and_the_comparisons(record: Record) -> None:
    page = _page(record)
    found = rows_under(page, "caption-corruptions")
    assert [row[0] for row in found] == ["none, clean", "glare", "spot", "normalisation shift"]
    for network in ("float", "uniform-4", "worst-6"):
        assert f'<th scope="col"><bdi class="name">{network}</bdi></th>' in page
    assert "Right predictions at degree 5" in text_of(page)
    assert found[1][1] == "0.68, 0.76, 1: brightness"
    assert found[1][3].startswith("50.0\u00a0% ")
    hurt = rows_under(page, "caption-hurt")
    # The worst case's bits were searched for on clean images: it is not compared.
    assert {row[0] for row in hurt} == {"uniform-4"}
    sure = re.findall(r"<tr>(?:(?!</tr>).)*number starved.*?</tr>", page)
    assert [rows_of(row)[0][1] for row in sure] == ["glare"]
    assert hurt[0][5] == "30 / 0 of 60"


def test_the_plots_say_their_numbers_also_in_words(record: Record) -> None:
    data = corruptions_section(record, _part(record)).data
    loss = data["loss"]
    assert "uniform-4, percent by degree from clean on: glare 0, 0, 50, 50;" in loss.words
    assert "n = 60 images, 2 draws each" in loss.caption
    for panel in ("glare", "spot", "normalisation shift"):
        assert f">{panel}</text>" in data["accuracy"].wide


def test_the_page_shows_the_section(record: Record) -> None:
    page = _page(record)
    assert 'id="corruptions"' in page
    assert re.search(r"<summary><strong>What do corrupted images do\?</strong>", page)
    assert "those found for the clean image" in page


def test_what_was_not_measured_says_why(record: Record) -> None:
    reason = CorruptionsObserved(reason="the inputs are <not> images")
    bare = with_answer(record, "corruptions", reason, KIND)
    section = corruptions_section(bare, _part(bare))
    assert section.finding == "Not measured, because the inputs are <not> images."
    assert "the inputs are &lt;not&gt; images" in _page(bare)


def test_what_is_lost_is_the_change_turned_round() -> None:
    """Lost corrupted: 7 of 40; clean: 2 of 40."""
    change = paired_change(40, 6, 1, 0.99)
    value, low, high = more_lost(change)
    assert value == pytest.approx(100 * (7 - 2) / 40)
    assert low < value < high
    assert (low, high) == (-(change.high_pp or 0), -(change.low_pp or 0))


def test_several_networks_share_a_figure(record: Record) -> None:
    svg = corruptions_of_networks([record, record], "uniform-4")
    assert svg == corruptions_of_networks([record, record], "uniform-4")
    assert svg.count('id="axes_') == 3
    assert svg != corruptions_of_networks([record], "uniform-4")


def test_what_cannot_be_drawn_together_is_refused(record: Record) -> None:
    with pytest.raises(InputError, match="random-6 is not explained; it has uniform-4, worst-6"):
        corruptions_of_networks([record], "random-6")
    with pytest.raises(InputError, match="run `bitcliff explain RUN` first"):
        corruptions_of_networks([Record(record.observed, record.figures)])
    with pytest.raises(InputError, match="7 networks: give 1 to 6"):
        corruptions_of_networks([record] * 7)
    observed = record.answers["corruptions"].observed
    part = _part(record)
    part = part.model_copy(update={"corruptions": part.corruptions[:1]})
    other = Record(record.observed, record.figures, {"corruptions": Answer(observed, part)})
    with pytest.raises(InputError, match="under other corruptions than the first"):
        corruptions_of_networks([record, other])
