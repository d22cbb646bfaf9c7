"""One loop for all stages: what it learns, and that stopping and going on changes no bit."""

import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from bitcliff.errors import InputError, NumericError
from bitcliff.train.checkpoint import Checkpoints
from bitcliff.train.loop import Hooks, Loop, Metrics, Stopped, Validation
from bitcliff.train.optimiser import OptimiserConfig
from tests.train.line import Line, config


def weights(stage: Line) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in stage.network.state_dict().items()}


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def test_it_learns_and_ends_with_the_best_epoch(tmp_path: Path) -> None:
    stage, errors = Line(), []
    before = stage.validate().metrics["error"]
    hooks = Hooks(on_epoch=lambda _epoch, _step, found: errors.append(found["error"]))
    Loop(stage, config(epochs=30), Checkpoints(tmp_path)).run(hooks)
    assert len(errors) == 30
    assert stage.validate().metrics["error"] == min(errors) < before / 5


class Peaking(Line):
    """Is at its best after an epoch, by what validation says."""

    def __init__(self, best: int) -> None:
        super().__init__()
        self.best, self.epochs = best, 0

    def validate(self) -> Validation:
        self.epochs += 1
        return Validation((-float(abs(self.epochs - self.best)),), super().validate().metrics)


def test_a_run_that_gets_no_better_ends_early_with_what_it_would_have_given(tmp_path: Path) -> None:
    whole, notes = Peaking(4), list[str]()
    Loop(whole, config(epochs=12), Checkpoints(tmp_path / "whole")).run()
    early = Peaking(4)
    patient = config(epochs=12).model_copy(update={"stop_after": 3})
    loop = Loop(early, patient, Checkpoints(tmp_path / "early"))
    loop.run(Hooks(on_note=notes.append))
    assert (whole.epochs, early.epochs, loop.epoch) == (12, 7, 7)
    assert notes == ["ended after epoch 7 of 12: no better since epoch 4"]
    assert_same(weights(early), weights(whole))
    # Asked again, it knows that it has ended.
    again = Loop(Peaking(4), patient, Checkpoints(tmp_path / "early"))
    again.run(Hooks(on_step=lambda *_: pytest.fail("it trains")))
    assert_same(weights(again.stage), weights(whole))  # type: ignore[arg-type]


def test_a_run_that_is_stopped_remembers_how_long_it_got_no_better(tmp_path: Path) -> None:
    patient, steps = config(epochs=12).model_copy(update={"stop_after": 3}), list[int]()
    hooks = Hooks(
        on_step=lambda step, _steps, _parts: steps.append(step),
        should_stop=lambda: steps[-1] == 27,  # in the midst of epoch 5
    )
    with pytest.raises(Stopped):
        Loop(Peaking(2), patient, Checkpoints(tmp_path)).run(hooks)
    resumed = Peaking(2)
    resumed.epochs = 4
    loop = Loop(resumed, patient, Checkpoints(tmp_path))
    loop.run()
    assert (loop.epoch, loop.best_epoch) == (5, 2)


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
@pytest.mark.parametrize("stop_at", [1, 5, 6, 12, 23, 35])
def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path: Path, kind: str, stop_at: int) -> None:
    whole = Line()
    Loop(whole, config(kind), Checkpoints(tmp_path / "whole")).run()
    steps: list[int] = []
    hooks = Hooks(
        on_step=lambda step, _steps, _parts: steps.append(step),
        should_stop=lambda: steps[-1] == stop_at,
    )
    with pytest.raises(Stopped):
        Loop(Line(), config(kind), Checkpoints(tmp_path / "parts")).run(hooks)
    torch.manual_seed(99)  # whatever state the process is in
    resumed = Line()
    Loop(resumed, config(kind), Checkpoints(tmp_path / "parts")).run()
    assert_same(weights(resumed), weights(whole))


def test_a_killed_run_goes_on_from_its_last_checkpoint(tmp_path: Path) -> None:
    whole = Line()
    Loop(whole, config(), Checkpoints(tmp_path / "whole")).run()

    def kill(step: int, _steps: int, _parts: Metrics) -> None:
        if step == 11:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Loop(Line(), config(), Checkpoints(tmp_path / "parts")).run(Hooks(on_step=kill))
    resumed = Line()
    notes: list[str] = []
    hooks = Hooks(on_note=notes.append)
    Loop(resumed, config(), Checkpoints(tmp_path / "parts")).run(hooks)
    assert notes == ["going on after step 8 of 36"]
    assert_same(weights(resumed), weights(whole))


def test_without_a_whole_checkpoint_it_says_so_and_begins_again(tmp_path: Path) -> None:
    whole = Line()
    Loop(whole, config(), Checkpoints(tmp_path)).run()
    for file in tmp_path.glob("*.safetensors"):
        file.write_bytes(b"")
    again, notes = Line(), list[str]()
    Loop(again, config(), Checkpoints(tmp_path)).run(Hooks(on_note=notes.append))
    assert [note.partition(":")[0] for note in notes] == [
        "step-000000036 is damaged",
        "step-000000032 is damaged",
        "no whole checkpoint is left",
    ]
    assert_same(weights(again), weights(whole))


def test_the_callers_random_state_is_left_alone(tmp_path: Path) -> None:
    stage = Line()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    Loop(stage, config(epochs=1), Checkpoints(tmp_path)).run()
    assert torch.equal(torch.get_rng_state(), before)


def test_a_loss_that_is_no_number_stops_the_run_and_names_all(tmp_path: Path) -> None:
    stage = Line()
    stage.broken_at = 10
    with pytest.raises(NumericError) as caught:
        Loop(stage, config(), Checkpoints(tmp_path)).run()
    text = str(caught.value)
    assert "not a number at step 10; the last good checkpoint is of step 8" in text
    assert text.count("example-") == 8


def test_when_an_endpoint_goes_down_no_step_is_lost(tmp_path: Path) -> None:
    class Asking(Line):
        """Needs a network from elsewhere in each step."""

        left = 10

        def loss(self, index: Tensor) -> tuple[Tensor, Metrics]:
            if self.left == 0:
                raise InputError("the endpoint is down")
            self.left -= 1
            return super().loss(index)

    with pytest.raises(InputError, match="endpoint is down"):
        Loop(Asking(), config(), Checkpoints(tmp_path / "parts")).run()
    newest, _ = Checkpoints(tmp_path / "parts").newest()
    assert newest is not None
    assert newest.step == 10
    resumed, whole = Line(), Line()
    Loop(resumed, config(), Checkpoints(tmp_path / "parts")).run()
    Loop(whole, config(), Checkpoints(tmp_path / "whole")).run()
    assert_same(weights(resumed), weights(whole))


def test_what_is_refused_in_the_first_step_saves_nothing(tmp_path: Path) -> None:
    class Refusing(Line):
        """Finds in its first step that it cannot train so."""

        def loss(self, index: Tensor) -> tuple[Tensor, Metrics]:
            raise InputError("set answers: logits")

    with pytest.raises(InputError, match=r"^set answers: logits$"):
        Loop(Refusing(), config(), Checkpoints(tmp_path)).run()
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    Loop(Line(), config(epochs=1), Checkpoints(tmp_path)).run()
    with pytest.raises(InputError, match="checkpoint is of another network"):
        Loop(Line(width=9), config(), Checkpoints(tmp_path)).run()


def test_the_schedule_is_half_a_cosine() -> None:
    optimiser = OptimiserConfig(lr=0.1, final_lr=0.02)
    assert optimiser.lr_at(0, 100) == pytest.approx(0.1)
    assert optimiser.lr_at(50, 100) == pytest.approx(0.06)
    assert optimiser.lr_at(100, 100) == pytest.approx(0.02)


@pytest.mark.slow
def test_fifty_kills_at_random_moments_change_no_bit(tmp_path: Path) -> None:
    """SIGKILL, in the middle of whatever it was: steps, validation, writing a checkpoint."""
    whole = Line()
    Loop(whole, config(epochs=40), Checkpoints(tmp_path / "whole")).run()
    command = [sys.executable, "-m", "tests.train.killing", str(tmp_path), "50"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "50"
    finished = list(tmp_path.glob("final*.safetensors"))
    for file in finished:
        assert_same(safetensors.torch.load_file(file), weights(whole))
