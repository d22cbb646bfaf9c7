"""Training runs: a configuration to trained networks and what they do on the test split."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from bitcliff.adapters import DataOptions, ModelOptions, load_examples, load_model
from bitcliff.budget import freedom_log2
from bitcliff.errors import InputError
from bitcliff.jobs.train_config import PairConfig, TeacherConfig, TrainConfig
from bitcliff.jobs.training_run import MetricsFile, fix_config, locked
from bitcliff.points import discover
from bitcliff.records import write_bytes_atomic, write_text_atomic
from bitcliff.stats import rate
from bitcliff.train.checkpoint import Checkpoints
from bitcliff.train.classify import ClassifyStage
from bitcliff.train.cross_table import cross_table, spread
from bitcliff.train.data import Split, hold_out
from bitcliff.train.loop import Hooks, Loop, Metrics, Stage
from bitcliff.train.measure import right_in_float
from bitcliff.train.order import seed_of
from bitcliff.train.pair import PairStage
from bitcliff.types.subject import Subject, examples_sha256


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
        train, test = _open(config, _subject(config, config.seeds[0]), out, resume)
        for seed in config.seeds:
            training, validation = _hold_out(config, train, seed)
            model, directory = _subject(config, seed).module, out / f"seed-{seed}"
            stage = ClassifyStage(model, training, validation, config.label_smoothing)
            _train(stage, config, seed, directory, listener)
            model.eval().requires_grad_(False)
            _save(model, directory / "network.safetensors")
            right = right_in_float(model, test)
            accuracy = rate(int(right.sum()), len(right)).model_dump()
            results.append({"seed": seed, "accuracy": accuracy})
        result = {"kind": "teacher", "results": results}
        write_text_atomic(out / "result.json", json.dumps(result, indent=2) + "\n")
    return result


def run_pair(
    config: PairConfig, out: Path, resume: bool, listener: TrainListener
) -> dict[str, Any]:
    """Train robust and brittle pairs from one network; for each its files, and `result.json`.

    Raises:
        Stopped: told to stop; saved. InputError, NumericError: in one line what is wrong.
    """
    results = []
    with locked(out):
        subject = _subject(config, config.seeds[0])
        train, test = _open(config, subject, out, resume)
        plan = discover(subject.module, train.inputs[:8])
        for seed in config.seeds:
            pairs = {}
            for aim in config.aims:
                splits = _hold_out(config, train, seed)
                stage = PairStage(aim, subject.module, plan, *splits, config, seed)
                directory = out / f"seed-{seed}" / aim
                _train(stage, config, seed, directory, listener)
                _save(stage.student, directory / "network.safetensors")
                write_bytes_atomic(directory / "policy.safetensors", stage.stored_policy())
                pairs[aim] = stage
            listener.on_note(f"seed {seed}: measuring on the test split")
            results.append({"seed": seed, **cross_table(subject.module, pairs, test, seed)})
        options, total = config.options, config.total(len(plan))
        result = {
            "kind": "pair",
            "points": len(plan),
            "total_bits": total,
            "policy_freedom_log2": freedom_log2(len(plan), list(options), total),
            "results": results,
            "spread": spread(results),
        }
        write_text_atomic(out / "result.json", json.dumps(result, indent=2) + "\n")
    return result


def _subject(config: TrainConfig, seed: int) -> Subject:
    options = ModelOptions(num_classes=config.num_classes)
    # A network without weights begins at random.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, "network"))
        return load_model(config.model, weights=config.weights, options=options)


def _open(config: TrainConfig, subject: Subject, out: Path, resume: bool) -> tuple[Split, Split]:
    """The training and the test split, once it is known that the run may use the folder."""
    train, test = (_split(config, subject, split) for split in ("train", "test"))
    fixed = {
        **config.model_dump(mode="json"),
        "weights_sha256": subject.weights_sha256 if config.weights else None,
        "data_sha256": [examples_sha256(part.inputs, part.labels) for part in (train, test)],
        "threads": torch.get_num_threads(),
    }
    fix_config(out, fixed, resume)
    return train, test


def _hold_out(config: TrainConfig, train: Split, seed: int) -> tuple[Split, Split]:
    training, validation = hold_out(train, config.validation, seed)
    if not len(training) or not len(validation):
        raise InputError(f"validation {config.validation}: leaves a split without examples")
    return training, validation


def _split(config: TrainConfig, subject: Subject, split: str) -> Split:
    examples = load_examples(config.data, subject=subject, options=DataOptions(split=split))
    if not isinstance(examples.inputs, Tensor) or examples.labels is None:
        raise InputError(f"data {config.data}: training needs pictures with labels")
    return Split(examples.inputs, examples.labels, examples.ids)


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
