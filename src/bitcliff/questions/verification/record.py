"""What `bitcliff verify` adds to a record: is what was simulated what an exported file does?"""

from typing import Annotated

from pydantic import Field

from bitcliff.questions.timing import Time
from bitcliff.record.arrays import Floats, Ints, Small2
from bitcliff.record.part import Part
from bitcliff.types.rate import Count, Rate

KEY = "verification"

Nudges = Annotated[int, Field(ge=0, le=1000)]


class VerifiedPoint(Part):
    """Observed: the values at one point, of the examples compared, in both runs.

    Attributes:
        values: how many there are.
        rounded_alike: those that the simulation's rounding gives too, bit for bit, from what the
            runtime had there before rounding.
        equal: those equal to the simulation's own, bit for bit.
        same_level: those on the same level, which is the value over the scale of its example.
    """

    name: str
    values: Count
    rounded_alike: Count
    equal: Count
    same_level: Count


class Differing(Part):
    """Observed: an example that the runtime decides otherwise, simulated once more.

    Attributes:
        ours: the simulation's prediction; None where scores are not numbers.
        margin: its lead over the next class, logits.
        first_point: the first point at which one of its values lies on another level.
        nudges: how often it was simulated with the input nudged by one part in a million; 0 for
            inputs that cannot be nudged. changed: in how many of these `ours` changes.
    """

    id: str
    ours: int | None
    margin: float | None
    first_point: str | None
    nudges: Nudges
    changed: Nudges


class PolicyObserved(Part):
    """Observed: one policy of the run, its examples in the order of its outcomes.

    Attributes:
        prediction, margin: (m,) in the runtime, the margin against the record's own reference, NaN
            where it is no number; None in files from before 2.0, which do not hold it.
        bits: (m, L) that the file itself allocates, where it holds the policy.
        compared: how many examples were compared value by value, from the first on.
        rows, float64_rows: of these at all points, and how many of them float32 does not serve.
        differing: the examples that are decided otherwise, in their order.
    """

    policy: str
    prediction: Ints
    margin: Floats | None
    bits: Small2 | None
    compared: Count
    rows: Count
    float64_rows: Count
    points: list[VerifiedPoint]
    differing: list[Differing]


class VerificationObserved(Part):
    """Observed: the run's policies, exported and run elsewhere on the run's data.

    Attributes:
        runtime: its name and version.
        export_seconds: to write the file that takes bits as an input.
        seconds_ours, seconds_runtime: for one example, medians of passes that took turns. All three
            are times of one machine.
    """

    runtime: str
    export_seconds: Time
    seconds_ours: Time
    seconds_runtime: Time
    policies: list[PolicyObserved]


class DifferingExample(Part):
    """Figures of an example that the runtime decides otherwise; see `Differing`.

    Attributes:
        runtime: the runtime's prediction. nudged: in how many simulations with a nudged input our
            own decision changes; None where there are none.
    """

    id: str
    ours: int | None
    runtime: int | None
    margin: float | None
    first_point: str | None
    nudged: Rate | None


class VerifiedPolicy(Part):
    """Figures of one policy.

    Attributes:
        decisions: examples that are decided as the record has it.
        right_in_runtime, right_simulated: of those with a target; without labels, as in float.
        allocations: where the file itself holds the policy: examples that get the same bits.
        largest_difference: of any margin from that in the record, logits; None where there is none.
        values, equal, same_level: of all points together; see `VerifiedPoint`.
        first_difference: the first point at which a value is not equal, bit for bit.
    """

    policy: str
    decisions: Rate
    right_in_runtime: Rate
    right_simulated: Rate
    allocations: Rate | None
    largest_difference: float | None
    values: int
    equal: int
    same_level: int
    first_difference: str | None
    differing: list[DifferingExample]


class Verification(Part):
    """Figures of all policies together.

    Attributes:
        agrees: every example is decided alike under every policy.
        alike, decided: decisions as in the record, and all of them.
        deepest: the worst case under which fewest are right when simulated, if there is one.
        compared, values, rounded_alike, rows, float64_rows: see `PolicyObserved`, `VerifiedPoint`.
        times_as_long: as the simulation takes, one example in the runtime; None where the times
            say nothing.
    """

    agrees: bool
    alike: int
    decided: int
    deepest: str | None
    compared: int
    values: int
    rounded_alike: int
    rows: int
    float64_rows: int
    times_as_long: float | None
    policies: list[VerifiedPolicy]
