"""plan.yaml into the settings of an assessment."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bitcliff.audit import AssessSettings
from bitcliff.errors import InputError, PlanError
from bitcliff.record.plan import QuantizationPlan
from bitcliff.run.yaml_file import read_yaml
from bitcliff.types.scheme import Scheme
from bitcliff.types.subject import Subject

PLAN = "plan.yaml"


def read_plan(file: Path) -> QuantizationPlan:
    """A plan that `bitcliff explain` or a user wrote.

    Raises:
        InputError: missing, not YAML, an unknown key or a value out of range; the text names it.
    """
    return read_yaml(file, QuantizationPlan, "--plan ")


@contextmanager
def of_plan(file: Path | None) -> Iterator[None]:
    """What is wrong with a plan is told with the file that it was read from, if it was."""
    try:
        yield
    except PlanError as error:
        raise InputError(f"--plan {file}: {error}" if file else str(error)) from error


def planned(settings: AssessSettings, plan: QuantizationPlan) -> AssessSettings:
    """The settings with what the plan says; its budgets are left to the caller.

    Raises:
        PlanError: a floor or a scheme that cannot be.
    """
    if plan.scheme is not None:
        try:
            Scheme.parse(plan.scheme)
        except InputError as error:
            raise PlanError(str(error).removeprefix("--")) from error
    return settings.changed(
        in_float=tuple(plan.float_points),
        floors=plan.floors,
        scheme=plan.scheme or settings.scheme,
        randomised=plan.randomised,
    )


def check_plan(plan: QuantizationPlan, subject: Subject) -> None:
    """Refuse a plan that was made for other weights.

    Raises:
        PlanError: it was; what it promises would not hold.
    """
    if plan.weights_sha256 not in (None, subject.weights_sha256):
        raise PlanError(
            f"made for weights {plan.weights_sha256[:12]} of {plan.model}, but those of "
            f"{subject.name} are {subject.weights_sha256[:12]}; take those, or leave "
            "weights_sha256 out of the plan"
        )
