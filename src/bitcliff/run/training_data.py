"""What a training run begins with: the network, and the splits of its data."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from bitcliff.adapters import DataOptions, ModelOptions, load_examples, load_model
from bitcliff.adapters.augmentation import make_view
from bitcliff.adapters.onnx.subject import is_onnx
from bitcliff.errors import InputError
from bitcliff.run.train_config import PairConfig, TrainConfig
from bitcliff.run.training_run import fix_config
from bitcliff.train.data import Split, hold_out
from bitcliff.train.hardware import Hardware
from bitcliff.train.order import seed_of
from bitcliff.types.subject import Subject, examples_sha256


@dataclass(frozen=True)
class Splits:
    """What is trained on, seen through augmentation; what chooses the best epoch; and the test."""

    training: Split
    validation: Split
    test: Split


def load_network(config: TrainConfig, seed: int) -> Subject:
    """The network that training begins with; what is random in it follows from the seed."""
    if config.initial == "random" and config.weights is not None:
        raise InputError(f"weights {config.weights}: initial: random takes none; leave one out")
    if is_onnx(config.model):
        raise InputError(f"model {config.model}: an ONNX file can be assessed, but not trained")
    options = ModelOptions(
        num_classes=config.num_classes, image_size=config.image_size, initial=_initial(config)
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, "network"))
        return load_model(config.model, weights=config.weights, options=options)


def _initial(config: TrainConfig) -> Literal["random", "head"] | None:
    if config.initial == "random":
        return "random"
    # A pair's network must be whole: a new classifier would be a teacher that knows nothing.
    return None if isinstance(config, PairConfig) else "head"


def open_splits(config: TrainConfig, subject: Subject) -> Splits:
    """The data in its parts.

    Raises:
        InputError: there is no test data apart from the training data, or a part is empty.
    """
    train = _split(config.data, subject, "train")
    test = _split(config.test or config.data, subject, "test")
    if torch.equal(train.inputs, test.inputs):
        raise InputError(
            f"data {config.data}: has no test split of its own, so the test would be what was "
            "trained on; name other data as `test:`"
        )
    training, validation = hold_out(train, config.validation, config.split_seed)
    if not len(training) or not len(validation):
        raise InputError(f"validation {config.validation}: leaves a split without examples")
    view = make_view(config.augmentation, subject.preprocessing)
    return Splits(training.seen_as(view), validation, test)


def claim(
    config: TrainConfig,
    subject: Subject,
    splits: Splits,
    out: Path,
    resume: bool,
    hardware: Hardware,
    **fixed: Any,
) -> None:
    """See that the run may use the folder, once all that it was given is known to do.

    Args:
        hardware: only the first process looks at the folder.
        fixed: what else a resumed run must find unchanged.
    """
    if not hardware.first:
        return
    parts = (splits.training, splits.validation, splits.test)
    fix_config(
        out,
        {
            **config.model_dump(mode="json"),
            "weights_sha256": subject.weights_sha256 if config.weights else None,
            "data_sha256": [examples_sha256(part.inputs, part.labels) for part in parts],
            "threads": torch.get_num_threads(),
            "runs_on": hardware.device.type,
            **fixed,
        },
        resume,
    )


def _split(data: str, subject: Subject, split: str) -> Split:
    examples = load_examples(data, subject=subject, options=DataOptions(split=split))
    if not isinstance(examples.inputs, Tensor) or examples.labels is None:
        raise InputError(f"data {data}: training needs one array of examples with labels")
    return Split(examples.inputs, examples.labels, examples.ids)
