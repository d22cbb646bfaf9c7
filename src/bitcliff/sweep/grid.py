"""From a sweep's file to its cells, each refused before anything starts if it cannot be."""

from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

from bitcliff.errors import InputError, nearest
from bitcliff.run.train_config import DistillConfig, PairConfig, TeacherConfig, TrainConfig
from bitcliff.run.yaml_file import checked, read_yaml
from bitcliff.sweep.cell import FOLDER, WEIGHTS, Cell, Kind
from bitcliff.sweep.settings import AuditGrid, AuditModel, Network, PairGrid, SweepConfig
from bitcliff.types.options import DataOptions, ModelOptions
from bitcliff.types.settings import AssessSettings, Settings, option_of

STAGES: dict[str, type[TrainConfig]] = {
    "teacher": TeacherConfig,
    "distill": DistillConfig,
    "pair": PairConfig,
}
_CONFIG = "cell.yaml"


def read_sweep(file: Path) -> tuple[SweepConfig, list[Cell]]:
    """A sweep's file, and its cells: those first that others begin with.

    Raises:
        InputError: a slip in the file, also in the settings of a cell; the text names it.
    """
    config = read_yaml(file, SweepConfig)
    pairs = [*_pair_cells(config.pairs, str(file))] if config.pairs else []
    audits = [*_audit_cells(config.audits, str(file))] if config.audits else []
    return config, [*pairs, *audits]


def train_config(cell: Cell, shown: str = "") -> TrainConfig:
    """The settings of a training cell, as its command reads them.

    Raises:
        InputError: a slip in them; the text begins with `shown`.
    """
    return checked(cell.settings, STAGES[cell.kind], shown or cell.name)


def _pair_cells(grid: PairGrid, shown: str) -> Iterator[Cell]:
    bases = {name: _base_cell(name, network, grid) for name, network in grid.networks.items()}
    for base in bases.values():
        if base is not None:
            train_config(base, f"{shown}: pairs.networks.{base.axes['network']}.{base.kind}")
            yield base
    axes = product(grid.networks.items(), grid.bits, grid.budgets, grid.estimators, grid.seeds)
    for (name, network), bits, budget, estimator, seed in axes:
        widths = bits if isinstance(bits, str) else f"{bits[0]}-{bits[1]}"
        place = {"network": name, "bits": widths, "budget": budget, "seed": seed}
        place |= {"estimator": estimator}
        parts = [name, widths, str(budget), f"seed-{seed}"]
        if len(grid.estimators) > 1:
            parts.insert(3, estimator)
        base = bases[name]
        weights = str(network.weights) if base is None else f"{FOLDER}/{WEIGHTS}"
        settings = {
            **grid.settings,
            **network.settings,
            "model": network.model,
            "data": grid.data,
            "weights": weights,
            "bits": bits,
            "budget": budget,
            "estimator": estimator,
            "seeds": [seed],
            "aims": list(grid.roles),
        }
        cell = _training(".".join(parts), "pair", place, settings, base.name if base else None)
        train_config(cell, f"{shown}: pairs: cell {cell.name}: settings")
        yield cell


def _base_cell(name: str, network: Network, grid: PairGrid) -> Cell | None:
    kind: Kind = "teacher" if network.teacher is not None else "distill"
    given = network.teacher if network.teacher is not None else network.distill
    if given is None:
        return None
    settings = {"data": grid.data, **given, "model": network.model, "seeds": [0]}
    return _training(f"{name}.{kind}", kind, {"network": name}, settings)


def _training(
    name: str,
    kind: Kind,
    axes: Mapping[str, str | int | float],
    settings: dict[str, Any],
    after: str | None = None,
) -> Cell:
    arguments = ("train", kind, f"{FOLDER}/{_CONFIG}", "--resume")
    return Cell(name, kind, dict(axes), arguments, settings, after)


def _audit_cells(grid: AuditGrid, shown: str) -> Iterator[Cell]:
    for name, model in grid.models.items():
        asked: list[tuple[str, str | float]] = [("numerics", one) for one in grid.numerics]
        asked += [("budget", one) for one in grid.budgets]
        settings = {**grid.settings, **model.settings}
        options = [*_options(settings, f"{shown}: audits.settings")]
        for axis, value in asked:
            given = f"{value:g}" if isinstance(value, float) else value
            _check(settings, axis, value, f"{shown}: audits: {name} {axis} {given}")
            named = [*_named(model), f"--{axis}", given, *options]
            stem = Path(given).stem if axis == "numerics" else f"mean-{given}"
            place: dict[str, str | int | float] = {"network": name, axis: value}
            yield Cell(f"{name}.{stem}", "assess", place, ("assess", *named))


def _named(model: AuditModel) -> Iterator[str]:
    yield model.model
    for option, value in (("--data", model.data), ("--weights", model.weights)):
        if value is not None:
            yield from (option, str(value))


_ASSESS: tuple[type[Settings], ...] = (AssessSettings, ModelOptions, DataOptions)
_OWN = ("examples", "policy", "plan", "explain")  # options of the command that are no settings


def _options(settings: Mapping[str, Any], shown: str) -> Iterator[str]:
    """Options of `bitcliff assess` from settings by their names."""
    known = {option_of(kind, name).name for kind in _ASSESS for name in kind.model_fields}
    for key, value in settings.items():
        option = key.replace("_", "-")
        if option not in {*known, *_OWN} - {"numerics", "budget"}:
            raise InputError(f"{shown}: unknown key {key}{nearest(option, known)}")
        if value is True:
            yield f"--{option}"
        elif value is not False and value is not None:
            listed = isinstance(value, list | tuple)
            yield from (f"--{option}", ",".join(map(str, value)) if listed else str(value))


def _check(settings: Mapping[str, Any], axis: str, value: str | float, shown: str) -> None:
    """Refuse what is out of range, and a mean that no allocation has."""
    if axis == "numerics" and str(value).endswith((".yaml", ".yml")):
        return  # a format of one's own is checked by its cell
    fields: dict[str, Any] = {
        name: settings[name]
        for name in AssessSettings.model_fields
        if name in settings and not isinstance(settings[name], str)
    }
    fields["budgets" if axis == "budget" else axis] = (value,)
    try:
        AssessSettings(**fields)
    except InputError as error:
        raise InputError(f"{shown}: {error}") from error
