"""Options and budgets by name are the paper's; slips are told in one line."""

from pathlib import Path

import pytest
import yaml

from bitcliff.errors import InputError
from bitcliff.run.train_config import (
    DistillConfig,
    PairConfig,
    TeacherConfig,
    TrainConfig,
    read_config,
)
from bitcliff.types.presets import Format

CONFIGS = Path(__file__).parents[2] / "configs"


def pair(**changes: object) -> PairConfig:
    return PairConfig.model_validate({"model": "m", "data": "d", "weights": "w"} | changes)


@pytest.mark.parametrize(
    ("bits", "least", "totals"),
    [("I", 3, [80, 110, 140]), ("II", 4, [100, 130, 160]), ("III", 5, [100, 130, 160])],
)
def test_names_stand_for_the_papers_numbers(bits: str, least: int, totals: list[int]) -> None:
    """For the 20 points of a ResNet18."""
    for budget, total in zip("ABC", totals, strict=True):
        config = pair(bits=bits, budget=budget)
        assert config.options == tuple(range(least, 11))
        assert config.total(20) == total


def test_numbers_serve_too() -> None:
    config = pair(bits=[2, 5], budget=3.5)
    assert (config.options, config.mean_bits) == ((2, 3, 4, 5), 3.5)


def test_the_committed_configs_are_whole() -> None:
    kinds: dict[str, type[TrainConfig]] = {
        "teacher": TeacherConfig,
        "distill": DistillConfig,
        "pair": PairConfig,
    }
    # Those of sweeps are read in tests/sweep/test_grid.py.
    formats = {CONFIGS / "four-bits.yaml"}
    for file in {*CONFIGS.iterdir()} - {*CONFIGS.glob("*-sweep.yaml")} - formats:
        config = read_config(file, kinds[file.stem.rpartition("-")[2]])
        assert config.model.partition(":")[0] in ("timm", "zoo")
    for file in formats:
        assert Format.model_validate(yaml.safe_load(file.read_text())).activations is not None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("model: m\ndta: d\nweights: w", "unknown key dta; did you mean data?"),
        ("model: m\ndata: d\nweights: w\noptimiser: {lrr: 1}", "optimiser.lrr; did you mean lr?"),
        ("model: m\ndata: d\nweights: w\naugmentation: {flp: 1}", "n.flp; did you mean flip?"),
        ("model: m\nmodel: n\ndata: d\nweights: w", "the key model stands twice"),
        (
            "model: m\ndata: d\nweights: w\nseeds: [1, 1]",
            "seeds: Value error, each must stand once",
        ),
        ("model: m\ndata: d\nweights: w\nseeds: [-1]", "greater than or equal to 0"),
        ("model: m\ndata: d\nweights: w\naims: [robust, robust]", "each must stand once"),
        ("model: m\ndata: d\nweights: w\nbits: [10, 3]", "give [least, most], each from 2 to 16"),
        ("model: m\ndata: d\nweights: w\nbits: [3, 20]", "give [least, most], each from 2 to 16"),
        ("model: m\ndata: d\nweights: w\nscheme: onxx", "give paper, onnx or percentile"),
        ("model: m\ndata: d\nweights: w\nbudget: .inf", "budget"),
        ("model: m\ndata: d\nweights: w\npolicy_channels: [0]", "greater than or equal to 1"),
        ("model: m\ndata: d", "the key weights is missing"),
        ("model: m\ndata: d\nweights: w\nmargin: 2", "margin: Input should be less than"),
        ("- 1", "must hold `key: value` lines"),
        ("a: [", "not YAML"),
    ],
)
def test_slips_are_one_line(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        read_config(file, PairConfig)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none.yaml: cannot be read"):
        read_config(tmp_path / "none.yaml", TeacherConfig)
