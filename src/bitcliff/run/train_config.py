"""The YAML file of a training run: read, checked, every slip told in one line."""

from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import Field, field_validator

from bitcliff.adapters.augmentation import AugmentationSettings
from bitcliff.adapters.black_box import BlackBoxSettings
from bitcliff.run.yaml_file import read_yaml
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
        augmentation: what training sees of the images; see `AugmentationSettings`.
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


AnyConfig = TypeVar("AnyConfig", bound=TrainConfig)


def read_config(file: Path, kind: type[AnyConfig]) -> AnyConfig:
    """A training run's configuration.

    Raises:
        InputError: missing, not YAML, an unknown key or a value out of range; the text names it.
    """
    return read_yaml(file, kind)
