"""Training runs: a configuration to trained networks and what they do on the test split."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor, nn

from bitcliff.adapters.black_box import load_black_box
from bitcliff.budget import freedom_log2
from bitcliff.jobs.train_config import DistillConfig, PairConfig, TeacherConfig, TrainConfig
from bitcliff.jobs.training_data import held_out, load_network, open_splits
from bitcliff.jobs.training_run import MetricsFile, locked
from bitcliff.points import discover
from bitcliff.records import write_bytes_atomic, write_text_atomic
from bitcliff.stats import rate
from bitcliff.train.checkpoint import Checkpoints
from bitcliff.train.classify import ClassifyStage
from bitcliff.train.cross_table import cross_table, spread
from bitcliff.train.distill import DistillStage, answers_of
from bitcliff.train.loop import Hooks, Loop, Metrics, Stage
from bitcliff.train.measure import answers_in_float
from bitcliff.train.pair import PairStage


@dataclass(frozen=True)
class TrainListener:
    """Who hears of a run, and who may stop it.

    Attributes:
        on_note: a sentence. on_step: the run's name, step, steps in all, the loss's parts.
        should_stop: asked after each step.
    """

    on_note: Callable[[str], None]
    on_step: Callable[[str, int, int, Metrics], None]
    should_stop: Callable[[], bool]


def run_teacher(
    config: TeacherConfig, out: Path, resume: bool, listener: TrainListener
) -> dict[str, Any]:
    """Train on labels; `seed-S/network.safetensors` for each seed, and `result.json`.

    Raises:
        Stopped: told to stop; saved. InputError, NumericError: in one line what is wrong.
    """
    results = []
    with locked(out):
        train, test = open_splits(config, load_network(config, config.seeds[0]), out, resume)
        for seed in config.seeds:
            subject, directory = load_network(config, seed), out / f"seed-{seed}"
            splits = held_out(config, subject, train, seed)
            stage = ClassifyStage(subject.module, *splits, config.label_smoothing)
            _train(stage, config, seed, directory, listener)
            _save(subject.module, directory / "network.safetensors")
            answers = answers_in_float(subject.module.eval(), test.inputs)
            results.append({"seed": seed, "accuracy": _share(answers == test.labels)})
        return _finish(out, {"kind": "teacher", "results": results})


def run_distill(
    config: DistillConfig, out: Path, resume: bool, listener: TrainListener
) -> dict[str, Any]:
    """Train on a black box's answers; files as `run_teacher`.

    Raises:
        Stopped: told to stop; saved. InputError, NumericError: in one line what is wrong.
    """
    results = []
    with locked(out):
        teacher = load_black_box(config.teacher, config.teacher_settings)
        subject = load_network(config, config.seeds[0])
        train, test = open_splits(config, subject, out, resume, teacher_identity=teacher.identity)
        theirs = answers_of(teacher.ask, test)
        for seed in config.seeds:
            subject, directory = load_network(config, seed), out / f"seed-{seed}"
            splits = held_out(config, subject, train, seed)
            stage = DistillStage(subject.module, teacher.ask, *splits, config)
            _train(stage, config, seed, directory, listener)
            _save(subject.module, directory / "network.safetensors")
            answers = answers_in_float(subject.module.eval(), test.inputs)
            results.append(
                {
                    "seed": seed,
                    "accuracy": _share(answers == test.labels),
                    "agreement": _share(answers == theirs),
                }
            )
        accuracy = _share(theirs == test.labels)
        return _finish(out, {"kind": "distill", "teacher": accuracy, "results": results})


def run_pair(
    config: PairConfig, out: Path, resume: bool, listener: TrainListener
) -> dict[str, Any]:
    """Train robust and brittle pairs from one network; for each its files, and `result.json`.

    Raises:
        Stopped: told to stop; saved. InputError, NumericError: in one line what is wrong.
    """
    results = []
    with locked(out):
        subject = load_network(config, config.seeds[0])
        train, test = open_splits(config, subject, out, resume)
        plan = discover(subject.module, train.inputs[:8])
        total = config.total(len(plan))
        for seed in config.seeds:
            pairs = {}
            for aim in config.aims:
                splits = held_out(config, subject, train, seed)
                stage = PairStage(aim, subject.module, plan, *splits, config, seed)
                directory = out / f"seed-{seed}" / aim
                _train(stage, config, seed, directory, listener)
                _save(stage.student, directory / "network.safetensors")
                write_bytes_atomic(directory / "policy.safetensors", stage.stored_policy())
                pairs[aim] = stage
            listener.on_note(f"seed {seed}: measuring on the test split")
            results.append({"seed": seed, **cross_table(subject.module, pairs, test, seed)})
        result = {
            "kind": "pair",
            "points": len(plan),
            "total_bits": total,
            "policy_freedom_log2": freedom_log2(len(plan), list(config.options), total),
            "results": results,
            "spread": spread(results),
        }
        return _finish(out, result)


def _train(
    stage: Stage, config: TrainConfig, seed: int, directory: Path, listener: TrainListener
) -> None:
    name, metrics = "/".join(directory.parts[-2:]), MetricsFile(directory)
    checkpoints = Checkpoints(directory / "checkpoints")
    newest, _ = checkpoints.newest()
    metrics.cut_after(newest.step if newest else 0)
    hooks = Hooks(
        on_step=lambda step, steps, parts: listener.on_step(name, step, steps, parts),
        on_epoch=lambda epoch, step, found: metrics.add({"epoch": epoch, "step": step, **found}),
        on_note=lambda line: listener.on_note(f"{name}: {line}"),
        should_stop=listener.should_stop,
    )
    Loop(stage, config, checkpoints, seed).run(hooks)


def _save(network: nn.Module, file: Path) -> None:
    tensors = {name: value.contiguous() for name, value in network.state_dict().items()}
    write_bytes_atomic(file, safetensors.torch.save(tensors))


def _share(right: Tensor) -> dict[str, Any]:
    return rate(int(right.sum()), len(right)).model_dump()


def _finish(out: Path, result: dict[str, Any]) -> dict[str, Any]:
    write_text_atomic(out / "result.json", json.dumps(result, indent=2) + "\n")
    return result
