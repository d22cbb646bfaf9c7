"""What a user may set about a black box beyond its name."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict

from bitcliff.errors import InputError


@dataclass(frozen=True)
class BlackBoxSettings:
    """How a black box is asked.

    Attributes:
        weights: file of weights, for models built here (timm:, torchvision:, zoo:, hf:, py:).
        num_classes: how many classes it must tell apart; None: as its first output has.
        output: which of several outputs to take, by name (ONNX and endpoints); None:
            of an ONNX file the one that could be class scores, of an endpoint the first.
        timeout: seconds that an endpoint may take for one whole response.
        retries: how often an endpoint is asked again when it gives none, or nonsense.
        batch: images asked at once; more are split.

    Raises:
        InputError: a value is out of its range.
    """

    # For the YAML file of a run, which knows no key unheard of.
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    weights: Path | None = None
    num_classes: int | None = None
    output: str | None = None
    timeout: float = 30.0
    retries: int = 4
    batch: int = 64

    def __post_init__(self) -> None:
        if self.num_classes is not None and self.num_classes < 2:
            raise InputError(f"num_classes {self.num_classes}: must be at least 2")
        if not (math.isfinite(self.timeout) and self.timeout > 0):
            raise InputError(f"timeout {self.timeout}: must be above 0 seconds")
        if self.retries < 0:
            raise InputError(f"retries {self.retries}: must be 0 or more")
        if self.batch < 1:
            raise InputError(f"batch {self.batch}: must be at least 1 image")
