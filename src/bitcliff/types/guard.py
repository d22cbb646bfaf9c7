"""What `bitcliff guard` is asked for."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from bitcliff.errors import InputError
from bitcliff.types.scheme import MAX_BITS, MIN_BITS
from bitcliff.types.settings import Option, Selection


class GuardSettings(Selection):
    """What is quantized, what the guard must keep to, and how the examples are shared out."""

    bits: Annotated[int | None, Option(default="none: --numerics")] = None
    """Instead of a format, this width at every point and 16-bit weights: this can be exported."""
    alpha: float = 0.02
    """Of all inputs, the share that may be wrong by quantization and not flagged."""
    delta: float = 0.1
    """Chance, over the examples that calibrate, that the share is exceeded all the same."""
    against: Literal["auto", "label", "float"] = "auto"
    """What counts as wrong: float is right by the label and the quantized network is not, or it
    decides otherwise than float; auto: the label where there are labels."""
    signals: Literal["margin", "scores", "all"] = "margin"
    """What the guard looks at: the margin alone, margin and entropy, or these and what rounding
    does at every point. The others are reported beside it."""
    fit: float = 0.25
    """Share of the examples that the guard is fitted to."""
    calibrate: float = 0.4
    """Share that its threshold is calibrated on; it is reported on the others."""
    seed: int = Field(default=0, ge=0)
    """Seed for how the examples are shared out."""

    @field_validator("bits")
    @classmethod
    def _width(cls, bits: int | None) -> int | None:
        if bits is not None and not MIN_BITS <= bits <= MAX_BITS:
            raise InputError(f"--bits must lie in {MIN_BITS}..{MAX_BITS}, not {bits}")
        return bits

    @field_validator("alpha", "delta", "fit", "calibrate")
    @classmethod
    def _share(cls, share: float, info: object) -> float:
        if not 0 < share < 1:
            name = getattr(info, "field_name", "")
            raise InputError(f"--{name} must lie between 0 and 1, not {share:g}")
        return share

    @model_validator(mode="after")
    def _leaves_some(self) -> "GuardSettings":
        if self.fit + self.calibrate >= 1:
            raise InputError(
                f"--fit {self.fit:g} and --calibrate {self.calibrate:g} leave no examples to "
                "report on: their sum must be below 1"
            )
        return self
