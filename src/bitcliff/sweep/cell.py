"""One cell of a sweep: a command of Bitcliff, what it needs, and what came of it."""

import json
import os
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Kind = Literal["teacher", "distill", "pair", "assess"]

FOLDER = "{folder}"
"""Stands for the cell's folder, wherever it is run, in arguments and settings."""
WEIGHTS = "network.safetensors"


@dataclass(frozen=True)
class Cell:
    """What is run, as the command line would run it.

    Attributes:
        name: of its folder. kind: which command. axes: its place in the grid.
        arguments: of `bitcliff`, before those that say where to write.
        settings: of the YAML file that it is given; empty for a command that takes none.
        after: the cell whose network it begins with.
    """

    name: str
    kind: Kind
    axes: dict[str, str | int | float]
    arguments: tuple[str, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    after: str | None = None

    def __hash__(self) -> int:
        return hash(self.name)

    def job(self, place: "Place") -> str:
        """What a worker is sent: JSON, and nothing else."""
        return json.dumps(asdict(self) | asdict(place) | {"cwd": os.getcwd()})


@dataclass(frozen=True)
class Place:
    """How cells are run, wherever that is.

    Attributes:
        root: where all their folders are, a path or URL. threads: of the processor, for each.
        program: what takes their arguments; empty: Bitcliff itself, by the Python that runs here.
    """

    root: str
    threads: int = 1
    program: tuple[str, ...] = ()


@dataclass(frozen=True)
class CellOutcome:
    """What came of a cell.

    Attributes:
        state: "stopped": told to stop. "lost": its process was killed, or is gone without what it
            was to leave. Neither is kept: both are begun again by the same sweep.
        code: what the command left with. reason: of a failure, in a line.
        seconds: the command itself took. attempt: tells two runs of a cell apart.
    """

    state: Literal["done", "failed", "stopped", "lost"]
    code: int
    reason: str
    seconds: float
    attempt: str

    @classmethod
    def of(cls, text: str | bytes) -> "CellOutcome":
        """As `text` made it.

        Raises:
            ValueError: it is something else.
        """
        found = json.loads(text)
        if not isinstance(found, dict) or found.keys() != cls.__dataclass_fields__.keys():
            raise ValueError("no outcome of a cell")
        return cls(**found)

    @property
    def text(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self)) + "\n"
