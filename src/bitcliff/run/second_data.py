"""A second set of examples for a run's network, as `explain --shift` names it."""

from collections.abc import Callable, Collection

from torch import Tensor

from bitcliff.adapters import load_examples
from bitcliff.audit.compose import example_table
from bitcliff.audit.prepare import Prepared, prepare
from bitcliff.audit.schedule import Schedule
from bitcliff.errors import InputError
from bitcliff.questions.context import SecondData, Side
from bitcliff.record import Outcomes, Table
from bitcliff.run.assess_job import AssessJob
from bitcliff.tasks import task_of
from bitcliff.tasks.against_float import AgainstFloat
from bitcliff.tasks.neighbours import Nearest
from bitcliff.types.subject import Examples

# With fewer a drop's interval says next to nothing.
_FEWEST = 20


def second_data(
    spec: str,
    assess: AssessJob,
    prepared: Prepared,
    policies: Collection[str],
    tell: Callable[[str, int, int], None],
) -> SecondData:
    """Of as many examples as the run has, at most, drawn by its seed; policies that look for their
    bits look anew.

    Raises:
        InputError: there is no such data, or it can't be set beside the run's: it is the same, or
            of other classes or another shape, with labels where that has none, or too small.
    """
    examples = _examples(spec, assess, prepared)

    def measured() -> tuple[Side, Table, dict[str, Outcomes]]:
        attached = prepare(
            prepared.subject,
            examples,
            prepared.settings,
            lambda _points: prepared.policy,
            prepared.runtimes,
        )
        schedule = Schedule(attached)
        schedule.measure_only(
            policies, lambda name, done, whole: tell(f"{name}, {spec}", done, whole)
        )
        outcomes = {name: schedule.done[name].outcomes for name in policies}
        return Side("test", attached, {}), example_table(attached, ()), outcomes

    return SecondData(examples, measured)


def _examples(spec: str, assess: AssessJob, prepared: Prepared) -> Examples:
    own, task = prepared.examples, task_of(prepared.subject.module)
    if isinstance(task, AgainstFloat) and (task.labelled or isinstance(task.kind, Nearest)):
        raise InputError(
            f"--shift {spec}: not for {task.name}: its labels or neighbours are of one set of data"
        )
    found = load_examples(
        spec,
        subject=prepared.subject,
        limit=len(own),
        seed=assess.settings.seed,
        options=assess.data_options,
    )
    for problem in differences(own, found):
        raise InputError(f"--shift {spec}: {problem}")
    return found


def differences(own: Examples, found: Examples) -> list[str]:
    """Why the two can't be compared, the gravest first."""
    told = []
    if found.sha256 == own.sha256:
        told.append("is the data of the run itself; give another set")
    if (own.labels is None) != (found.labels is None):
        has = "has no labels, and" if found.labels is None else "has labels, and"
        told.append(f"{has} {own.name} has {'none' if own.labels is None else 'some'}")
    names = own.class_names, found.class_names
    if None not in names and names[0] != names[1]:
        here, there = map(_listed, names)
        told.append(f"its classes are {there}, and those of {own.name} {here}")
    shapes = [tuple(one.inputs.shape[1:]) for one in (own, found) if isinstance(one.inputs, Tensor)]
    if len(set(shapes)) > 1:
        told.append(f"its inputs are {shapes[1]}, and those of {own.name} {shapes[0]}")
    if len(found) < _FEWEST:
        told.append(f"{len(found)} examples are too few to compare; give {_FEWEST} or more")
    return told


def _listed(names: tuple[str, ...] | None) -> str:
    shown = (names or ())[:5]
    return ", ".join(shown) + (", ..." if len(names or ()) > len(shown) else "")
