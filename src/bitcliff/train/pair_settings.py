"""What a pair is trained for, by the paper's names or by numbers."""

from typing import Literal

from pydantic import Field, field_validator

from bitcliff.budget import total_from_mean
from bitcliff.errors import InputError
from bitcliff.policy import Estimator
from bitcliff.policy.stored import Channels
from bitcliff.quant import MAX_BITS, MIN_BITS, Scheme
from bitcliff.train.batchnorm import BatchNormMode
from bitcliff.types.value import Value

BIT_OPTIONS = {"I": (3, 10), "II": (4, 10), "III": (5, 10)}
# Mean bits a point with options I; II and III get one more (FACTS: budgets A, B, C).
BUDGETS = {"A": 4.0, "B": 5.5, "C": 7.0}


class PairSettings(Value):
    """Of one robust or brittle pair.

    Attributes:
        bits: I, II, III or [least, most]: the widths a policy may choose.
        budget: A, B, C or mean bits a point: the cost of every allocation.
        scheme: "paper", "onnx" or "percentile(p)". weight_bits: symmetric, each forward pass.
        margin: delta of the hinge. temperature: of distillation.
        hinge_weight, distillation_weight: alpha and beta.
        estimator: where the policy's gradient comes from; see `bitcliff.policy.estimators`.
        estimator_temperature: of the Gibbs distribution, for "marginals" and "sampled".
        batchnorm: whose statistics normalise the quantized pass, and who updates them; see
            `bitcliff.train.batchnorm`.
        parity_gap: float accuracy, in points, that a pair may lose before it fails parity.
        policy_channels: of the policy network; see `bitcliff.policy.PolicyNetworkConfig`.
    """

    bits: Literal["I", "II", "III"] | tuple[int, int] = "I"
    budget: Literal["A", "B", "C"] | float = "B"
    scheme: str = "paper"
    weight_bits: int = Field(default=16, ge=2, le=16)
    margin: float = Field(default=0.5, gt=0, le=1)
    temperature: float = Field(default=5.0, gt=0)
    hinge_weight: float = Field(default=1.0, ge=0)
    distillation_weight: float = Field(default=1.0, ge=0)
    estimator: Estimator = "straight-through"
    estimator_temperature: float = Field(default=0.1, gt=0)
    batchnorm: BatchNormMode = "frozen"
    parity_gap: float = Field(default=2.0, ge=0)
    policy_channels: tuple[Channels, ...] = Field(default=(16, 32, 64), min_length=1)

    @field_validator("bits")
    @classmethod
    def _from_least_to_most(cls, bits: str | tuple[int, int]) -> str | tuple[int, int]:
        if not isinstance(bits, str) and not MIN_BITS <= bits[0] <= bits[1] <= MAX_BITS:
            raise ValueError(f"give [least, most], each from {MIN_BITS} to {MAX_BITS}")
        return bits

    @field_validator("scheme")
    @classmethod
    def _known(cls, scheme: str) -> str:
        try:
            Scheme.parse(scheme)
        except InputError as error:
            raise ValueError("give paper, onnx or percentile(P)") from error
        return scheme

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

    def total(self, points: int) -> int:
        """Bits of every allocation over that many points.

        Raises:
            InputError, InfeasibleBudget: the options or the mean cannot be.
        """
        return total_from_mean(self.mean_bits, points, list(self.options))
