"""The folder of a training run: locked, its configuration fixed, its metrics kept in step."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bitcliff.errors import InputError
from bitcliff.record import make_folder, read_json_lines, write_text_atomic
from bitcliff.run.run_directory import CONFIG, LOCK, held, open_run

METRICS = "metrics.jsonl"


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the folder, made if need be; what was refused before any training leaves no trace.

    Raises:
        InputError: it cannot be made or used, or another process holds it; the text says which.
    """
    made = [folder for folder in (directory, *directory.parents) if not folder.exists()]
    open_run(directory)
    before = _names(directory)
    try:
        with held(directory):
            try:
                yield
            except BaseException:
                _forget_unbegun(directory, before)
                raise
    except BaseException:
        with suppress(OSError):  # they hold something by now
            for folder in made:  # the deepest first
                folder.rmdir()
        raise


def _forget_unbegun(directory: Path, before: set[str]) -> None:
    """Without any training, a configuration must not stand in the way of the mended command.

    `before`: what lay there, and is not this command's.
    """
    if _names(directory) - before <= {CONFIG, LOCK} and CONFIG not in before:
        (directory / CONFIG).unlink(missing_ok=True)


def _names(directory: Path) -> set[str]:
    return {entry.name for entry in directory.iterdir()}


def fix_config(directory: Path, config: dict[str, Any], resume: bool) -> None:
    """Write a new run's configuration, or see that a resumed run has the same.

    Raises:
        InputError: there is a run already and `resume` is not asked for, or it is of another
            configuration; the text shows the first differences.
    """
    file = directory / CONFIG
    if not file.exists():
        write_text_atomic(file, json.dumps(config, indent=2) + "\n")
        return
    if not resume:
        raise InputError(f"--out {directory}: holds a run already; give --resume or another folder")
    try:
        before = dict(json.loads(file.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{file}: damaged; give another --out") from error
    keys = sorted(before.keys() | config.keys())
    changed = [key for key in keys if before.get(key) != config.get(key)]
    if changed:
        shown = "; ".join(f"{key} was {before.get(key)}, is {config.get(key)}" for key in changed)
        raise InputError(f"--resume: the config is not that of {directory}: {shown}")


class MetricsFile:
    """One JSON object a line, by epoch; lines after a resumed step are written anew."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / METRICS

    def add(self, entry: dict[str, Any]) -> None:
        """Append one, on disk before the checkpoint that says its epoch is done.

        Lines of the same or a later step were measured by a run that was killed: they go.

        Raises:
            InputError: the file cannot be written.
        """
        make_folder(self._path.parent)
        before = [line for line in read_json_lines(self._path) if line["step"] < entry["step"]]
        text = "".join(json.dumps(line) + "\n" for line in [*before, entry])
        write_text_atomic(self._path, text)
