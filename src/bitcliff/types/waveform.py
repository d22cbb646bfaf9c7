"""What a sound looks like, small enough to be kept beside it."""

from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from bitcliff.types.value import Value

COLUMNS = 200
_WHOLE = 100

Level = Annotated[int, Field(ge=-_WHOLE, le=_WHOLE)]


class Waveform(Value):
    """The least and the greatest sample in each of at most `COLUMNS` equal stretches of time.

    Attributes:
        seconds: how long the sound is. peak: its loudest sample, of 1 at most as a rule.
        low, high: hundredths of the peak.
    """

    seconds: Annotated[float, Field(gt=0, le=1e6)]
    peak: Annotated[float, Field(ge=0, le=1e6)]
    low: Annotated[list[Level], Field(max_length=COLUMNS)]
    high: Annotated[list[Level], Field(max_length=COLUMNS)]

    @model_validator(mode="after")
    def _of_one_sound(self) -> "Waveform":
        if len(self.low) != len(self.high) or not self.low:
            raise ValueError("a waveform has as many least samples as greatest ones")
        return self

    @classmethod
    def of(cls, samples: npt.NDArray[np.float32], rate: int) -> "Waveform":
        """Of samples (n,), one or more, `rate` of them a second."""
        count = min(COLUMNS, len(samples))
        starts = np.arange(count) * len(samples) // count
        peak = float(np.abs(samples).max())
        low, high = (
            np.rint(_WHOLE * end.reduceat(samples, starts) / (peak or 1.0)).astype(int).tolist()
            for end in (np.minimum, np.maximum)
        )
        return cls(seconds=len(samples) / rate, peak=peak, low=low, high=high)
