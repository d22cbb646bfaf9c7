"""What a training run begins with: the network, and the splits of its data."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bitcliff.adapters import DataOptions, ModelOptions, load_examples, load_model
from bitcliff.adapters.augmentation import make_view
from bitcliff.errors import InputError
from bitcliff.jobs.train_config import TrainConfig
from bitcliff.jobs.training_run import fix_config
from bitcliff.train.data import Split, hold_out
from bitcliff.train.hardware import ALONE, Hardware
from bitcliff.train.order import seed_of
from bitcliff.types.subject import Subject, examples_sha256


def load_network(config: TrainConfig, seed: int) -> Subject:
    """The network that training begins with; what is random in it follows from the seed."""
    options = ModelOptions(
        num_classes=config.num_classes,
        image_size=config.image_size,
        initial="head" if config.initial == "weights" else "random",
    )
    if config.initial == "random" and config.weights is not None:
        raise InputError(f"weights {config.weights}: initial: random takes none; leave one out")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, "network"))
        return load_model(config.model, weights=config.weights, options=options)


def open_splits(
    config: TrainConfig,
    subject: Subject,
    out: Path,
    resume: bool,
    hardware: Hardware = ALONE,
    **fixed: Any,
) -> tuple[Split, Split]:
    """The training and the test split, once it is known that the run may use the folder.

    Args:
        hardware: only the first process looks at the folder.
        fixed: what else a resumed run must find unchanged.
    """
    train, test = (_split(config, subject, split) for split in ("train", "test"))
    if not hardware.first:
        return train, test
    fix_config(
        out,
        {
            **config.model_dump(mode="json"),
            "weights_sha256": subject.weights_sha256 if config.weights else None,
            "data_sha256": [examples_sha256(part.inputs, part.labels) for part in (train, test)],
            "threads": torch.get_num_threads(),
            "runs_on": hardware.device.type,
            **fixed,
        },
        resume,
    )
    return train, test


def held_out(config: TrainConfig, subject: Subject, train: Split, seed: int) -> tuple[Split, Split]:
    """What is trained on, seen through augmentation, and what chooses the best epoch."""
    training, validation = hold_out(train, config.validation, seed)
    if not len(training) or not len(validation):
        raise InputError(f"validation {config.validation}: leaves a split without examples")
    return training.seen_as(make_view(config.augmentation, subject.preprocessing)), validation


def _split(config: TrainConfig, subject: Subject, split: str) -> Split:
    examples = load_examples(config.data, subject=subject, options=DataOptions(split=split))
    if not isinstance(examples.inputs, Tensor) or examples.labels is None:
        raise InputError(f"data {config.data}: training needs pictures with labels")
    return Split(examples.inputs, examples.labels, examples.ids)
