"""Stored runs in an experiment tracker: MLflow, or Weights & Biases."""

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from bitcliff.adapters.optional import quiet, require
from bitcliff.adapters.wording import one_line
from bitcliff.errors import BitcliffError, InputError
from bitcliff.record.files import shown
from bitcliff.record.measurement import stem_of
from bitcliff.record.pairs import RESULT
from bitcliff.record.store import RECORD_NAME
from bitcliff.record.summary import Figure, Run
from bitcliff.run.archive.reading import read_run
from bitcliff.run.run_directory import commands_in, config_in
from bitcliff.verdict import EXIT_CODES, Status

# Where nothing else is asked for.
_PROJECT = "bitcliff"
# By which MLflow finds a run again: its record's hash.
_TAG = "bitcliff.record"
_COUNTED = {"right": "accuracy", "as in float": "agreement"}
_ABOUT = (
    *("command", "model", "data", "examples", "weights_sha256", "data_sha256", "seed", "bitcliff"),
    *("started", "finished", "verdict"),
)


@dataclass(frozen=True)
class Entry:
    """One run as a tracker takes it.

    Attributes:
        name: the folder's. record: hash of the file that its figures were worked out from, SHA-256.
        params: what it was about and its settings, by name. metrics: its figures: shares from 0 to
            1, changes against float in percentage points, and `gate`, the gate's exit code.
        files: the record, and the report where there is one.
    """

    name: str
    record: str
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    files: tuple[Path, ...]


@dataclass(frozen=True)
class Kept:
    """Where a run is in the tracker; `new`: it was not before."""

    at: str
    new: bool


Tracker = Callable[[Entry], Kept]
"""Puts a run there, unless it is there.

Raises:
    InputError: the tracker refuses it, or is not to be reached.
"""


def entry_of(run: Run) -> Entry:
    """A run with all its figures, worked out anew from its record.

    Raises:
        InputError: the record is refused, or is gone.
    """
    folder = Path(run.path)
    try:
        names = {file.name for file in folder.iterdir()}
        (command, *_) = commands_in(folder, names)
        whole = read_run(folder, command)
        if whole.refused is not None:
            raise InputError(whole.refused)
        file = folder / _record_of(command, names)
        held = file.read_bytes()
    except (OSError, ValueError) as error:
        raise InputError(f"{shown(folder)}: changed while it was read; run this again") from error
    about = {name: getattr(whole, name) for name in _ABOUT}
    settings = json.loads(held).get("settings") or config_in(folder)
    params = {**about, **dict(_flat(settings, "settings"))}
    report = folder / "report.html"
    return Entry(
        shown(folder),
        hashlib.sha256(held).hexdigest(),
        {_key(name): one for name, one in params.items() if one not in (None, "", [])},
        _metrics(whole),
        (file, report) if report.is_file() else (file,),
    )


def _record_of(command: str, names: set[str]) -> str:
    """The file whose figures are worked out anew."""
    if command == "train":
        return RESULT
    name = RECORD_NAME if command == "assess" else f"{stem_of(command)}.json"
    return name if name in names else "batchmates.json"  # of before it was called isolate


def _flat(node: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for key, one in node.items():
            yield from _flat(one, f"{name}.{key}")
    else:
        yield name, node


def _metrics(run: Run) -> dict[str, float]:
    found: dict[str, float] = {}
    for figure in run.figures:
        for what, value in _numbers(figure).items():
            key = f"{_key(what)}/{_key(figure.name)}"
            while key in found:  # names that differ in no letter that a tracker takes
                key += "_"
            if value is not None:
                found[key] = float(value)
    if run.verdict is not None:
        found["gate"] = float(EXIT_CODES[cast(Status, run.verdict)])
    return found


def _numbers(figure: Figure) -> dict[str, float | None]:
    counted = _COUNTED.get(figure.counted, figure.counted)
    return {
        counted: figure.value,
        f"{counted}_low": figure.low,
        f"{counted}_high": figure.high,
        "n": figure.n,
        "change_pp": figure.change_pp,
        "change_pp_low": figure.change_low,
        "change_pp_high": figure.change_high,
        "p_holm": figure.p_holm,
    }


def _key(text: str) -> str:
    """A name in the letters that every tracker takes; those of files can hold anything."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", text)[:100]


def tracker(target: str) -> Tracker:
    """The tracker that `--to` names; its package is looked for before anything is read.

    Args:
        target: "mlflow", with a tracking URI after a colon, or "wandb", with a project or
            entity/project.

    Raises:
        InputError: there is no such tracker. MissingExtra: its package is not installed.
    """
    kind, _, where = target.partition(":")
    if kind not in _TRACKERS:
        raise InputError(f"--to {target}: should be {_FORMS}")
    make = _TRACKERS[kind](where)

    def put(entry: Entry) -> Kept:
        try:
            with quiet():
                return make(entry)
        except BitcliffError:
            raise
        except Exception as error:
            raise InputError(f"--to {kind}: {entry.name}: {one_line(error)}") from error

    return put


def _wandb(project: str) -> Tracker:
    # Not the folder `wandb` that it writes, which Python takes for a package where it is missing.
    require("wandb.sdk", "wandb", "--to wandb")
    wandb = require("wandb", "wandb", "--to wandb")
    entity, _, name = project.rpartition("/")

    def put(entry: Entry) -> Kept:
        id_ = f"bitcliff-{entry.record[:32]}"
        settings = wandb.setup().settings  # of its files and of the environment
        if settings.mode == "disabled":
            raise InputError("--to wandb: WANDB_MODE=disabled puts nothing there; unset it")
        if settings.mode in ("offline", "dryrun"):  # without a server nothing else knows of it
            for there in Path(settings.wandb_dir).glob(f"offline-run-*-{id_}"):
                return Kept(str(there), False)
        with wandb.init(
            entity=entity or None,
            project=name or os.environ.get("WANDB_PROJECT") or _PROJECT,
            id=id_,
            name=entry.name,
            job_type=str(entry.params["command"]),
            config={**entry.params, "record_sha256": entry.record},
            resume="allow",
            # Of the machine that logs: nothing of it is the run's.
            settings=wandb.Settings(
                silent=True, console="off", disable_git=True, disable_code=True,
                x_disable_stats=True, x_disable_meta=True, x_save_requirements=False,
            ),
        ) as run:  # fmt: skip
            at = str(Path(run.dir).parent) if run.offline else str(run.url)
            if run.resumed and entry.metrics.keys() <= set(run.summary.keys()):
                return Kept(at, False)
            artifact = wandb.Artifact(f"bitcliff-{entry.record[:32]}", type="bitcliff")
            for file in entry.files:
                artifact.add_file(str(file))
            run.log_artifact(artifact)
            run.log(dict(entry.metrics))
        return Kept(at, True)

    return put


def _mlflow(uri: str) -> Tracker:
    mlflow = require("mlflow", "mlflow", "--to mlflow")
    entities = require("mlflow.entities", "mlflow", "--to mlflow")

    def put(entry: Entry) -> Kept:
        client = mlflow.MlflowClient(tracking_uri=uri or None)
        experiment = _experiment(client)
        # One that was interrupted is not the whole.
        same = f"tags.`{_TAG}` = '{entry.record}' AND attributes.status = 'FINISHED'"
        for there in client.search_runs([experiment], same, max_results=1):
            return Kept(f"run {there.info.run_id}", False)
        began, ended = (
            int(datetime.fromisoformat(entry.params[name]).timestamp() * 1000)
            if name in entry.params
            else int(time.time() * 1000)
            for name in ("started", "finished")
        )
        tags = {_TAG: entry.record, "bitcliff.verdict": str(entry.params.get("verdict", ""))}
        made = client.create_run(experiment, began, tags, entry.name).info.run_id
        try:
            numbers = [entities.Metric(key, one, ended, 0) for key, one in entry.metrics.items()]
            texts = [entities.Param(key, str(one)[:500]) for key, one in entry.params.items()]
            # A server takes so many at once.
            for at in range(0, max(len(numbers), len(texts)), 100):
                client.log_batch(made, numbers[at : at + 100], texts[at : at + 100])
            for file in entry.files:
                client.log_artifact(made, str(file))
            client.set_terminated(made, "FINISHED", ended)
        except BaseException:
            with suppress(Exception):
                client.set_terminated(made, "FAILED")
            raise
        return Kept(f"run {made}", True)

    return put


def _experiment(client: Any) -> str:
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or _PROJECT
    there = client.get_experiment_by_name(name)
    return str(client.create_experiment(name) if there is None else there.experiment_id)


_TRACKERS: Mapping[str, Callable[[str], Tracker]] = {"mlflow": _mlflow, "wandb": _wandb}
_FORMS = "mlflow, mlflow:URI, wandb or wandb:PROJECT"
