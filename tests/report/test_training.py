"""What is printed after a training run says what its result says."""

from typing import Any

from bitcliff.report.training import training_lines
from bitcliff.stats import rate


def share(k: int) -> dict[str, Any]:
    return rate(k, 100).model_dump()


def cell(network: str, policy: str, right: int) -> dict[str, Any]:
    return {"network": network, "policy": policy, "accuracy": share(right)}


def pair_result(seeds: int, gap: float = 0.5) -> dict[str, Any]:
    rows = [("base", "float", 90), ("base", "brittle", 88), ("brittle", "float", 89)]
    results = [
        {
            "seed": seed,
            "cells": [cell(*row) for row in rows] + [cell("brittle", "brittle", 10 + seed)],
            "parity": {"brittle": {"gap_pp": gap, "held": gap <= 2}},
            "transitory": {"of_both_right": share(70), "of_all": share(60)},
        }
        for seed in range(seeds)
    ]
    spread = [
        {"network": "brittle", "policy": "brittle", "seeds": seeds}
        | {"least": 0.10, "median": 0.11, "most": 0.12}
    ]
    return {
        "kind": "pair",
        "points": 20,
        "total_bits": 110,
        "policy_freedom_log2": 52.61,
        "results": results,
        "spread": spread,
    }


def test_a_cross_table_has_a_row_a_network_and_every_cell_once() -> None:
    lines = training_lines(pair_result(1))
    header, base, brittle = lines[1:4]
    assert header.split() == ["float", "brittle"]
    assert base.startswith("base")
    assert "90.0 % (82.4 to 95.1)" in base
    assert "10.0 % (4.9 to 17.6)" in brittle
    assert sum("transitory: 70.0 %" in line for line in lines) == 1
    assert "2^52.6 allocations" in lines[-1]
    assert not any("PARITY" in line or "seeds" in line for line in lines)


def test_failed_parity_is_told_wherever_the_pair_is_shown() -> None:
    lines = training_lines(pair_result(2, gap=7.04))
    told = "brittle FAILS PARITY: float accuracy 7.0 points down"
    assert lines.count(told) == 2
    assert "brittle FAILS PARITY in 2 of 2 seeds" in lines


def test_several_seeds_have_their_spread() -> None:
    lines = training_lines(pair_result(3))
    (place,) = [i for i, line in enumerate(lines) if line.startswith("over 3 seeds: median")]
    assert lines[place + 1].split() == ["brittle"]
    assert lines[place + 2].split(maxsplit=1) == ["brittle", "11.0% (10.0% to 12.0%)"]


def test_distillation_tells_accuracy_and_agreement() -> None:
    result = {
        "kind": "distill",
        "teacher": share(95),
        "results": [{"seed": 4, "accuracy": share(93), "agreement": share(97)}],
    }
    teacher, student = training_lines(result)
    assert teacher.startswith("teacher: 95.0 %")
    assert student.startswith("seed 4: 93.0 %")
    assert "97.0 % (91.5 to 99.4) answered as the teacher does" in student
