"""Records of pairs as their command writes them, with outcomes that are known."""

import json
from pathlib import Path

import numpy as np

from bitcliff.record.pairs import PairOutcomes, Right, pair_figures
from bitcliff.sweep.cell import Cell
from bitcliff.sweep.tables import CellRecords, read_cells

POLICIES = ("float", "robust", "brittle", "random")
SETTINGS = {
    "parity_gap": 2.0,
    "bits": "II",
    "data": "digits",
    "epochs": 3,
    "batch_size": 64,
    "optimiser": {"kind": "sgd", "lr": 0.1, "weight_decay": 0.0001},
    "scheme": "paper",
    "weight_bits": 16,
    "hinge_weight": 1.0,
    "distillation_weight": 1.0,
    "estimator": "straight-through",
}
N = 300


def outcomes(seed: int, broken: float, kept: float = 0.9) -> dict[str, dict[str, Right]]:
    """The brittle network loses a share of all under its own policy.

    Args:
        kept: share that the brittle network has right in float; the others have 0.9.
    """
    rng = np.random.default_rng(seed)
    base = rng.permutation(N) < 0.9 * N
    rows = {network: {policy: base.copy() for policy in POLICIES} for network in ("base", "robust")}
    brittle = rng.permutation(N) < kept * N
    rows["brittle"] = {policy: brittle.copy() for policy in POLICIES}
    rows["brittle"]["brittle"] &= rng.random(N) >= broken
    rows["robust"]["robust"] &= rng.random(N) >= 0.01
    return rows


def pair_cell(network: str, bits: str, budget: str, seed: int) -> Cell:
    axes: dict[str, str | int | float] = {"network": network, "bits": bits, "budget": budget}
    axes |= {"seed": seed, "estimator": "straight-through"}
    return Cell(f"{network}.{bits}.{budget}.seed-{seed}", "pair", axes, ())


def records(
    folder: Path, found: dict[Cell, dict[str, dict[str, Right]]], stop_after: int = 0
) -> CellRecords:
    """Written, and read again."""
    runs = {cell.name: folder / cell.name for cell in found}
    for cell, right in found.items():
        run, kept = runs[cell.name], PairOutcomes.of(right)
        run.mkdir(parents=True)
        one = {"seed": 0, **pair_figures(kept, 2.0), "outcomes": kept.model_dump()}
        result = {"points": 20, "total_bits": 130, "policy_freedom_log2": 50.8, "results": [one]}
        result |= {"epochs": {"seed-0/robust": 2, "seed-0/brittle": 3}}
        (run / "result.json").write_text(json.dumps(result))
        (run / "config.json").write_text(json.dumps({**SETTINGS, "stop_after": stop_after}))
    return read_cells(list(found), runs)
