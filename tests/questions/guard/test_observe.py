"""What a measurement observes of a real network, and the rule that is handed on."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from bitcliff.audit import AssessSettings
from bitcliff.audit.prepare import Prepared, prepare
from bitcliff.errors import InputError
from bitcliff.points import Attachment
from bitcliff.points.attach import rounding_to
from bitcliff.policy.guard import score_signals
from bitcliff.questions.guard.observe import Deployed, guard_of, observe_guard, shared_out
from bitcliff.questions.guard.record import CALIBRATE, FIT, REPORT
from bitcliff.questions.guard.statistics import GUARDS, flagged_by
from bitcliff.questions.guard.store import GUARD
from bitcliff.tasks.against_float import AgainstFloat
from bitcliff.tasks.protocol import judge_as
from bitcliff.tasks.values import Values
from bitcliff.types.guard import GuardSettings
from bitcliff.types.subject import Examples, Subject, tensors_sha256

ASKED = GuardSettings(bits=3, alpha=0.2, delta=0.2, signals="scores")


def prepared(mlp: nn.Module, held_out: Examples) -> Prepared:
    subject = Subject("mlp", mlp, None, None, tensors_sha256(mlp.state_dict()))
    settings = AssessSettings(bits=(3,), budgets=(3,), uniform=(), include_stem=True)
    return prepare(subject, held_out, settings)


def test_predictions_and_flags_are_those_of_the_network_run_by_hand(
    mlp: nn.Module, held_out: Examples
) -> None:
    ready = prepared(mlp, held_out)
    bits = torch.full((len(ready.points),), 3)
    told = list[tuple[int, int]]()
    observed = observe_guard(
        ready,
        Deployed("3 bits", "...", True, bits),
        ASKED,
        "2026-01-01T00:00:00Z",
        "bitcliff ...",
        lambda done, whole: told.append((done, whole)),
    )
    plain = Attachment(mlp, ready.points, "onnx", 16)
    inputs = held_out.inputs
    assert isinstance(inputs, torch.Tensor)
    with torch.no_grad():
        scores = plain.run(inputs, rounding_to(bits.expand(40, -1)))
        in_float = mlp(inputs).argmax(1)
    assert observed.prediction.tolist() == scores.argmax(1).tolist()
    assert observed.float_prediction.tolist() == in_float.tolist()
    assert (observed.prediction != observed.float_prediction).any()
    assert observed.settings.against == "label"
    assert told[-1] == (1, 1)
    record = GUARD.of(observed)
    for name in list(GUARDS)[:2]:
        guard = guard_of(record, name)
        flags = guard.flagged(scores, score_signals(scores))
        assert flags.tolist() == flagged_by(observed, name).tolist()
    assert all(second > 0 for second in observed.seconds.model_dump().values())


def test_examples_are_shared_out_by_the_seed_alone() -> None:
    part = shared_out(1001, ASKED)
    assert [int((part == one).sum()) for one in (FIT, CALIBRATE, REPORT)] == [250, 400, 351]
    assert torch.equal(part, shared_out(1001, ASKED))
    assert not torch.equal(part, shared_out(1001, ASKED.changed(seed=1)))


@pytest.mark.parametrize("calibrate", [0.4, 0.3, 0.07])
def test_too_few_are_refused_with_how_many_would_do(calibrate: float) -> None:
    asked = ASKED.changed(alpha=0.02, delta=0.1, calibrate=calibrate)
    with pytest.raises(InputError, match="114 examples are needed to calibrate on") as told:
        shared_out(150, asked)
    enough = int(str(told.value).partition("give ")[2].split()[0])
    assert int((shared_out(enough, asked) == CALIBRATE).sum()) >= 114
    with pytest.raises(InputError, match="114 examples are needed"):
        shared_out(enough - 2, asked)
    with pytest.raises(InputError, match=r"--fit 0\.01: of 50 examples none are left"):
        shared_out(50, ASKED.changed(fit=0.01))


def test_labels_that_are_not_there_and_decisions_against_float_are_refused(
    mlp: nn.Module, held_out: Examples
) -> None:
    bare = replace(prepared(mlp, held_out), examples=replace(held_out, labels=None))
    deployed = Deployed("3 bits", "...", True, torch.full((7,), 3))
    with pytest.raises(InputError, match="--against label needs labels"):
        observe_guard(bare, deployed, ASKED.changed(against="label"), "", "")
    other = nn.Sequential(mlp)
    judge_as(other, AgainstFloat(Values(0.1), lambda inputs: mlp(inputs)))
    judged = replace(bare, subject=replace(bare.subject, module=other))
    with pytest.raises(InputError, match="no guard knows where a network is deployed"):
        observe_guard(judged, deployed, ASKED, "", "")
