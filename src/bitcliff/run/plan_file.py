"""plan.yaml into the settings of an assessment."""

from pathlib import Path

from bitcliff.audit import AssessSettings
from bitcliff.errors import InputError
from bitcliff.record.plan import QuantizationPlan
from bitcliff.run.yaml_file import read_yaml
from bitcliff.types.subject import Subject

PLAN = "plan.yaml"


def read_plan(file: Path) -> QuantizationPlan:
    """A plan that `bitcliff explain` or a user wrote.

    Raises:
        InputError: missing, not YAML, an unknown key or a value out of range; the text names it.
    """
    return read_yaml(file, QuantizationPlan, "--plan ")


def planned(settings: AssessSettings, plan: QuantizationPlan) -> AssessSettings:
    """The settings with what the plan says; its budgets are left to the caller.

    Raises:
        InputError: a floor or a scheme that cannot be.
    """
    return settings.changed(
        in_float=tuple(plan.float_points),
        floors=plan.floors,
        scheme=plan.scheme or settings.scheme,
        randomised=plan.randomised,
    )


def check_plan(plan: QuantizationPlan, subject: Subject) -> None:
    """Refuse a plan that was made for other weights.

    Raises:
        InputError: it was; what it promises would not hold.
    """
    if plan.weights_sha256 not in (None, subject.weights_sha256):
        raise InputError(
            f"--plan: made for weights {plan.weights_sha256[:12]} of {plan.model}, but those of "
            f"{subject.name} are {subject.weights_sha256[:12]}; take those, or leave "
            "weights_sha256 out of the plan"
        )
