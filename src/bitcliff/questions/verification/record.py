"""What `bitcliff verify` adds to a record: is what was simulated what an exported file does?"""

from pydantic import Field

from bitcliff.records.part import Part
from bitcliff.types.rate import Rate


class VerifiedPoint(Part):
    """The values at one point, of the examples compared, in the runtime and in the simulation.

    Attributes:
        values: how many there are.
        rounded_alike: those that the simulation's rounding gives too, bit for bit, from what the
            runtime had there before rounding.
        equal: those equal to the simulation's own, bit for bit.
        same_level: those on the same level, which is the value over the scale of its example.
    """

    name: str
    values: int
    rounded_alike: int
    equal: int
    same_level: int


class DifferingExample(Part):
    """An example that the runtime decides otherwise.

    Attributes:
        ours, runtime: the decisions; None where scores are not numbers.
        margin: the lead of our decision over the next class, logits.
        first_point: the first point at which one of its values lies on another level.
        nudged: in how many simulations with the input nudged by one part in a million our own
            decision changes; None for inputs that cannot be nudged.
    """

    id: str
    ours: int | None
    runtime: int | None
    margin: float | None
    first_point: str | None
    nudged: Rate | None


class VerifiedPolicy(Part):
    """One policy of the run.

    Attributes:
        decisions: examples that are decided as the record has it.
        allocations: where the file itself holds the policy: examples that get the same bits.
        largest_difference: of any margin from that in the record, logits; None where there is none.
        compared: how many examples were compared value by value, from the first on.
        rows, float64_rows: of these at all points, and how many of them float32 does not serve.
        differing: the examples that are decided otherwise.
    """

    policy: str
    decisions: Rate
    allocations: Rate | None
    largest_difference: float | None
    compared: int
    rows: int
    float64_rows: int
    points: list[VerifiedPoint]
    differing: list[DifferingExample] = Field(default_factory=list)

    @property
    def first_difference(self) -> str | None:
        """The first point at which a value is not equal, bit for bit."""
        return next((point.name for point in self.points if point.equal < point.values), None)


class Verification(Part):
    """The run's policies, exported and run elsewhere on the run's data.

    Attributes:
        runtime: its name and version.
        export_seconds: to write the file that takes bits as an input.
        seconds_ours, seconds_runtime: for one example, medians of passes that took turns.
    """

    runtime: str
    export_seconds: float
    seconds_ours: float
    seconds_runtime: float
    policies: list[VerifiedPolicy]

    @property
    def agrees(self) -> bool:
        """Every example is decided alike under every policy."""
        return all(one.decisions.k == one.decisions.n for one in self.policies)
