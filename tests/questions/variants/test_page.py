from bitcliff.questions.variants.page import finding, variants_section
from bitcliff.questions.variants.statistics import figures
from bitcliff.types.change import PairedChange
from tests.questions.page_text import page_of, rows_of
from tests.questions.variants.planted import observed


def test_the_finding_says_what_helps_on_whom() -> None:
    record, found = observed()
    [one] = figures(record, found).formats
    told = finding(record, one)
    assert f"({one.right.k}/120) are right; with channels smoothed" in told
    assert "(60/60), on 60 examples held out: " in told


def test_the_finding_says_that_nothing_helps() -> None:
    record, found = observed()
    [one] = figures(record, found).formats
    assert "none of 4 changes to it gives anything back" in finding(
        record, one.model_copy(update={"chosen": None})
    )
    assert one.chosen is not None
    chance = PairedChange(
        n=60, lost=1, gained=2, difference_pp=1.7, low_pp=-3.0, high_pp=7.0, p_value=1.0
    )
    unsure = one.chosen.model_copy(update={"regained": chance})
    told = finding(record, one.model_copy(update={"chosen": unsure, "helps": False}))
    assert "gives back nothing beyond chance on 60 others than chose it: 1.7 points" in told


def test_the_finding_says_that_nothing_is_lost() -> None:
    record, found = observed(30.0)
    [one] = figures(record, found).formats
    assert "nothing is lost beyond chance" in finding(record, one)


def test_the_section_has_a_row_for_each_change_and_is_absent_without_formats() -> None:
    record, found = observed()
    shown = figures(record, found)
    section = variants_section(record, shown)
    assert section is not None
    [one], rows = section.data["formats"], rows_of(page_of(record, section))
    # The first is the format as it is.
    assert len(rows[1:]) == len(one["one"].tried) == 4
    assert variants_section(record, shown.model_copy(update={"formats": []})) is None
