"""The layers' section: what it says follows from the record, whatever was found."""

import re
from collections.abc import Callable, Collection

import pytest

from bitcliff.assess import AssessSettings
from bitcliff.assess.explain.context import Context
from bitcliff.assess.explain.layers import explain_layers
from bitcliff.records import Record, record_json
from bitcliff.records.explanation import Explanation
from bitcliff.records.layers_consistency import layers_problems
from bitcliff.report import render_html
from bitcliff.report.explain import Section, sections
from bitcliff.report.explain.layers import PolicyLayers
from bitcliff.verdict import judge
from tests.assess.explain.planted import Planted, examples, side_of

Make = Callable[..., Record]


@pytest.fixture(scope="module")
def explained() -> Make:
    """The record of a planted network, with its layers explained; made once for each planting."""
    made: dict[tuple[int, ...], Record] = {}

    def make(places: Collection[int], n: int = 64, train: int = 0) -> Record:
        key = (*sorted(places), -n, train)
        if key not in made:
            made[key] = _explained(places, n, train)
        return made[key]

    return make


def _explained(places: Collection[int], n: int, train: int) -> Record:
    settings = AssessSettings(
        bits=(3, 4),
        budgets=(3.5,),
        uniform=(3,),
        batch_size=16,
        rounds=1,
        exchanges=1,
        evaluations=0,
        draws=1,
    )
    model = Planted(6, places)
    test = side_of(model, examples(n), settings=settings)
    other = side_of(model, examples(train, seed=1), "train", settings=settings) if train else None
    record = test.audit.assess(command="made by the tests")
    layers = explain_layers(Context(record, ("even",), test, other))
    told = Explanation(policies=["even"], n_train=train, layers=layers)
    return record.model_copy(update={"explanation": told})


def section(record: Record) -> tuple[Section, PolicyLayers]:
    (found,) = sections(record)
    return found, found.data[0]


def text_of(record: Record) -> str:
    found, policy = section(record)
    return " ".join([found.finding, *policy.sentences, policy.plot.caption, policy.effort])


def test_the_finding_names_and_prices_the_layers(explained: Make) -> None:
    record = explained({2, 4}, train=40)
    found, policy = section(record)
    assert record.explanation is not None
    assert record.explanation.layers is not None
    test = record.explanation.layers.sweeps[0]
    lost = 100 * test.whole.lost / 64
    assert found.finding.startswith(f"Under even, quantizing only 2 of 6 layers costs {lost:.1f} ")
    assert f"gives back {lost:.1f} points" in found.finding
    assert found.finding.endswith(f"of {lost:.1f}, with the bits as they lie.")
    assert "Inflection points, by number and name: 3 (layers.2), 5 (layers.4)." in policy.sentences
    assert any(s.startswith("On 40 training examples, which had no part") for s in policy.sentences)
    assert "On those alone, the same rule names the same layers." in policy.sentences
    assert [row.number for row in policy.rows if row.inflects] == [3, 5]
    assert policy.rows[0].cells[0] == "100.0\u00a0% (64/64)"
    assert policy.rows[2].cells[2] == f"{100 - lost:.1f}\u00a0% ({64 - test.whole.lost}/64)"
    assert policy.plot.title == found.finding
    assert "64 test examples, 40 training examples" in policy.plot.caption


def test_one_layer_is_called_by_its_name(explained: Make) -> None:
    found, policy = section(explained({3}))
    assert found.finding.startswith("Under even, quantizing only layers.3, 1 of 6 layers, costs ")
    assert "keeping it in float" in found.finding
    assert any(s.startswith("The training split was not measured") for s in policy.sentences)


def test_nothing_lost_is_said_plainly(explained: Make) -> None:
    record = explained(())
    assert section(record)[0].finding == (
        "Under even, there are no inflection points: nothing is lost beyond chance."
    )
    assert "large" not in text_of(record)


def test_too_few_examples_are_said_to_be_too_few(explained: Make) -> None:
    found, policy = section(explained({3}, n=9))
    assert found.finding.endswith("are lost, but no single layer stands out.")
    (sentence,) = (s for s in policy.sentences if s.startswith("No step is both large"))
    assert "The nearest is layer 4, layers.3, which loses" in sentence
    assert sentence.endswith("more examples would tell.")


@pytest.mark.parametrize("places", [(), (3,), (2, 4)])
def test_the_page_holds_it_and_is_the_same_each_time(
    explained: Make, places: tuple[int, ...]
) -> None:
    record = explained(places)
    page = render_html(record, judge(record, 2.0))
    assert page == render_html(record, judge(record, 2.0))
    assert 'id="layers"' in page
    assert page.count("<td") >= 6 * 5
    assert len(re.findall("nan", "".join(re.split(r"data:[^\"]*", page)), re.IGNORECASE)) <= 1
    # Back from its text the record says the same.
    again = Record.model_validate_json(record_json(record))
    assert text_of(again) == text_of(record)


def test_a_hostile_name_is_escaped(explained: Make) -> None:
    record = explained({3})
    points = [
        point.model_copy(update={"name": f"<script>{place}\u202e"})
        for place, point in enumerate(record.subject.points)
    ]
    subject = record.subject.model_copy(update={"points": points})
    changed = record.model_copy(update={"subject": subject})
    page = render_html(changed, judge(changed, 2.0))
    assert "<script>" not in page
    assert "\u202e" not in page
    assert "&lt;script&gt;4" in page


def test_no_answer_at_all_still_makes_a_page(explained: Make) -> None:
    """Every prediction a numeric failure: rates of nothing."""
    record = explained({3})
    assert record.explanation is not None
    assert record.explanation.layers is not None
    test = record.explanation.layers.sweeps[0]
    nothing = test.none.model_copy(
        update={"k": 0, "n": 0, "value": None, "low": None, "high": None}
    )
    change = test.whole.model_copy(
        update={"n": 0, "lost": 0, "gained": 0, "pp": None, "low": None, "high": None}
    )
    curves = {name: [nothing] * 6 for name in ("before", "after", "single", "all_but")}
    silent = test.model_copy(
        update={
            **curves,
            **dict.fromkeys(("none", "all", "float_rate"), nothing),
            "whole": change,
            "large_steps": [],
            "inflection": [],
            "confirmation": None,
        }
    )
    layers = record.explanation.layers.model_copy(update={"sweeps": [silent]})
    told = record.explanation.model_copy(update={"layers": layers})
    changed = record.model_copy(update={"explanation": told})
    assert "Up to 64 of 64 test examples gave NaN or infinity" in text_of(changed)
    assert render_html(changed, judge(changed, 2.0))


def test_a_verdict_that_its_p_value_does_not_give_is_a_problem(explained: Make) -> None:
    record = explained({2, 4}, train=40)
    told = record.explanation
    assert told is not None
    assert told.layers is not None
    assert list(layers_problems(record, told, ["even"], told.layers)) == []
    test, *others = told.layers.sweeps
    weak = [step.model_copy(update={"p_holm": 0.9}) for step in test.large_steps]
    sweeps = [test.model_copy(update={"large_steps": weak}), *others]
    layers = told.layers.model_copy(update={"sweeps": sweeps})
    problems = list(layers_problems(record, told, ["even"], layers))
    assert len(problems) == len(weak) > 0
    assert all("inflects or not, against its p of 0.9" in problem for problem in problems)
