"""Training runs: a configuration to trained networks and what they do on the test split."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor, nn

from bitcliff.adapters.black_box import load_black_box
from bitcliff.budget import freedom_log2
from bitcliff.points import discover
from bitcliff.record import write_bytes_atomic, write_text_atomic
from bitcliff.record.pairs import RESULT, pair_figures, spread
from bitcliff.run.hardware import find_hardware, start_processes
from bitcliff.run.tensorboard import Add, event_file, find_tensorboard
from bitcliff.run.train_config import DistillConfig, PairConfig, TeacherConfig, TrainConfig
from bitcliff.run.training_data import claim, load_network, open_splits
from bitcliff.run.training_run import MetricsFile, locked
from bitcliff.stats import rate
from bitcliff.train.checkpoint import Checkpoints
from bitcliff.train.classify import ClassifyStage
from bitcliff.train.cross_table import cross_outcomes
from bitcliff.train.distill import DistillStage, check_classes, predictions_of
from bitcliff.train.hardware import Hardware
from bitcliff.train.loop import Hooks, Loop, Metrics, Stage
from bitcliff.train.measure import predictions_in_float
from bitcliff.train.pair import PairStage


@dataclass(frozen=True)
class Run:
    """One training out of those of a command.

    Attributes:
        name: such as "pair/seed-0/robust". number, of: its place among them, from 1.
    """

    name: str
    number: int
    of: int


@dataclass(frozen=True)
class TrainListener:
    """Who hears of a run, and who may stop it.

    Attributes:
        on_note: a sentence. on_step: the run, step, steps in all, the loss's parts.
        should_stop: asked after each step. on_epoch: the run, what validation found.
    """

    on_note: Callable[[str], None]
    on_step: Callable[[Run, int, int, Metrics], None]
    should_stop: Callable[[], bool]
    on_epoch: Callable[[Run, Metrics], None] = lambda _run, _found: None


def run_teacher(
    config: TeacherConfig, out: Path, resume: bool, listener: TrainListener
) -> dict[str, Any]:
    """Train on labels; `seed-S/network.safetensors` for each seed, and `result.json`.

    Returns:
        What `result.json` holds. It is empty, and nothing is written or told, in all processes but
        the first where several train.

    Raises:
        Stopped: told to stop; saved. InputError, NumericError: in one line what is wrong.
    """
    results = []
    with _command(config, out, listener, len(config.seeds)) as command:
        first, hardware = load_network(config, config.seeds[0]), command.hardware
        splits = open_splits(config, first)
        claim(config, first, splits, out, resume, hardware)
        start_processes(config)
        for seed in config.seeds:
            subject, directory = load_network(config, seed), out / f"seed-{seed}"
            stage = ClassifyStage(
                subject.module,
                splits.training,
                splits.validation,
                config.label_smoothing,
                hardware,
            )
            if command.train(stage, seed, directory):
                _save(subject.module, directory / "network.safetensors")
                predictions = predictions_in_float(subject.module.eval(), splits.test.inputs)
                results.append(
                    {"seed": seed, "accuracy": _share(predictions == splits.test.labels)}
                )
        return command.finish({"kind": "teacher", "results": results})


def run_distill(
    config: DistillConfig, out: Path, resume: bool, listener: TrainListener
) -> dict[str, Any]:
    """Train on a black box's answers; files and result as `run_teacher`.

    Raises:
        Stopped: told to stop; saved. InputError, NumericError: in one line what is wrong.
    """
    results = []
    with _command(config, out, listener, len(config.seeds)) as command:
        hardware = command.hardware
        teacher = load_black_box(config.teacher, config.teacher_settings)
        first, known = load_network(config, config.seeds[0]), {"teacher_identity": teacher.identity}
        splits = open_splits(config, first)
        test = splits.test
        check_classes(teacher.ask, first.module, test.inputs[:2])
        claim(config, first, splits, out, resume, hardware, **known)
        start_processes(config)
        theirs = predictions_of(teacher.ask, test, hardware.device)
        for seed in config.seeds:
            subject, directory = load_network(config, seed), out / f"seed-{seed}"
            stage = DistillStage(
                subject.module, teacher.ask, splits.training, splits.validation, config, hardware
            )
            if command.train(stage, seed, directory):
                _save(subject.module, directory / "network.safetensors")
                predictions = predictions_in_float(subject.module.eval(), test.inputs)
                found = {"accuracy": predictions == test.labels, "agreement": predictions == theirs}
                shares = {name: _share(right) for name, right in found.items()}
                results.append({"seed": seed, **shares})
        accuracy = _share(theirs == test.labels)
        return command.finish({"kind": "distill", "teacher": accuracy, "results": results})


def run_pair(
    config: PairConfig, out: Path, resume: bool, listener: TrainListener
) -> dict[str, Any]:
    """Train robust and brittle pairs from one network; for each its files, and `result.json`.

    Returns:
        As `run_teacher`.

    Raises:
        Stopped: told to stop; saved. InputError, NumericError: in one line what is wrong.
    """
    results = []
    with _command(config, out, listener, len(config.seeds) * len(config.aims)) as command:
        subject = load_network(config, config.seeds[0])
        splits = open_splits(config, subject)
        plan = discover(subject.module, splits.training.inputs[:8])
        total = config.total(len(plan))
        claim(config, subject, splits, out, resume, command.hardware)
        subject.module.to(command.hardware.device)
        start_processes(config)
        for seed in config.seeds:
            pairs = {}
            for aim in config.aims:
                stage = PairStage(
                    aim,
                    subject.module,
                    plan,
                    splits.training,
                    splits.validation,
                    config,
                    seed,
                    command.hardware,
                )
                directory = out / f"seed-{seed}" / aim
                if command.train(stage, seed, directory):
                    _save(stage.student, directory / "network.safetensors")
                    write_bytes_atomic(directory / "policy.safetensors", stage.stored_policy())
                    pairs[aim] = stage
            if pairs:
                listener.on_note(f"seed {seed}: measuring on the test split")
                outcomes = cross_outcomes(subject.module, pairs, splits.test, seed)
                figures = pair_figures(outcomes, config.parity_gap)
                results.append({"seed": seed, **figures, "outcomes": outcomes.model_dump()})
        result = {
            "kind": "pair",
            "points": len(plan),
            "total_bits": total,
            "policy_freedom_log2": freedom_log2(len(plan), list(config.options), total),
            "results": results,
            "spread": spread(results),
        }
        return command.finish(result)


@dataclass
class _Command:
    """The trainings of one command, of which only the first process writes and tells.

    Attributes:
        epochs: how many each took, by its folder in `out`.
    """

    config: TrainConfig
    out: Path
    listener: TrainListener
    hardware: Hardware
    runs: int
    begun: int = 0
    epochs: dict[str, int] = field(default_factory=dict)

    def train(self, stage: Stage, seed: int, directory: Path) -> bool:
        """Train to the end. Returns whether this process keeps what comes of it."""
        self.begun += 1
        checkpoints = Checkpoints(directory / "checkpoints")
        loop = Loop(stage, self.config, checkpoints, seed, self.hardware)
        if not self.hardware.first:
            loop.run(Hooks(should_stop=self.listener.should_stop))
            return False
        run = Run("/".join(directory.parts[-2:]), self.begun, self.runs)
        with self._board(directory, checkpoints) as add:
            loop.run(self._hooks(run, MetricsFile(directory), add))
        self.epochs[directory.relative_to(self.out).as_posix()] = loop.epoch
        return True

    def _board(self, directory: Path, checkpoints: Checkpoints) -> AbstractContextManager[Add]:
        if not self.config.tensorboard:
            return nullcontext(_nowhere)
        newest, _ = checkpoints.newest()
        return event_file(directory, newest.step if newest else 0)

    def _hooks(self, run: Run, metrics: MetricsFile, add: Add) -> Hooks:
        listener = self.listener

        def on_step(step: int, steps: int, parts: Metrics) -> None:
            add("loss", parts, step)
            listener.on_step(run, step, steps, parts)

        def on_epoch(epoch: int, step: int, found: Metrics) -> None:
            metrics.add({"epoch": epoch, "step": step, **found})
            add("validation", found, step)
            listener.on_epoch(run, found)

        return Hooks(
            on_step,
            on_epoch,
            on_note=lambda line: listener.on_note(f"{run.name}: {line}"),
            should_stop=listener.should_stop,
        )

    def finish(self, result: dict[str, Any]) -> dict[str, Any]:
        """Write the result, and give it back."""
        if not self.hardware.first:
            return {}
        result = {**result, "epochs": self.epochs}
        write_text_atomic(self.out / RESULT, json.dumps(result, indent=2) + "\n")
        return result


@contextmanager
def _command(
    config: TrainConfig, out: Path, listener: TrainListener, runs: int
) -> Iterator[_Command]:
    """What a command begins with: all it needs is there, and the folder is its own."""
    hardware = find_hardware(config)
    if config.tensorboard:
        find_tensorboard()
    with locked(out) if hardware.first else nullcontext():
        yield _Command(config, out, listener, hardware, runs)


def _nowhere(_group: str, _numbers: Metrics, _step: int) -> None:
    """Where TensorBoard is not asked for."""


def _save(network: nn.Module, file: Path) -> None:
    tensors = {name: value.contiguous() for name, value in network.state_dict().items()}
    write_bytes_atomic(file, safetensors.torch.save(tensors))


def _share(right: Tensor) -> dict[str, Any]:
    return rate(int(right.sum()), len(right)).model_dump()
