from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from bitcliff.adapters import load_examples, load_model
from bitcliff.audit import Audit
from bitcliff.questions.context import Context, Side
from bitcliff.questions.indicators.observe import (
    architecture,
    float_network,
    indicator_values,
    observe_indicators,
    read_reference,
)
from bitcliff.questions.indicators.record import IndicatorsObserved
from bitcliff.questions.indicators.statistics import ABOUT
from bitcliff.record import Record
from bitcliff.types.settings import AssessSettings
from bitcliff.types.subject import Examples
from bitcliff.zoo.resnet import digits
from tests.contract.subjects import Tokens
from tests.small_networks import Overflowing, chain

X = torch.randn(30, 4, generator=torch.Generator().manual_seed(0))
SETTINGS = AssessSettings(bits=(2, 3, 4, 5), budgets=(3.0,))


def context_of(record: Record, audit: Audit) -> Context:
    """Of indicators, only the test side matters; the record is another network's."""
    return Context(record, (), Side("test", audit.prepared, {}))


def test_the_reference_that_ships_is_whole() -> None:
    reference = read_reference()
    networks = reference.networks
    kinds = [one.made_to_be for one in networks]
    assert len(networks) >= 12
    assert min(kinds.count(kind) for kind in ("plain", "robust", "brittle")) >= 4
    assert len({one.sha256 for one in networks}) == len(networks)
    assert reference.architecture == architecture(digits())
    base = {one.name.split("-")[1]: one for one in networks if one.made_to_be == "plain"}
    for one in networks:
        assert one.values.keys() == ABOUT.keys()
        lost = 0 if one.own_right is None else one.float_right - one.own_right
        assert one.brittle == (lost / one.n >= 0.2)
        gap = base[one.name.split("-")[1]].float_right - one.float_right
        assert one.parity == (100 * gap / one.n <= 2)


@pytest.fixture(scope="module")
def shipped(record: Record) -> dict[str, IndicatorsObserved]:
    found = {}
    for name in ("base-digits", "robust-digits", "brittle-digits"):
        subject = load_model(name)
        audit = Audit(subject, load_examples("digits", subject=subject, limit=200, seed=0))
        found[name] = observe_indicators(context_of(record, audit))
    return found


def test_the_shipped_brittle_network_shows_in_float(shipped: dict[str, IndicatorsObserved]) -> None:
    values = [{key: one.value for key, one in found.values.items()} for found in shipped.values()]
    for key in ("weight_sharpness", "activation_sensitivity"):
        base, robust, brittle = (found[key] for found in values)
        assert base is not None
        assert robust is not None
        assert brittle is not None
        assert brittle > 5 * max(base, robust)
    assert {found.same_family for found in shipped.values()} == {True}
    assert {found.n for found in shipped.values()} == {200}


def test_values_repeat(shipped: dict[str, IndicatorsObserved]) -> None:
    subject = load_model("base-digits")
    audit = Audit(subject, load_examples("digits", subject=subject, limit=200, seed=0))
    again = indicator_values(float_network(Side("test", audit.prepared, {})))
    assert again == {key: one.value for key, one in shipped["base-digits"].values.items()}


def test_another_network_is_not_of_the_family(
    record: Record, mlp: nn.Module, held_out: Examples
) -> None:
    told: list[tuple[str, int, int]] = []
    context = context_of(record, Audit(mlp, held_out, settings=SETTINGS))
    found = observe_indicators(replace(context, tell=lambda *step: told.append(step)))
    assert not found.same_family
    assert found.same_network is None
    assert found.n == 40
    assert all(one.value is not None for one in found.values.values())
    assert told[-1][1] == told[-1][2] == len(told)


def values_of(record: Record, audit: Audit) -> dict[str, tuple[float | None, str]]:
    found = observe_indicators(context_of(record, audit))
    return {key: (one.value, one.reason) for key, one in found.values.items()}


def test_without_labels_all_but_one_is_measured(record: Record) -> None:
    found = values_of(record, Audit(chain(), [X], settings=SETTINGS))
    missing = {key: reason for key, (value, reason) in found.items() if value is None}
    assert missing == {"input_noise_gap": "it needs labels, and inputs that are numbers"}


def test_tokens_have_no_gradient_and_no_noise(record: Record) -> None:
    words = torch.randint(0, 11, (12, 5), generator=torch.Generator().manual_seed(4))
    batch: dict[str, Tensor] = {
        "tokens": words,
        "mask": torch.ones(12, 5, dtype=torch.bool),
        "labels": torch.arange(12) % 3,
    }
    found = values_of(record, Audit(Tokens().eval(), [batch], settings=SETTINGS))
    missing = {key for key, (value, _) in found.items() if value is None}
    assert missing == {"input_noise_gap", "local_lipschitz"}


def test_examples_that_fail_in_float_are_left_out(record: Record) -> None:
    x = torch.rand(24, 3, generator=torch.Generator().manual_seed(3))
    x[:4] = 2.0
    audit = Audit(Overflowing().eval(), [x], settings=SETTINGS)
    side = Side("test", audit.prepared, {})
    failed = len(x) - int(side.prepared.in_float.finite.sum())
    assert failed >= 4
    found = observe_indicators(Context(record, (), side))
    assert found.n == len(x) - failed
    assert any(one.value is not None for one in found.values.values())
