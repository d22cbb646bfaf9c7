"""The page and the lines of a measurement."""

from bitcliff.questions.provocation.page import finding, provocation_lines, render_provocation
from bitcliff.questions.provocation.plot import curve
from bitcliff.questions.provocation.record import CONTROL, SEARCH, Attempt
from bitcliff.questions.provocation.statistics import problems
from bitcliff.questions.provocation.store import PROVOKE
from tests.questions.provocation.provoked import HOSTILE, failure, observed, ranked, record


def test_the_page_holds_the_finding_and_nothing_hostile() -> None:
    page = render_provocation(record())
    assert page == render_provocation(record())
    assert "mxfp4-rceil can be made wrong near 2 of 3 examples" in page
    for hostile in ("<script>alert", "javascript:", "<img src=x"):
        assert hostile not in page
    assert page.count("fails in 2 of 3 nudged copies") == 1
    assert "float right of 5 of 6, by delta of 4; of these 1 wrong in the format" in page


def test_the_lines_tell_each_search_and_the_verdict() -> None:
    lines = provocation_lines(record(), 50.0)
    assert lines[0].startswith("mxfp4-rceil can be made wrong near 2 of 3 examples")
    assert "finds none in 3" in lines[2]
    assert sum(line.startswith("linf:8/255") for line in lines) == 4
    assert lines[-1].startswith("Inconclusive: 66.7 % (2/3) of the examples can be made to fail")
    assert HOSTILE not in "\n".join(lines)


def test_a_control_that_finds_something_is_a_warning() -> None:
    seen = observed()
    searched = seen.searched[0]
    attempts = {**searched.attempts, CONTROL: [Attempt(passes=9, failure=failure(0.6))] * 3}
    wrong = seen.model_copy(
        update={"searched": [searched.model_copy(update={"attempts": attempts})]}
    )
    assert "Warning: the same search finds 3 of 3" in provocation_lines(PROVOKE.of(wrong))[2]


def test_where_nothing_is_found_it_is_no_proof() -> None:
    seen = observed()
    searched = seen.searched[0]
    nothing = {name: [Attempt(passes=100)] * 3 for name in searched.attempts}
    none = PROVOKE.of(
        seen.model_copy(update={"searched": [searched.model_copy(update={"attempts": nothing})]})
    )
    assert finding(none).endswith("was found near any of 3 examples")
    assert "None was found near any example." in render_provocation(none)


def test_a_curve_climbs_by_one_at_each_failure() -> None:
    assert curve(observed().searched[0], SEARCH, 100) == [(0, 0), (30, 1), (50, 2), (100, 2)]


def test_another_set_is_told_beside_chance_and_beside_the_least_lead() -> None:
    within = (*observed().settings.within, ranked().within)
    settings = observed().settings.changed(within=within)
    both = observed().model_copy(update={"ranked": [ranked()], "settings": settings})
    assert not [*problems(both)]
    lines = provocation_lines(PROVOKE.of(both))
    assert "the 3 that rank first (by float's lead alone" in lines[-1]
    assert "gets wrong 66.7 % (2/3), 9.4 to 99.2 %; of as many at random 33.3 % (1/3)" in lines[-1]
    assert "2.0 times as many; Holm p 0.500" in lines[-1]
    page = render_provocation(PROVOKE.of(both))
    assert "Other data, ranked" in page
    assert "<script>alert" not in page
    alone = both.model_copy(
        update={"searched": [], "settings": settings.changed(within=within[1:])}
    )
    lines = provocation_lines(PROVOKE.of(alone))
    assert "gets 2 of 3 inputs wrong that were ranked first" in lines[0]
    assert "within" not in "".join(lines[1:-1])
    page = render_provocation(PROVOKE.of(alone))
    assert "Every search, and its controls" not in page
    assert "None was found near any example" not in page
