"""A point that breaks a network is never called unharmed, and its cause is the planted one."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from bitcliff.audit import AssessSettings
from bitcliff.audit.compose import record_of_schedule
from bitcliff.audit.from_python import own_subject
from bitcliff.audit.prepare import prepare
from bitcliff.audit.schedule import Schedule
from bitcliff.questions.activations.observe import observe_activations
from bitcliff.questions.activations.page import activations_section
from bitcliff.questions.activations.record import (
    COLUMNS_BEFORE,
    Activations,
    ActivationsObserved,
    PointActivations,
)
from bitcliff.questions.context import Context, Side
from bitcliff.questions.kinds import KINDS
from bitcliff.questions.layers.observe import observe_layers
from bitcliff.questions.layers.statistics import inflection
from bitcliff.questions.sections import sections_of
from bitcliff.record import Explained, Record, record_of
from bitcliff.types.subject import Examples
from tests.questions.planted import Planted, examples

N = 60
SETTINGS = AssessSettings(budgets=(8.0,), uniform=(), rounds=0, exchanges=0, evaluations=0, draws=1)


class Rows(nn.Module):
    """Tokens (16, 8): four of a text, and twelve of padding that are `pad` times as large.

    The first layer takes them all; the text alone decides.
    """

    def __init__(self, pad: float = 60.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.pad = pad
        self.embed, self.mix, self.head = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(32, 4)
        for layer in (self.embed, self.mix):
            nn.init.eye_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, text: Tensor) -> Tensor:
        signs = torch.ones(12, 8).index_fill(1, torch.arange(0, 8, 2), -1.0)
        x = torch.cat([self.embed(text), (self.pad * signs).expand(len(text), 12, 8)], 1)
        return self.head(self.mix(x)[:, :4].flatten(1))  # type: ignore[no-any-return]


class Channels(nn.Module):
    """Images (8, 6, 6) of which three channels are of size 1 and decide, and five `large`."""

    def __init__(self, large: float = 60.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(8, 8, 1, bias=False)
        self.mix = nn.Conv2d(8, 8, 1, bias=False)
        self.head = nn.Linear(3 * 36, 4)
        size = torch.tensor([1.0] * 3 + [large] * 5)
        with torch.no_grad():
            self.stem.weight.copy_(torch.diag(size)[:, :, None, None])
            self.mix.weight.copy_(torch.eye(8)[:, :, None, None])

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.mix(self.stem(x))[:, :3].flatten(1))  # type: ignore[no-any-return]


class OneOfMany(nn.Module):
    """The sign of one value in 64, all of usual size, decides; it is a twentieth of them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.mix = nn.Linear(64, 64, bias=False), nn.Linear(64, 2, bias=False)
        with torch.no_grad():
            self.stem.weight.copy_(torch.eye(64))
            self.mix.weight.zero_()
            self.mix.weight[0, 0], self.mix.weight[1, 0] = -1.0, 1.001

    def forward(self, x: Tensor) -> Tensor:
        return self.mix(self.stem(x))  # type: ignore[no-any-return]


def drawn(*shape: int) -> Tensor:
    return torch.randn(N, *shape, generator=torch.Generator().manual_seed(3))


def one_of_many() -> Tensor:
    """No value is far out, so that the grid is as fine as it can be."""
    x = torch.linspace(-1, 1, 63).expand(N, 63)
    sign = torch.ones(N).index_fill(0, torch.arange(0, N, 2), -1.0)
    return torch.cat([0.05 * sign[:, None], x], 1)


@dataclass(frozen=True)
class Case:
    """A network that breaks at its point `place`, for a known cause, rounded to `bits`.

    `before`: what was said when all values were weighed together.
    """

    network: Callable[[], nn.Module]
    inputs: Callable[[], Tensor]
    bits: int
    place: int
    cause: str
    before: str = "unharmed"


CASES = {
    "padding": Case(
        Rows, lambda: drawn(4, 8), 6, 0, "rows far larger than the rest, for example padding"
    ),
    "channels": Case(Channels, lambda: drawn(8, 6, 6), 6, 0, "channels of unequal scale"),
    "one value": Case(
        OneOfMany, one_of_many, 4, 0, "little is lost here, but decisions hang on it"
    ),
    "outlier": Case(
        lambda: Planted(4, [2]), lambda: tensor(examples(N)), 3, 2, "outlier", "outlier"
    ),
}


def tensor(data: Examples) -> Tensor:
    assert isinstance(data.inputs, Tensor)
    return data.inputs


@functools.cache
def explained(name: str) -> Record:
    """The case's record, asked about its layers and its values."""
    case = CASES[name]
    inputs = case.inputs()
    data = Examples(name, inputs, None, tuple(map(str, range(N))), N, "0" * 64)
    prepared = prepare(own_subject(case.network().eval()), data, SETTINGS)
    schedule = Schedule(prepared)
    schedule.run()
    record = record_of_schedule(schedule, "2026-01-01T00:00:00+00:00", "made by the tests")
    policy = "random-8"
    bits = torch.full((N, len(prepared.points)), case.bits)
    context = Context(record, (policy,), Side("test", prepared, {policy: bits}))
    asked = record.observed.model_copy(
        update={"explained": Explained(policies=[policy], n_train=0)}
    )
    answers = {"layers": observe_layers(context), "activations": observe_activations(context)}
    return record_of(asked, answers, KINDS)


def at_the_place(record: Record, name: str) -> PointActivations:
    found = record.answer("activations", Activations)
    assert found is not None
    return found.policies[0].points[CASES[name].place]


@pytest.mark.parametrize("name", CASES)
def test_the_point_that_breaks_has_the_planted_cause(name: str) -> None:
    record, case = explained(name), CASES[name]
    assert inflection(record, "random-8") == [case.place]
    assert at_the_place(record, name).cause == case.cause
    others = record.answer("activations", Activations)
    assert others is not None
    rest = [point for place, point in enumerate(others.policies[0].points) if place != case.place]
    assert not {point.cause for point in rest} & {one.cause for one in CASES.values()}


@pytest.mark.parametrize("name", CASES)
def test_a_record_without_channels_and_rows_is_read_as_it_was(name: str) -> None:
    """And where it was not asked about its layers, it says what it said."""
    record = explained(name)
    found = record.observed_by("activations", ActivationsObserved)
    assert found is not None
    (policy,) = found.policies
    few = [
        point.model_copy(update={"columns": point.columns[: len(COLUMNS_BEFORE)]})
        for point in policy.points
    ]
    older = found.model_copy(update={"policies": [policy.model_copy(update={"points": few})]})
    alone = record_of(record.observed, {"activations": older}, KINDS)
    assert at_the_place(alone, name).cause == CASES[name].before
    assert not list(KINDS["activations"].problems(alone, older))
    layers = record.answers["layers"].observed
    both = record_of(record.observed, {"layers": layers, "activations": older}, KINDS)
    assert at_the_place(both, name).cause != "unharmed"


@pytest.mark.parametrize("name", CASES)
def test_the_page_names_the_point_and_why(name: str) -> None:
    record, case = explained(name), CASES[name]
    found = record.answer("activations", Activations)
    assert found is not None
    finding = activations_section(record, found).finding
    assert found.policies[0].points[case.place].name in finding
    words = {
        "padding": "for example padding, take the range",
        "channels": "channels of unequal scale share one range",
        "one value": "decisions hang on what is lost at",
        "outlier": "an outlier takes the range",
    }
    assert words[name] in finding
    assert len(sections_of(record).explained) == 2


def test_without_a_break_nothing_is_said_to_decide() -> None:
    record = explained("one value")
    alone = record_of(
        record.observed, {"activations": record.answers["activations"].observed}, KINDS
    )
    assert at_the_place(alone, "one value").cause == "unharmed"
