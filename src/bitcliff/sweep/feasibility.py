"""Whether every cell can be, before any of them starts, and how long one takes."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from bitcliff.budget import freedom_log2
from bitcliff.errors import InputError
from bitcliff.points import Plan, discover
from bitcliff.run.hardware import find_hardware
from bitcliff.run.train_config import PairConfig, TrainConfig
from bitcliff.run.training_data import Splits, load_network, open_splits
from bitcliff.sweep.cell import FOLDER, Cell
from bitcliff.sweep.grid import train_config
from bitcliff.train.pair import PairStage
from bitcliff.types.subject import Subject

_STEPS = 3  # that are timed, after one that is not
_VALIDATED = 512
# Of one example: in float, and quantized under both policies and a random one, by three networks.
_MEASURED = 12


@dataclass(frozen=True)
class CellPlan:
    """What is known of a pair's cell before it runs.

    Attributes:
        points: of its network. total_bits: of every allocation. freedom_log2: how many there are.
        seconds: it is estimated to take; None: it was not timed.
    """

    points: int
    total_bits: int
    freedom_log2: float
    seconds: float | None = None


def plan_cells(cells: Sequence[Cell], timed: bool = False) -> dict[str, CellPlan]:
    """By name, what is known of the pairs' cells; their data and networks are loaded.

    Args:
        timed: take a few steps with each network, to estimate.

    Raises:
        InputError: a network or its data cannot be loaded, or a budget cannot be met; the text
            names the cell, and says which means would do.
    """
    found: dict[str, CellPlan] = {}
    looks: dict[str, _Look] = {}
    for cell in cells:
        if cell.kind != "pair":
            continue
        network = str(cell.axes["network"])
        config = _config(cell)
        try:
            if network not in looks:
                looks[network] = _Look.of(config)
            look = looks[network]
            points = len(look.plan)
            total = config.total(points)
        except InputError as error:
            raise InputError(f"cell {cell.name}: {error}") from error
        freedom = freedom_log2(points, list(config.options), total)
        seconds = look.seconds(config) if timed else None
        found[cell.name] = CellPlan(points, total, freedom, seconds)
    return found


def _config(cell: Cell) -> PairConfig:
    config = train_config(cell)
    if not isinstance(config, PairConfig):
        raise InputError(f"cell {cell.name}: is no pair")
    return config


@dataclass
class _Look:
    """A network of the grid, and how long its steps take once that was asked."""

    subject: Subject
    splits: Splits
    plan: Plan
    timed: tuple[float, float] | None = None

    @classmethod
    def of(cls, config: PairConfig) -> "_Look":
        subject = load_network(_as_it_begins(config), 0)
        splits = open_splits(config, subject)
        return cls(subject, splits, discover(subject.module, splits.training.inputs[:8]))

    def seconds(self, config: PairConfig) -> float:
        """From a few steps and part of a validation; other widths take as long."""
        if self.timed is None:
            self.timed = self._time(config)
        step, validated = self.timed
        examples, parts = len(self.splits.training.ids), self.splits
        steps = config.epochs * (examples // config.batch_size)
        # Each validation is in float and quantized, besides one of the teacher.
        looked_at = len(parts.validation.ids) * (config.epochs + 0.5) * len(config.aims)
        looked_at += len(parts.test.ids) * _MEASURED / 2
        return steps * step * len(config.aims) + looked_at * validated

    def _time(self, config: PairConfig) -> tuple[float, float]:
        """Seconds of a step, and of an example that is validated."""
        held_out = self.splits.validation
        few = held_out.take(torch.arange(min(_VALIDATED, len(held_out))))
        hardware = find_hardware(config)
        self.subject.module.to(hardware.device)
        network, training = self.subject.module, self.splits.training
        stage = PairStage("brittle", network, self.plan, training, few, config, 0, hardware)
        clock = time.perf_counter if hardware.device.type == "cuda" else _quiet_seconds
        steps = [self._step(stage, config, clock) for _ in range(1 + _STEPS)][1:]
        began = clock()
        stage.validate()
        return sum(steps) / _STEPS, (clock() - began) / len(few.ids)

    def _step(self, stage: PairStage, config: PairConfig, clock: Callable[[], float]) -> float:
        began = clock()
        loss, _ = stage.loss(torch.arange(min(config.batch_size, len(stage.ids))))
        loss.backward()
        for network in stage.networks.values():
            network.zero_grad()
        return clock() - began


def _quiet_seconds() -> float:
    """As they pass on a processor that does nothing else."""
    return time.process_time() / torch.get_num_threads()


def _as_it_begins(config: PairConfig) -> TrainConfig:
    """With the weights that are there; where they come of another cell, as at random."""
    if FOLDER not in str(config.weights):
        if not Path(config.weights).exists():
            raise InputError(f"weights {config.weights}: no such file")
        return config
    fields = config.model_dump(include=set(TrainConfig.model_fields))
    return TrainConfig.model_validate(fields | {"weights": None, "initial": "random"})
