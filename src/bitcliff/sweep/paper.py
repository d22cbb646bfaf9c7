"""The paper's own tables, and how what was run here differs from what it ran."""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from bitcliff.sweep.settings import PairGrid
from bitcliff.sweep.tables import Group, Row


class Paper:
    """The paper's numbers for the networks of a grid.

    Args:
        beside: by the name of a network here, the paper's.
    """

    def __init__(self, beside: Mapping[str, str]) -> None:
        self._beside = beside

    @classmethod
    def of(cls, grid: PairGrid | None) -> "Paper":
        """As the grid says."""
        networks = grid.networks.items() if grid else ()
        return cls({name: one.beside for name, one in networks if one.beside})

    def pair(self, row: Row) -> tuple[float, float] | None:
        """Float accuracy in percent, and the change in points, of a row of Table 1."""
        asked = (self._beside.get(row["network"]), row["bits"], row["budget"], row["role"])
        for network, bits, budget, role, _base, in_float, change in numbers()["table1"]:
            if (network, bits, budget, role) == asked:
                return in_float, change
        return None

    def transitory(self, row: Row) -> float | None:
        """Percent of a row of Table 2; the paper leaves open of what, and has one a network."""
        network = self._beside.get(row["network"], "")
        place = numbers()["table2_cells"].get(network)
        shown: float | None = numbers()["table2"].get(network)
        return shown if place == [row["bits"], row["budget"]] else None

    def crossed(self, row: Row) -> float | None:
        """Percent of a row of Table 3."""
        table = numbers()["table3"]
        asked = (self._beside.get(row["network"]), row["bits"], row["budget"])
        if asked != (table["network"], table["bits"], table["budget"]):
            return None
        values: list[float] | None = table.get(row["policy"])
        return values[table["columns"].index(row["trained_as"])] if values else None


def differing(group: Group) -> list[tuple[str, str, str]]:
    """Setting, the paper's, and here: where a pair's run was another than the paper's."""
    here = dict(group.cells[0].settings)
    here |= {key: here.get("optimiser", {}).get(key) for key in ("lr", "weight_decay")}
    here["optimiser"] = here.get("optimiser", {}).get("kind")
    here["data"] = str(here.get("data")).partition(":")[0]  # without the folder where it lies
    return [
        (key, f"{theirs}", f"{here.get(key)}")
        for key, theirs in numbers()["settings"].items()
        if here.get(key) != theirs
    ]


@cache
def numbers() -> dict[str, Any]:
    """As `paper.json` has them."""
    text = files("bitcliff").joinpath("sweep/paper.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found
