"""How hard batch-mates are tried; the command line maps onto this."""

from dataclasses import dataclass

from bitcliff.errors import InputError


@dataclass(frozen=True)
class BatchmatesSettings:
    """Settings of one measurement.

    Attributes:
        batch: examples in a full batch. draws: random batches that every example sits in.
        candidates: companions from the data that are really run beside each victim; where the data
            holds more, those that widen the victim's ranges most.
        effort: runs that each crafted attack may spend on a victim. seed: of every random choice.
    """

    batch: int = 8
    draws: int = 20
    candidates: int = 100
    effort: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("batch", 2), ("draws", 1), ("candidates", 1), ("effort", 0)):
            value = getattr(self, name)
            if value < least:
                raise InputError(f"--{name} must be {least} or more, not {value}")
        if self.seed < 0:
            raise InputError(f"--seed must be 0 or more, not {self.seed}")
