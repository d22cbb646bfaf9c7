"""The YAML file of a sweep: what its grid is made of."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from bitcliff.policy import Estimator
from bitcliff.run.train_config import Seed
from bitcliff.train.pair import Aim
from bitcliff.types.value import Value

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,40}$")]
Fields = dict[str, Any]
"""Of another command's file; checked as that command checks them."""


class Network(Value):
    """One that pairs are made from.

    Attributes:
        model: as in `bitcliff assess`. weights: it is trained already.
        teacher, distill: or it is trained first, with these settings of `bitcliff train teacher` or
            `bitcliff train distill`.
        settings: of this network's pairs alone, over those of all.
        beside: whose numbers in the paper stand beside this one's.
    """

    model: str
    weights: Path | None = None
    teacher: Fields | None = None
    distill: Fields | None = None
    settings: Fields = Field(default_factory=dict)
    beside: Literal["ResNet18", "MobileNetV4", "RegNetX-1.6GF"] | None = None

    @model_validator(mode="after")
    def _one_source(self) -> "Network":
        given = (self.weights, self.teacher, self.distill)
        if sum(one is not None for one in given) != 1:
            raise ValueError("give one of weights, teacher and distill")
        return self


class PairGrid(Value):
    """Trainings of robust and brittle pairs: networks by bits by budgets by estimators by seeds.

    A cell trains all its roles, since Tables 2 and 3 need both under each other's policy.

    Attributes:
        networks: by name. data: for all of them. bits, budgets, estimators: as in a pair's file.
        roles: which of a pair are trained. seeds: a cell each.
        settings: of all pairs, as in a pair's file.
    """

    networks: dict[Name, Network] = Field(min_length=1)
    data: str
    bits: tuple[Literal["I", "II", "III"] | tuple[int, int], ...] = Field(("I",), min_length=1)
    budgets: tuple[Literal["A", "B", "C"] | float, ...] = Field(("B",), min_length=1)
    roles: tuple[Aim, ...] = Field(("robust", "brittle"), min_length=1)
    estimators: tuple[Estimator, ...] = Field(("straight-through",), min_length=1)
    seeds: tuple[Seed, ...] = Field((0,), min_length=1)
    settings: Fields = Field(default_factory=dict)

    @field_validator("bits", "budgets", "roles", "estimators", "seeds")
    @classmethod
    def _each_once(cls, axis: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(axis)) < len(axis):
            raise ValueError("each must stand once")
        return axis


class AuditModel(Value):
    """One that is audited: as `bitcliff assess` takes it."""

    model: str
    data: str | None = None
    weights: Path | None = None
    settings: Fields = Field(default_factory=dict)


class AuditGrid(Value):
    """Audits of frozen networks: models by numerics and models by budgets.

    A shipped format allocates no bits, so that numerics and budgets are cells of their own.

    Attributes:
        models: by name. numerics: shipped formats, or FILE.yaml. budgets: mean bits a point.
        settings: of all, by the names of the options of `bitcliff assess`, such as `minutes`.
    """

    models: dict[Name, AuditModel] = Field(min_length=1)
    numerics: tuple[str, ...] = ()
    budgets: tuple[float, ...] = ()
    settings: Fields = Field(default_factory=dict)

    @model_validator(mode="after")
    def _asks_something(self) -> "AuditGrid":
        if not self.numerics and not self.budgets:
            raise ValueError("give numerics, budgets or both")
        return self


class SweepConfig(Value):
    """A sweep: pairs to train, audits to make, or both."""

    pairs: PairGrid | None = None
    audits: AuditGrid | None = None

    @model_validator(mode="after")
    def _has_cells(self) -> "SweepConfig":
        if self.pairs is None and self.audits is None:
            raise ValueError("give pairs, audits or both")
        return self
