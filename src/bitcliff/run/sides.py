"""What `bitcliff diff` sets side by side: numerics by name or in a file, runtimes, float."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bitcliff.adapters.runtimes import RUNTIMES, read_runtime
from bitcliff.errors import InputError, nearest
from bitcliff.run.yaml_file import read_yaml
from bitcliff.types.presets import PRESETS, Format
from bitcliff.types.runtime_choice import RuntimeChoice
from bitcliff.types.settings import IN_FLOAT

_FILE = "file"
_TAKEN = (IN_FLOAT, _FILE, *PRESETS, *RUNTIMES)


@dataclass(frozen=True)
class Named:
    """One side. `label`: as the record has it. `runtime`, `own`: where it is one."""

    label: str
    runtime: RuntimeChoice | None = None
    own: Format | None = None


@dataclass(frozen=True)
class Compared:
    """Two sides, as the settings and the job of an assessment take them."""

    labels: tuple[str, str]
    numerics: tuple[str, ...] = ()
    runtimes: tuple[RuntimeChoice, ...] = ()
    formats: Mapping[str, Format] = field(default_factory=dict)


def read_sides(a: str, b: str) -> Compared:
    """The two that a user named.

    Raises:
        InputError: one is not known, or its file will not do, or both are the same.
    """
    sides = [_read(name) for name in (a, b)]
    labels = (sides[0].label, sides[1].label)
    if labels[0] == labels[1]:
        if a != b and sides[0].own != sides[1].own:
            raise InputError(f"{a} and {b} are both called {labels[0]}: rename one of the files")
        raise InputError(f"A and B are both {labels[0]}: give two that differ")
    return Compared(
        labels,
        tuple(one.label for one in sides if one.runtime is None and one.label != IN_FLOAT),
        tuple(one.runtime for one in sides if one.runtime is not None),
        {one.label: one.own for one in sides if one.own is not None},
    )


def _read(name: str) -> Named:
    if name == IN_FLOAT or name in PRESETS:
        return Named(name)
    if name.endswith((".yaml", ".yml")):
        label = Path(name).stem
        own = read_yaml(Path(name), Format)
        if label in _TAKEN:
            raise InputError(f"{name} is called as what is built in; rename the file")
        return Named(label, own=own)
    if name.partition(":")[0] in (_FILE, *RUNTIMES):
        choice = read_runtime(name)
        return Named(choice.label, runtime=choice)
    known = nearest(name, _TAKEN) or (
        "; give a name that `bitcliff numerics` lists, a FILE.yaml, float, or a runtime: "
        f"{', '.join(RUNTIMES)}, file:INT8.onnx"
    )
    raise InputError(f"{name!r} is neither numerics nor a runtime{known}")
