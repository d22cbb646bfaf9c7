"""Another set, ranked: against what running all of it shows, and failures that are planted."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from bitcliff.adapters import load_examples, load_model
from bitcliff.audit import AssessSettings
from bitcliff.audit.prepare import prepare
from bitcliff.errors import InputError
from bitcliff.questions.provocation.observe import Provoking, provoking
from bitcliff.questions.provocation.ranking import rank
from bitcliff.questions.provocation.record import Ranked
from bitcliff.questions.provocation.statistics import failing_ids, figures, judged, problems
from bitcliff.types.numerics import Numerics
from bitcliff.types.options import DataOptions
from bitcliff.types.settings import ProvokeSettings
from bitcliff.types.subject import Examples
from bitcliff.types.within import read_within
from tests.questions.provocation.networks import FOUR
from tests.questions.provocation.provoked import observed

THREE = FOUR.model_copy(
    update={"activations": Numerics(element="uint3", group="example", scale="minmax-zero")}
)
WITHIN = read_within("data:elsewhere")


def network(n: int = 120) -> Provoking:
    """The shipped network of digits in so few bits that it fails now and then."""
    subject = load_model("base-digits")
    settings = AssessSettings(numerics=("coarse",), formats={"coarse": THREE}, budgets=(),
                              include_stem=True)  # fmt: skip
    examples = load_examples("digits", subject=subject, limit=n)
    return provoking(prepare(subject, examples, settings), "coarse", THREE, ProvokeSettings())


def elsewhere(n: int = 400) -> Examples:
    subject, training = load_model("base-digits"), DataOptions(split="train")
    found = load_examples("digits", subject=subject, limit=n, options=training)
    assert isinstance(found.inputs, torch.Tensor)
    noise = torch.randn(found.inputs.shape, generator=torch.Generator().manual_seed(0))
    return replace(found, inputs=(found.inputs + 0.1 * noise).clamp(0, 1), labels=None)


@pytest.fixture(scope="module")
def coarse() -> Provoking:
    return network()


def ranked(coarse: Provoking, pool: Examples) -> Ranked:
    return rank(coarse, WITHIN, pool, lambda *_: None)


def test_what_is_run_is_what_running_all_shows(coarse: Provoking) -> None:
    pool, saved = elsewhere(1200), list[int]()
    found = rank(coarse, WITHIN, pool, lambda *_: None, lambda place, _: saved.append(place))
    # The set as the examples of a run of its own, which runs all of it in both.
    subject, settings = coarse.prepared.subject, coarse.prepared.settings.changed(margin="auto")
    alone = provoking(
        prepare(subject, pool, settings), "coarse", THREE, ProvokeSettings(delta=coarse.delta)
    )
    able = (alone.in_float >= coarse.delta).nonzero()[:, 0].tolist()
    assert (found.n, found.led) == (1200, len(able))
    count = int(np.ceil(len(able) / 10))
    assert len(found.first) == len(found.by_lead) == len(found.at_random) == max(20, count)
    place_of = {name: place for place, name in enumerate(pool.ids)}
    for one in found.tried:
        place = place_of[one.id]
        assert one.float_lead == pytest.approx(float(alone.in_float[place]), rel=1e-4)
        assert one.quantized_lead == pytest.approx(float(alone.quantized[place]), abs=1e-4)
    failing = {pool.ids[p] for p in able if alone.quantized[p] < 0}
    tried = {one.id for one in found.tried}
    assert failing_ids(found) == failing & tried
    assert {pool.ids[place] for place in saved} == failing_ids(found)
    least = sorted(able, key=lambda place: float(alone.in_float[place]))[: len(found.first)]
    assert set(found.by_lead) == {pool.ids[place] for place in least}
    assert {place_of[name] for name in found.first} <= set(able)
    # Far more than at random.
    (row,) = figures(observed().model_copy(update={"ranked": [found]})).ranked
    assert row.first.k > 2 * row.at_random.k
    assert row.p_holm is not None
    assert row.p_holm < 0.05


def test_the_test_is_fishers_on_what_was_drawn_beside_the_first(coarse: Provoking) -> None:
    found = ranked(coarse, elsewhere())
    (row,) = figures(observed().model_copy(update={"ranked": [found]})).ranked
    failing, others = failing_ids(found), set(found.at_random) - set(found.first)
    k, m = len(failing & set(found.first)), len(failing & others)
    table = [[k, len(found.first) - k], [m, len(others) - m]]
    assert row.p_value == pytest.approx(stats.fisher_exact(table, alternative="greater").pvalue)
    assert row.times == (k / row.at_random.k if row.at_random.k else None)


def test_with_many_failures_the_ranking_is_fitted_and_with_few_it_is_by_lead() -> None:
    coarse = network()
    # Where failing goes with a large lead, a fitted ranking must turn the order round.
    large = coarse.in_float > coarse.in_float.median()
    turned = replace(coarse, quantized=torch.where(large, -1.0, 1.0).double())
    found, pool = ranked(turned, elsewhere()), elsewhere()
    assert found.fitted == int(large.sum())
    leads = {one.id: one.float_lead for one in found.tried}
    drawn = np.median([leads[name] for name in found.at_random])
    assert np.median([leads[name] for name in found.first]) > drawn
    few = ranked(replace(coarse, quantized=coarse.in_float.abs()), pool)
    assert few.fitted == 0
    assert few.first == few.by_lead


def test_too_few_that_float_is_sure_of_are_refused(coarse: Provoking) -> None:
    with pytest.raises(
        InputError, match=r"--within data:elsewhere: float decides .* 40 are needed"
    ):
        ranked(replace(coarse, delta=1e3), elsewhere(60))


def test_without_a_set_around_the_examples_the_gate_is_open() -> None:
    found = observed()
    alone = found.model_copy(update={"searched": []})
    assert judged(figures(alone).provoked, 5.0) == "inconclusive"
    assert "not those that were asked for" in next(problems(alone))


def test_damage_is_told(coarse: Provoking) -> None:
    right = ranked(coarse, elsewhere())
    asked = observed().settings.changed(within=("linf:8/255", "data:elsewhere"), delta=None)
    base = observed().model_copy(update={"settings": asked, "delta": coarse.delta / 2})

    def told(**changes: object) -> str:
        made = right.model_copy(update=changes)
        return "; ".join(problems(base.model_copy(update={"ranked": [made]})))

    assert "class that is none" not in told()
    nobody = right.tried[0].model_copy(update={"decided": 10**6, "quantized_lead": -1.0})
    assert "of a class that is none" in told(tried=[nobody, *right.tried[1:]])
    assert "not as many inputs each" in told(first=right.first[:-1])
    assert "other inputs than those" in told(tried=right.tried[:-1])
    assert "inputs were run" in told(led=3)
    wrong = right.tried[0].model_copy(update={"quantized_lead": None})
    assert "a lead without a decision" in told(tried=[wrong, *right.tried[1:]])
    turned = right.tried[0].model_copy(update={"prediction": right.tried[0].decided + 1})
    turned = turned.model_copy(update={"quantized_lead": 1.0})
    assert "whose sign" in told(tried=[turned, *right.tried[1:]])
