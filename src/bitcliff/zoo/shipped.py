"""The networks whose weights Bitcliff ships: a base, and a robust and a brittle pair made from it.

`make zoo` trains exactly these; each has a card beside its weights.
"""

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class Shipped:
    """One of them.

    Attributes:
        architecture: which `zoo:` network it is. data: what it was trained on, by name.
        has_policy: whether a policy was trained together with it.
    """

    name: str
    architecture: str
    data: str
    has_policy: bool

    @property
    def weights(self) -> Path:
        """safetensors."""
        return FOLDER / self.name / "network.safetensors"

    @property
    def policy(self) -> Path | None:
        """As `bitcliff.policy.stored` reads it."""
        return FOLDER / self.name / "policy.safetensors" if self.has_policy else None


SHIPPED = {
    shipped.name: shipped
    for shipped in (
        Shipped("base-digits", "digits", "digits", has_policy=False),
        Shipped("robust-digits", "digits", "digits", has_policy=True),
        Shipped("brittle-digits", "digits", "digits", has_policy=True),
    )
}
