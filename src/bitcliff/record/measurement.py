"""Records of commands that measure something of their own: what was observed, and the figures made
of it, worked out anew when one is read."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from bitcliff.errors import InputError
from bitcliff.record.files import one_line, shown
from bitcliff.record.part import Part
from bitcliff.record.store import check_figures, json_text, parse_json, valid

Observed = TypeVar("Observed", bound=Part)
Figures = TypeVar("Figures", bound=Part)


def stem_of(command: str) -> str:
    """What the files of a command's run are called, without an ending."""
    return command.replace(" --", "-")


@dataclass(frozen=True)
class Measurement(Generic[Observed, Figures]):
    """A whole measurement. Make one with `MeasurementKind.of`: its figures are those of what was
    observed."""

    observed: Observed
    figures: Figures


@dataclass(frozen=True)
class MeasurementKind(Generic[Observed, Figures]):
    """What one command measures, and how it lies on disk.

    Attributes:
        command: whose it is; the file is named after it. version: of the file.
        observed: the type of what was observed. figures: every figure of it, a pure function.
        problems: what in it contradicts itself.
        older: versions that are read too, and what makes today's observations of theirs.
        formerly: the command's name of before, by which its older files are called.
    """

    command: str
    version: str
    observed: type[Observed]
    figures: Callable[[Observed], Figures]
    problems: Callable[[Observed], Iterable[str]]
    older: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = field(default_factory=dict)
    formerly: str = ""

    @property
    def file_name(self) -> str:
        """Of the record in its run directory."""
        return f"{stem_of(self.command)}.json"

    def of(self, observed: Observed) -> Measurement[Observed, Figures]:
        """The whole measurement, every figure worked out."""
        return Measurement(observed, self.figures(observed))

    def json(self, record: Measurement[Observed, Figures]) -> str:
        """The record as JSON text: what was observed, then the figures.

        Raises:
            NumericError: it holds a NaN or infinity.
        """
        figures = record.figures.model_dump()
        return json_text(
            {"schema_version": self.version, **record.observed.model_dump(), "figures": figures}
        )

    def read(self, run: Path) -> Measurement[Observed, Figures]:
        """The record in a run directory, its figures worked out anew.

        Raises:
            InputError: missing, damaged, of another version, observations that contradict each
                other, or figures that are not theirs.
        """
        file = run / self.file_name
        if self.formerly and not file.exists() and (run / f"{self.formerly}.json").exists():
            file = run / f"{self.formerly}.json"
        fields = parse_json(self._text(file), shown(file), self.file_name)
        version = str(fields.pop("schema_version"))
        if version != self.version and version not in self.older:
            raise InputError(
                f"{shown(file)}: schema_version {one_line(version)}, but this Bitcliff reads "
                f"{self.version}: run it again"
            )
        stored = fields.pop("figures", None)
        if version in self.older:
            fields = self._of_older(fields, version, file)
        observed = valid(self.observed, fields, shown(file))
        for problem in self.problems(observed):
            raise InputError(f"{shown(file)}: inconsistent record: {one_line(problem)}")
        record = self.of(observed)
        if version == self.version:
            check_figures(stored, record.figures.model_dump(), shown(file))
        return record

    def _text(self, file: Path) -> str:
        try:
            return file.read_bytes().decode("utf-8")
        except OSError as error:
            raise InputError(
                f"{shown(file)}: cannot be read: {error.strerror}; "
                f"give a run of `bitcliff {self.command}`"
            ) from error
        except UnicodeDecodeError as error:
            raise InputError(f"{shown(file)}: not a whole JSON file: not UTF-8 text") from error

    def _of_older(self, fields: dict[str, Any], version: str, file: Path) -> dict[str, Any]:
        try:
            return self.older[version](fields)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"{shown(file)}: not a Bitcliff record of schema {version}: {one_line(str(error))}"
            ) from error
