from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from bitcliff.audit import Audit
from bitcliff.audit.compose import subject_info
from bitcliff.audit.from_python import own_examples, own_subject
from bitcliff.points import discover
from bitcliff.points.plan import Missed
from bitcliff.record import Record
from bitcliff.record.figures import coverage
from bitcliff.types.subject import Examples
from tests.contract.subjects import EFFORT
from tests.small_networks import chain

X = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))


def test_coverage_is_complete_until_something_was_missed_or_strayed() -> None:
    subject, examples = own_subject(chain(0)), own_examples([X])
    plan = discover(subject.module, X)
    whole = coverage(subject_info(subject, examples, plan, (), 3))
    assert (whole.complete, whole.quantized, whole.left_out) == (True, 5, 1)
    # The stem's 4 * 6 multiply-adds are left out of 4 * 6 + 4 * 6 * 6 + 6 * 3.
    assert whole.macs_share == pytest.approx(162 / 186)
    strayed = subject_info(subject, examples, plan, {"side.branch"}, 3)
    assert not coverage(strayed).complete
    assert [u.name for u in strayed.uncovered] == ["side.branch"]
    plan = replace(plan, missed=(Missed("rnn", "lstm", "a loop"),))
    missed = subject_info(subject, examples, plan, (), 3)
    assert [(u.name, u.kind, u.reason) for u in missed.uncovered] == [("rnn", "lstm", "a loop")]


def test_class_names_must_be_as_many_as_the_outputs() -> None:
    subject, examples = own_subject(chain(0)), own_examples([X])
    plan = discover(subject.module, X)

    def names(
        of_model: tuple[str, ...] | None, of_data: tuple[str, ...] | None
    ) -> list[str] | None:
        one = replace(subject, class_names=of_model)
        two = replace(examples, class_names=of_data)
        return subject_info(one, two, plan, (), 3).class_names

    three, data = ("a", "b", "c"), ("x", "y", "z")
    assert names(three, data) == list(three)
    assert names(None, data) == list(data)
    assert names(("a", "b"), data) == list(data)
    assert names(("a", "b"), None) is None
    assert names(None, None) is None


def test_pictures_are_kept_for_those_at_risk_alone(record: Record) -> None:
    shown = [row.id for row in record.examples if row.thumbnail is not None]
    assert set(shown) == set(record.at_risk[:24])
    for row in record.examples:
        if row.thumbnail is not None:
            place = int(row.id.removeprefix("digit-")) - 1400
            assert row.thumbnail.endswith(f"{place:04d}")


def test_the_record_says_what_was_measured_and_how(record: Record, held_out: Examples) -> None:
    subject, settings, provenance = record.subject, record.settings, record.provenance
    assert (subject.model, subject.data) == ("DigitsMLP", "held-out digits")
    assert (subject.n_examples, subject.n_available, subject.n_classes) == (40, 397, 10)
    assert subject.class_names == list(map(str, range(10)))
    assert [point.quantized for point in subject.points] == [False] + [True] * 6
    assert (settings.bits, settings.budgets, settings.margin) == (
        (2, 3, 4, 5),
        (2.5, 3.0),
        "label",
    )
    assert provenance.command == "made by the tests"
    assert provenance.data_sha256 == held_out.sha256
    assert torch.__version__.startswith(provenance.packages["torch"])
    assert provenance.started <= provenance.finished
    assert provenance.runs_user_code


class Branching(nn.Module):
    """Takes a side branch that discovery, which sees the first example and the last, does not."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.side = chain(0), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        out = self.net(x)
        if bool((x[:, 0] > 90).any()):
            out = out + self.side(x)
        return out  # type: ignore[no-any-return]


def test_a_call_met_only_later_makes_the_run_incomplete() -> None:
    x = X.clone()
    x[4, 0] = 100
    settings = EFFORT.changed(bits=(3, 4), budgets=(3.5,), uniform=(4,))
    record = Audit(Branching().eval(), [x], settings=settings).assess()
    assert not record.coverage.complete
    assert [u.name for u in record.subject.uncovered] == ["side"]
    plain = Audit(Branching().eval(), [X], settings=settings).assess()
    assert plain.coverage.complete
