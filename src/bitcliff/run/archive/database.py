"""The table of all runs in SQLite: brought up to date from their records, and asked."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, astuple, dataclass, fields, replace
from pathlib import Path

from bitcliff.errors import InputError
from bitcliff.record.files import shown
from bitcliff.record.summary import Figure, Run
from bitcliff.run.archive.reading import mark_of, read_run, run_folders

# In the file's head: that it is ours, and the form of its tables.
_OURS, _FORM = 0x42C1_1FF0, 1
_RUN = [one.name for one in fields(Run) if one.name != "figures"]
_FIGURE = [one.name for one in fields(Figure)]
_TABLES = f"""
DROP TABLE IF EXISTS run;
DROP TABLE IF EXISTS figure;
CREATE TABLE run ({", ".join(_RUN)}, mark, PRIMARY KEY (path));
CREATE TABLE figure ({", ".join(_FIGURE)}, run, place, PRIMARY KEY (run, place));
PRAGMA application_id = {_OURS};
PRAGMA user_version = {_FORM};
"""
_OF_FIGURE = """
    (:threat IS NULL OR threat = :threat) AND (:numerics IS NULL OR numerics GLOB :numerics)
"""
_RUNS = f"""
    SELECT {", ".join(_RUN)} FROM run WHERE refused IS NULL
    AND (:model IS NULL OR model GLOB :model)
    AND (:verdict IS NULL OR verdict = :verdict)
    AND (:command IS NULL OR command = :command
        OR instr(', ' || also || ',', ', ' || :command || ','))
    AND (:since IS NULL OR substr(started, 1, 10) >= :since)
    AND (:until IS NULL OR started <> '' AND substr(started, 1, 10) <= :until)
    AND (:threat IS NULL AND :numerics IS NULL
        OR EXISTS (SELECT 1 FROM figure WHERE run = path AND {_OF_FIGURE}))
    ORDER BY started, path
"""  # noqa: S608  (names of our own fields)
_FIGURES = f"""
    SELECT {", ".join(_FIGURE)} FROM figure WHERE run = :run AND {_OF_FIGURE} ORDER BY place
"""  # noqa: S608
_REFUSED = f"SELECT {', '.join(_RUN)} FROM run WHERE refused IS NOT NULL ORDER BY path"  # noqa: S608

Tell = Callable[[str, int, int], None]
"""Told what is done, how many folders were looked at, and how many there are."""


@dataclass(frozen=True)
class Wanted:
    """Which runs; None: all. What is refused is none of them, and is asked for apart.

    Attributes:
        model, numerics: as a shell's pattern, upper case or not; numerics, or the runtime, of a
            figure. threat: of a figure. verdict, command: of the run. since, until: days on which
            it began, both included, UTC, as 2026-11-30.
    """

    model: str | None = None
    numerics: str | None = None
    threat: str | None = None
    verdict: str | None = None
    command: str | None = None
    since: str | None = None
    until: str | None = None


class Archive:
    """All runs in some folders. Nothing is in its file that is not read from the records again:
    it may be deleted at any time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def update(self, roots: Sequence[Path], tell: Tell) -> None:
        """Read what was changed since, and forget what is gone.

        Raises:
            InputError: a folder is none, or cannot be read.
        """
        found = list(run_folders(roots))
        known = dict(self._connection.execute("SELECT path, mark FROM run"))
        for number, (folder, command) in enumerate(found):
            tell("Reading runs", number, len(found))
            mark = mark_of(folder)
            if known.pop(str(folder), None) != mark:
                self._put(read_run(folder, command), mark)
        for path in known:
            self._forget(path)
        self._connection.commit()
        tell("done", len(found), len(found))

    def runs(self, wanted: Wanted) -> list[Run]:
        """Those that are wanted, the oldest first, each with the figures that are wanted.

        Raises:
            InputError: none has such a model or such numerics; the text says what there is.
        """
        asked = asdict(wanted)
        found = [Run(*row) for row in self._connection.execute(_RUNS, asked)]
        if not found:
            self._check_name("--model", "model", "run", wanted.model)
            self._check_name("--numerics", "numerics", "figure", wanted.numerics)
        return [replace(one, figures=self._figures(one, asked)) for one in found]

    def refused(self) -> list[Run]:
        """Those that cannot be read, by their path."""
        return [Run(*row) for row in self._connection.execute(_REFUSED)]

    def _figures(self, run: Run, asked: dict[str, str | None]) -> tuple[Figure, ...]:
        rows = self._connection.execute(_FIGURES, {**asked, "run": run.path})
        return tuple(Figure(*row) for row in rows)

    def _check_name(self, option: str, column: str, table: str, pattern: str | None) -> None:
        query = f"SELECT DISTINCT {column} FROM {table} WHERE {column} <> '' ORDER BY 1"  # noqa: S608
        there = [name for (name,) in self._connection.execute(query)]
        matching = f"SELECT 1 FROM {table} WHERE {column} GLOB ?"  # noqa: S608
        if pattern is not None and not self._connection.execute(matching, [pattern]).fetchone():
            raise InputError(
                f"{option} {pattern}: of no run; there is {', '.join(there) or 'none'}"
            )

    def _put(self, run: Run, mark: str) -> None:
        self._forget(run.path)
        row = [getattr(run, name) for name in _RUN]
        self._insert("run", [*row, mark])
        for place, figure in enumerate(run.figures):
            self._insert("figure", [*astuple(figure), run.path, place])

    def _insert(self, table: str, row: Sequence[object]) -> None:
        marks = ", ".join("?" * len(row))
        self._connection.execute(f"INSERT INTO {table} VALUES ({marks})", row)  # noqa: S608

    def _forget(self, path: str) -> None:
        self._connection.execute("DELETE FROM run WHERE path = ?", [path])
        self._connection.execute("DELETE FROM figure WHERE run = ?", [path])


@contextmanager
def opened(file: Path | None) -> Iterator[Archive]:
    """The table in a file, made if it is missing or of another form; None: in memory.

    Raises:
        InputError: the file is something else, or cannot be used.
    """
    try:
        with closing(sqlite3.connect(":memory:" if file is None else file)) as connection:
            _prepare(connection, file)
            yield Archive(connection)
    except sqlite3.Error as error:
        raise InputError(
            f"--store {'' if file is None else shown(file)}: cannot be used: {error}; name another "
            "file, or delete this one: it is made again from the records"
        ) from error


def _prepare(connection: sqlite3.Connection, file: Path | None) -> None:
    (ours,), (form,), (tables,) = (
        connection.execute(query).fetchone()
        for query in (
            "PRAGMA application_id",
            "PRAGMA user_version",
            "SELECT count(*) FROM sqlite_master",
        )
    )
    if tables and ours != _OURS:
        raise InputError(
            f"--store {file}: somebody else's database, which is left alone; name another file"
        )
    if not tables or form != _FORM:
        connection.executescript(_TABLES)
