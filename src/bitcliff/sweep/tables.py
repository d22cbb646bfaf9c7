"""The paper's tables from the records of cells: all follows from their outcomes."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bitcliff.errors import InputError
from bitcliff.questions.kinds import KINDS
from bitcliff.record import Record, read_record
from bitcliff.record.pairs import BASE, FLOAT, PairOutcomes, read_pairs
from bitcliff.stats import bounded_mean, change_between, clustered_rate
from bitcliff.sweep.cell import Cell
from bitcliff.train.pair_settings import BIT_OPTIONS
from bitcliff.types.rate import ClusteredRate

_CONFIG = "config.json"


@dataclass(frozen=True)
class PairCell:
    """A pair's cell: its settings as its command wrote them, its result and its outcomes."""

    cell: Cell
    settings: Mapping[str, Any]
    result: Mapping[str, Any]
    outcomes: PairOutcomes

    @property
    def parity(self) -> dict[str, bool]:
        """By role, whether float accuracy was kept."""
        found = self.result["results"][0]["parity"]
        return {role: bool(one["held"]) for role, one in found.items()}


@dataclass(frozen=True)
class Group:
    """The seeds of one place in the grid.

    Attributes:
        place: network, bits, budget and estimator.
    """

    place: tuple[str, str, str, str]
    cells: tuple[PairCell, ...]

    def right(self, network: str, policy: str) -> npt.NDArray[np.int64]:
        """(n,) the number of seeds in which each example is right."""
        rows = [one.outcomes.right(network, policy) for one in self.cells]
        counts: npt.NDArray[np.int64] = np.sum(rows, axis=0, dtype=np.int64)
        return counts

    def accuracy(self, network: str, policy: str) -> ClusteredRate:
        """Over all seeds, its interval allowing for each example being there in all of them."""
        hits = self.right(network, policy).tolist()
        return clustered_rate(hits, [len(self.cells)] * len(hits))

    def change(self, network: str, policy: str) -> tuple[float, float, float]:
        """From float, in points over all seeds, and its 95 % interval for other examples."""
        if len(self.cells) == 1:
            before, after = (self.right(network, one) > 0 for one in (FLOAT, policy))
            found: Any = change_between(before, after)
            return found.difference_pp, found.low_pp, found.high_pp
        difference = self.right(network, policy) - self.right(network, FLOAT)
        mean: Any = bounded_mean((difference / len(self.cells) + 1) / 2)
        value, low, high = (100 * (2 * one - 1) for one in (mean.value, mean.low, mean.high))
        return value, low, high

    @property
    def roles(self) -> list[str]:
        """Those trained."""
        return [name for name in self.cells[0].outcomes.networks if name != BASE]


@dataclass(frozen=True)
class CellRecords:
    """All that tables are made of."""

    groups: tuple[Group, ...]
    audits: tuple[tuple[Cell, Record], ...]


def read_cells(cells: Sequence[Cell], runs: Mapping[str, Path]) -> CellRecords:
    """The records of cells that are done.

    Args:
        runs: by a cell's name, its run folder.

    Raises:
        InputError: one is missing, damaged, or its figures are not those of its outcomes.
    """
    grouped: dict[tuple[str, str, str, str], list[PairCell]] = {}
    audits = []
    for cell in cells:
        if cell.kind == "pair":
            axes = cell.axes
            place = (*(str(axes[key]) for key in ("network", "bits", "budget", "estimator")),)
            grouped.setdefault(place, []).append(_read_pair(cell, runs[cell.name]))  # type: ignore[arg-type]
        elif cell.kind == "assess":
            audits.append((cell, read_record(runs[cell.name], KINDS)))
    groups = tuple(Group(place, tuple(found)) for place, found in grouped.items())
    return CellRecords(groups, tuple(audits))


def _read_pair(cell: Cell, run: Path) -> PairCell:
    try:
        settings = json.loads((run / _CONFIG).read_bytes())
        gap = float(settings["parity_gap"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{run / _CONFIG}: no configuration of a pair") from error
    result = read_pairs(run, gap)
    return PairCell(cell, settings, result, result["results"][0]["outcomes"])


Row = dict[str, Any]


def table1(groups: Sequence[Group]) -> list[Row]:
    """For each place and role: accuracy in float, and the change under the co-trained policy."""
    return [row for group in groups for row in _of_roles(group)]


def _of_roles(group: Group) -> Iterator[Row]:
    result, settings = group.cells[0].result, group.cells[0].settings
    for role in group.roles:
        in_float, (change, low, high) = group.accuracy(role, FLOAT), group.change(role, role)
        changes = [_change(one, role) for one in group.cells]
        bits = settings["bits"]
        least, most = BIT_OPTIONS[bits] if isinstance(bits, str) else bits
        yield {
            **_place(group),
            "least_bits": least,
            "most_bits": most,
            "points": result["points"],
            "total_bits": result["total_bits"],
            "policy_freedom_log2": result["policy_freedom_log2"],
            "role": role,
            "seeds": len(group.cells),
            "n": in_float.clusters,
            "base_float": _percent(group.accuracy(BASE, FLOAT).value),
            "float": _percent(in_float.value),
            "float_low": _percent(in_float.low),
            "float_high": _percent(in_float.high),
            "change_pp": change,
            "change_low_pp": low,
            "change_high_pp": high,
            "change_least_pp": min(changes),
            "change_most_pp": max(changes),
            "parity_held": sum(one.parity[role] for one in group.cells),
            "parity_gap_pp": settings["parity_gap"],
        }


def table2(groups: Sequence[Group]) -> list[Row]:
    """For each place with both roles: transitory points, of those both get right and of all."""
    return [_transitory(group) for group in groups if {"robust", "brittle"} <= set(group.roles)]


def _transitory(group: Group) -> Row:
    both = [
        one.outcomes.right("robust", FLOAT) & one.outcomes.right("brittle", FLOAT)
        for one in group.cells
    ]
    moved = [
        right & ~one.outcomes.right("brittle", "brittle")
        for right, one in zip(both, group.cells, strict=True)
    ]
    hits = np.sum(moved, axis=0).tolist()
    of_both = clustered_rate(hits, np.sum(both, axis=0).tolist())
    of_all = clustered_rate(hits, [len(group.cells)] * len(hits))
    row = {**_place(group), "seeds": len(group.cells), "n": len(hits)}
    for name, found in (("of_both_right", of_both), ("of_all", of_all)):
        row |= {f"{name}_k": found.k, f"{name}_n": found.n, name: _percent(found.value)}
        row |= {f"{name}_low": _percent(found.low), f"{name}_high": _percent(found.high)}
    held = sum(all(one.parity.values()) for one in group.cells)
    return {**row, "parity_held_by_both": held}


def table3(groups: Sequence[Group]) -> list[Row]:
    """For each place: every network under every policy."""
    return [
        _crossed(group, network, policy)
        for group in groups
        for network in group.cells[0].outcomes.networks
        for policy in group.cells[0].outcomes.policies
    ]


def _crossed(group: Group, network: str, policy: str) -> Row:
    mean = group.accuracy(network, policy)
    seeds = [100 * float(one.outcomes.right(network, policy).mean()) for one in group.cells]
    return {
        **_place(group),
        "trained_as": network,
        "policy": policy,
        "seeds": len(seeds),
        "n": mean.clusters,
        "accuracy": _percent(mean.value),
        "low": _percent(mean.low),
        "high": _percent(mean.high),
        "least": min(seeds),
        "most": max(seeds),
        # Of the network before there is none: the others are held against it.
        "parity_held": sum(one.parity.get(network, True) for one in group.cells),
    }


def audit_table(audits: Sequence[tuple[Cell, Record]]) -> list[Row]:
    """For each audit and policy: how many are right, or as in float, and the change."""
    return [_audited(cell, record, policy) for cell, record in audits for policy in record.policies]


def _audited(cell: Cell, record: Record, policy: Any) -> Row:
    rate, change = policy.accuracy or policy.agreement, policy.change
    in_float = record.float_.accuracy
    return {
        "network": cell.axes["network"],
        "asked": cell.axes.get("numerics", cell.axes.get("budget")),
        "cell": cell.name,
        "policy": policy.name,
        "threat": policy.threat,
        "counted": "right" if policy.accuracy else "as in float",
        "float": _percent(in_float.value) if in_float else None,
        "value": _percent(rate.value),
        "low": _percent(rate.low),
        "high": _percent(rate.high),
        "n": rate.n,
        "change_pp": change.difference_pp if change else None,
        "change_low_pp": change.low_pp if change else None,
        "change_high_pp": change.high_pp if change else None,
        "holm_p": change.p_holm if change else None,
    }


def notable(groups: Sequence[Group]) -> dict[str, Group]:
    """For each network the place whose brittle network lost most with parity held in all seeds.

    The paper marks such pairs in purple. None is held up where parity failed: a network that is
    bad in float proves nothing.
    """
    found: dict[str, tuple[float, Group]] = {}
    for group in groups:
        roles = set(group.roles)
        if not {"robust", "brittle"} <= roles:
            continue
        if not all(all(one.parity.values()) for one in group.cells):
            continue
        loss = -group.change("brittle", "brittle")[0]
        network = group.place[0]
        if network not in found or loss > found[network][0]:
            found[network] = loss, group
    return {network: group for network, (_, group) in found.items()}


def _place(group: Group) -> Row:
    return dict(zip(("network", "bits", "budget", "estimator"), group.place, strict=True))


def _change(one: PairCell, role: str) -> float:
    in_float, quantized = (one.outcomes.right(role, policy) for policy in (FLOAT, role))
    return 100 * float(quantized.mean() - in_float.mean())


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share
