"""The YAML file of a training run: read, checked, every slip told in one line."""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bitcliff.adapters.wording import nearest
from bitcliff.errors import InputError

BIT_OPTIONS = {"I": (3, 10), "II": (4, 10), "III": (5, 10)}
# Mean bits a point with options I; II and III get one more (FACTS: budgets A, B, C).
BUDGETS = {"A": 4.0, "B": 5.5, "C": 7.0}


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Optimiser(_Config):
    """Half-period cosine from `lr` to `final_lr`."""

    kind: Literal["sgd", "adamw"] = "sgd"
    lr: Annotated[float, Field(gt=0)] = 0.1
    final_lr: Annotated[float, Field(ge=0)] = 0.0
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4


class TrainConfig(_Config):
    """What all stages share.

    Attributes:
        model, weights, data: as in `bitcliff assess`; weights None: a new network.
        validation: share of the training split held out to choose the best epoch.
        seeds: one run each.
    """

    model: str
    data: str
    weights: Path | None = None
    num_classes: int | None = None
    validation: float = Field(0.2, gt=0, lt=1)
    epochs: int = Field(100, ge=1)
    batch_size: int = Field(64, ge=1)
    save_every: int = Field(200, ge=1)
    seeds: tuple[int, ...] = (0,)
    optimiser: Optimiser = Optimiser()


class TeacherConfig(TrainConfig):
    """`bitcliff train teacher`: on labels."""

    label_smoothing: float = Field(0.1, ge=0, lt=1)


class PairConfig(TrainConfig):
    """`bitcliff train pair`: a network and its policy, from a trained network.

    Attributes:
        aims: "robust", "brittle" or both. bits: I, II, III or [least, most].
        budget: A, B, C or mean bits a point. The rest: see `bitcliff.train.pair.PairSettings`.
    """

    weights: Path
    aims: tuple[Literal["robust", "brittle"], ...] = ("robust", "brittle")
    bits: Literal["I", "II", "III"] | tuple[int, int] = "I"
    budget: Literal["A", "B", "C"] | float = "B"
    scheme: str = "paper"
    weight_bits: int = Field(16, ge=2, le=16)
    margin: float = Field(0.5, gt=0, le=1)
    temperature: float = Field(5.0, gt=0)
    hinge_weight: float = Field(1.0, ge=0)
    distillation_weight: float = Field(1.0, ge=0)
    batchnorm: Literal["both", "float", "frozen"] = "float"
    parity_gap: float = Field(2.0, ge=0)
    policy_channels: tuple[int, ...] = (16, 32, 64)

    @property
    def options(self) -> tuple[int, ...]:
        """The widths a policy may choose."""
        least, most = BIT_OPTIONS[self.bits] if isinstance(self.bits, str) else self.bits
        return tuple(range(least, most + 1))

    @property
    def mean_bits(self) -> float:
        """Mean bits a point."""
        if not isinstance(self.budget, str):
            return self.budget
        return BUDGETS[self.budget] + (1.0 if self.bits in ("II", "III") else 0.0)


AnyConfig = TypeVar("AnyConfig", bound=TrainConfig)


def read_config(file: Path, kind: type[AnyConfig]) -> AnyConfig:
    """A training run's configuration.

    Raises:
        InputError: missing, not YAML, an unknown key or a value out of range; the text names it.
    """
    try:
        fields = yaml.safe_load(file.read_text())
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


def _first_slip(error: ValidationError, kind: type[TrainConfig]) -> str:
    # A slip in a key's name makes another key missing: the slip is what to tell.
    first: Any = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = Optimiser.model_fields if where.startswith("optimiser.") else kind.model_fields
        word = where.rpartition(".")[2]
        return f"unknown key {where}{nearest(word, known)}"
    if first["type"] == "missing":
        return f"the key {where} is missing"
    return f"{where}: {first['msg']}, not {first['input']!r}"
