from math import prod
from pathlib import Path
from typing import Any

import pytest
import yaml

from bitcliff.errors import InputError
from bitcliff.run.train_config import PairConfig
from bitcliff.sweep.cell import Cell
from bitcliff.sweep.feasibility import plan_cells
from bitcliff.sweep.grid import read_sweep, train_config
from bitcliff.zoo.shipped import SHIPPED

CONFIGS = Path(__file__).parents[2] / "configs"
PAIRS: dict[str, Any] = {
    "data": "digits",
    "networks": {
        "small": {"model": "zoo:digits", "weights": str(SHIPPED["base-digits"].weights)},
        "new": {"model": "zoo:thin-regnetx", "teacher": {"epochs": 2}},
    },
    "bits": ["I", [3, 5]],
    "budgets": ["A", 4.5],
    "seeds": [0, 7],
    "settings": {"epochs": 3},
}
AUDITS: dict[str, Any] = {
    "models": {"brittle": {"model": "brittle-digits"}, "base": {"model": "base-digits"}},
    "numerics": ["vllm-int8-token"],
    "budgets": [5.5, 7],
    "settings": {"minutes": 1, "bits": [3, 4, 5, 6, 7, 8], "explain": True},
}


def cells_of(tmp_path: Path, **config: Any) -> list[Cell]:
    file = tmp_path / "sweep.yaml"
    file.write_text(yaml.safe_dump(config, sort_keys=False))
    return read_sweep(file)[1]


def test_a_cell_for_each_place_and_bases_first(tmp_path: Path) -> None:
    cells = cells_of(tmp_path, pairs=PAIRS)
    assert [cell.name for cell in cells if cell.kind == "teacher"] == ["new.teacher"]
    assert cells[0].name == "new.teacher"
    pairs = [cell for cell in cells if cell.kind == "pair"]
    assert len(pairs) == 2 * 2 * 2 * 2
    assert len({cell.name for cell in cells}) == len(cells)
    assert {cell.after for cell in pairs if cell.axes["network"] == "new"} == {"new.teacher"}
    one = next(cell for cell in pairs if cell.name == "small.3-5.4.5.seed-7")
    config = train_config(one)
    assert isinstance(config, PairConfig)
    assert (config.options, config.mean_bits, config.seeds) == ((3, 4, 5), 4.5, (7,))
    assert (config.epochs, config.aims) == (3, ("robust", "brittle"))


def test_audits_are_the_commands_of_the_command_line(tmp_path: Path) -> None:
    cells = cells_of(tmp_path, audits=AUDITS)
    assert len(cells) == 2 * 3
    options = ("--minutes", "1", "--bits", "3,4,5,6,7,8", "--explain")
    assert cells[0].arguments == (
        *("assess", "brittle-digits", "--numerics", "vllm-int8-token"),
        *options,
    )
    assert cells[1].arguments == ("assess", "brittle-digits", "--budget", "5.5", *options)


def test_the_paper_has_27_places(tmp_path: Path) -> None:
    config, cells = read_sweep(CONFIGS / "paper-sweep.yaml")
    assert config.pairs is not None
    places = {(*(cell.axes[key] for key in ("network", "bits", "budget")),) for cell in cells[3:]}
    assert len(places) == 27
    assert {network.beside for network in config.pairs.networks.values()} == {
        "ResNet18",
        "MobileNetV4",
        "RegNetX-1.6GF",
    }


@pytest.mark.parametrize("name", ["digits", "fashion-mnist"])
def test_the_other_committed_grids_are_whole(name: str) -> None:
    config, cells = read_sweep(CONFIGS / f"{name}-sweep.yaml")
    assert config.pairs is not None
    axes = (config.pairs.networks, config.pairs.bits, config.pairs.budgets, config.pairs.seeds)
    places = prod(len(axis) for axis in axes)
    assert len(cells) == len(config.pairs.networks) + places


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"pairs": {**PAIRS, "seedz": [1]}}, "unknown key pairs.seedz; did you mean seeds?"),
        ({"pair": PAIRS}, "unknown key pair; did you mean pairs?"),
        (
            {"pairs": {**PAIRS, "settings": {"epoch": 3}}},
            "cell small.I.A.seed-0: settings: unknown key epoch; did you mean epochs?",
        ),
        (
            {"pairs": {**PAIRS, "networks": {"n": {"model": "m", "teacher": {"epocs": 1}}}}},
            "pairs.networks.n.teacher: unknown key epocs; did you mean epochs?",
        ),
        (
            {"pairs": {**PAIRS, "networks": {"n": {"modell": "m", "weights": "w"}}}},
            "unknown key pairs.networks.n.modell; did you mean model?",
        ),
        (
            {"pairs": {**PAIRS, "networks": {"n": {"model": "m"}}}},
            "give one of weights, teacher and distill",
        ),
        ({"pairs": {**PAIRS, "networks": {"../x": {"model": "m"}}}}, "pairs.networks.../x"),
        ({"pairs": {**PAIRS, "seeds": [1, 1]}}, "each must stand once"),
        ({"audits": {**AUDITS, "settings": {"minute": 1}}}, "unknown key minute; did you mean"),
        (
            {"audits": {**AUDITS, "budgets": [2.5]}},
            "audits: brittle budget 2.5: --budget 2.5 cannot be met with bits 3..8: feasible means",
        ),
        ({"audits": {**AUDITS, "numerics": ["int9"]}}, "--numerics int9 is not known"),
        ({}, "give pairs, audits or both"),
    ],
)
def test_a_slip_is_told_in_a_line(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError) as error:
        cells_of(tmp_path, **change)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_a_budget_that_cannot_be_met_is_refused_with_those_that_can(tmp_path: Path) -> None:
    cells = cells_of(tmp_path, pairs={**PAIRS, "bits": [[5, 10]]})
    with pytest.raises(InputError) as error:
        plan_cells(cells)
    assert "cell small.5-10.A.seed-0: mean 4 bits per point (total 80)" in str(error.value)
    assert "means between 5 and 10 bits" in str(error.value)


def test_missing_weights_are_told_before_anything_starts(tmp_path: Path) -> None:
    networks = {"small": {"model": "zoo:digits", "weights": "nowhere.safetensors"}}
    cells = cells_of(tmp_path, pairs={**PAIRS, "networks": networks})
    with pytest.raises(InputError, match=r"cell small\S+: weights nowhere.safetensors: no such"):
        plan_cells(cells)


def test_a_plan_knows_points_freedom_and_time(tmp_path: Path) -> None:
    cells = cells_of(tmp_path, pairs={**PAIRS, "bits": ["III"], "budgets": ["A"], "seeds": [0]})
    found = plan_cells(cells, timed=True)
    assert set(found) == {"small.III.A.seed-0", "new.III.A.seed-0"}
    plan = found["small.III.A.seed-0"]
    # Five bits everywhere is the only way to a mean of five.
    assert (plan.points, plan.total_bits, plan.freedom_log2) == (20, 100, 0.0)
    assert plan.seconds is not None
    assert 0.1 < plan.seconds < 600
