"""The YAML file of a training run: read, checked, every slip told in one line."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_type_hints

import yaml
from pydantic import Field, ValidationError, field_validator

from bitcliff.adapters.augmentation import AugmentationSettings
from bitcliff.adapters.black_box import BlackBoxSettings
from bitcliff.adapters.wording import nearest
from bitcliff.errors import InputError
from bitcliff.train.distill import DistillSettings
from bitcliff.train.hardware import HardwareSettings
from bitcliff.train.loop import LoopConfig
from bitcliff.train.optimiser import OptimiserConfig
from bitcliff.train.pair import Aim
from bitcliff.train.pair_settings import PairSettings

Seed = Annotated[int, Field(ge=0, lt=2**63, strict=True)]
Item = TypeVar("Item")


def _each_once(items: tuple[Item, ...]) -> tuple[Item, ...]:
    if len(set(items)) < len(items):
        raise ValueError("each must stand once")
    return items


class TrainConfig(LoopConfig, HardwareSettings):
    """What all stages share.

    Attributes:
        model, weights, data: as in `bitcliff assess`; weights None: a new network.
        num_classes, image_size: to build the model with. initial: "weights": those given, or the
            library's own, with a new classifier if `num_classes` is not theirs; "random": none.
        augmentation: what training sees of the pictures; see `AugmentationSettings`.
        test: data to test on, where `data` has no test split of its own.
        validation: share of the training split held out to choose the best epoch. split_seed: of
            which examples those are; a pair's must be its teacher's, or parity would be judged on
            what the teacher has seen.
        seeds: one run each.
        tensorboard: write the losses and what validation found for TensorBoard too.
        The rest: see the classes it is made of.
    """

    model: str
    data: str
    weights: Path | None = None
    num_classes: int | None = Field(default=None, ge=2)
    image_size: int | None = Field(default=None, ge=1)
    initial: Literal["weights", "random"] = "weights"
    augmentation: AugmentationSettings = AugmentationSettings()
    validation: float = Field(default=0.2, gt=0, lt=1)
    test: str | None = None
    split_seed: int = Field(default=0, ge=0)
    seeds: tuple[Seed, ...] = Field(default=(0,), min_length=1)
    tensorboard: bool = False

    @field_validator("seeds")
    @classmethod
    def _each_seed_once(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        return _each_once(seeds)


class TeacherConfig(TrainConfig):
    """`bitcliff train teacher`: on labels."""

    label_smoothing: float = Field(default=0.1, ge=0, lt=1)


class DistillConfig(TrainConfig, DistillSettings):
    """`bitcliff train distill`: on a black box's answers, without labels.

    Attributes:
        teacher: a model's name as in `bitcliff assess`, FILE.onnx, a KServe v2 model's address
            or call:package.module:function. teacher_settings: see `BlackBoxSettings`.
    """

    teacher: str
    teacher_settings: BlackBoxSettings = BlackBoxSettings()


class PairConfig(TrainConfig, PairSettings):
    """`bitcliff train pair`: a network and its policy, from a trained network.

    Attributes:
        aims: "robust", "brittle" or both. optimiser: AdamW unless given, since frozen statistics do
            not bear SGD at the paper's rate (LOG.md). The rest: see the classes it is made of.
    """

    weights: Path
    optimiser: OptimiserConfig = OptimiserConfig(kind="adamw", lr=0.001)
    aims: tuple[Aim, ...] = Field(default=("robust", "brittle"), min_length=1)

    @field_validator("aims")
    @classmethod
    def _each_aim_once(cls, aims: tuple[Aim, ...]) -> tuple[Aim, ...]:
        return _each_once(aims)


class _EachKeyOnce(yaml.SafeLoader):
    """YAML takes the last of two equal keys and says nothing."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = next((key for place, key in enumerate(keys) if key in keys[:place]), None)
        if twice is not None:
            raise yaml.YAMLError(f"the key {twice} stands twice")
        return super().construct_mapping(node, deep)


AnyConfig = TypeVar("AnyConfig", bound=TrainConfig)


def read_config(file: Path, kind: type[AnyConfig]) -> AnyConfig:
    """A training run's configuration.

    Raises:
        InputError: missing, not YAML, an unknown key or a value out of range; the text names it.
    """
    try:
        fields = yaml.load(file.read_text(), _EachKeyOnce)  # noqa: S506  (a safe loader)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise InputError(f"{file}: cannot be read: {reason}; give a YAML file") from error
    except yaml.YAMLError as error:
        raise InputError(f"{file}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(fields, dict):
        raise InputError(f"{file}: must hold `key: value` lines, such as `model: zoo:digits`")
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise InputError(f"{file}: {_first_slip(error, kind)}") from error


def _keys(kind: Any, parents: Iterable[str]) -> set[str]:
    """The keys known at a place in the file."""
    for key in parents:
        kind = get_type_hints(kind)[key]
    return get_type_hints(kind).keys() - {"model_config"}


def _first_slip(error: ValidationError, kind: type[TrainConfig]) -> str:
    # A slip in a key's name makes another key missing: the slip is what to tell.
    first: Any = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        *parents, word = first["loc"]
        return f"unknown key {where}{nearest(word, _keys(kind, parents))}"
    if first["type"] == "missing":
        return f"the key {where} is missing"
    return f"{where}: {first['msg']}, not {first['input']!r}"
