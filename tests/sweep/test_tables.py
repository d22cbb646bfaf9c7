from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from bitcliff.sweep.cell import Cell
from bitcliff.sweep.paper import Paper, differing, numbers
from bitcliff.sweep.tables import audit_table, notable, table1, table2, table3
from tests.report.example_record import example_record
from tests.sweep.synthetic import N, outcomes, pair_cell, records


def test_one_seed_has_the_exact_interval(tmp_path: Path) -> None:
    right = outcomes(0, broken=0.4)
    found = records(tmp_path, {pair_cell("net", "II", "B", 0): right})
    robust, brittle = table1(found.groups)
    assert (robust["role"], brittle["role"]) == ("robust", "brittle")
    k = int(right["brittle"]["float"].sum())
    exact = binomtest(k, N).proportion_ci(method="exact")
    assert brittle["float"] == pytest.approx(100 * k / N)
    assert (brittle["float_low"], brittle["float_high"]) == pytest.approx(
        (100 * exact.low, 100 * exact.high)
    )
    lost = int((right["brittle"]["float"] & ~right["brittle"]["brittle"]).sum())
    assert brittle["change_pp"] == pytest.approx(-100 * lost / N)
    assert brittle["change_low_pp"] < brittle["change_pp"] < brittle["change_high_pp"] < 0
    assert (brittle["parity_held"], brittle["seeds"]) == (1, 1)


def test_seeds_together_are_means_and_wider_than_if_examples_were_others(tmp_path: Path) -> None:
    rights = [outcomes(seed, broken) for seed, broken in ((0, 0.2), (1, 0.6))]
    cells = [pair_cell("net", "II", "B", seed) for seed in (0, 1)]
    found = records(tmp_path, dict(zip(cells, rights, strict=True)))
    brittle = table1(found.groups)[1]
    changes = [
        100 * (one["brittle"]["brittle"].mean() - one["brittle"]["float"].mean()) for one in rights
    ]
    assert brittle["change_pp"] == pytest.approx(np.mean(changes))
    assert (brittle["change_least_pp"], brittle["change_most_pp"]) == pytest.approx(
        (min(changes), max(changes))
    )
    assert brittle["n"] == N
    assert brittle["change_low_pp"] < brittle["change_pp"] < brittle["change_high_pp"]


def test_an_interval_over_seeds_covers_for_other_examples(tmp_path: Path) -> None:
    """Where all seeds say the same of each example, they are worth one."""
    right = outcomes(3, broken=0.3)
    cells = [pair_cell("net", "II", "B", seed) for seed in range(3)]
    found = records(tmp_path, dict.fromkeys(cells, right))
    row = next(
        one for one in table3(found.groups) if one["trained_as"] == one["policy"] == "robust"
    )
    k = int(right["robust"]["robust"].sum())
    exact = binomtest(k, N).proportion_ci(method="exact")
    assert row["low"] <= 100 * exact.low + 0.5
    assert row["high"] >= 100 * exact.high - 0.5
    assert row["least"] == row["most"] == pytest.approx(100 * k / N)


def test_transitory_points_by_both_denominators(tmp_path: Path) -> None:
    rights = [outcomes(seed, 0.5) for seed in (0, 1)]
    cells = [pair_cell("net", "II", "B", seed) for seed in (0, 1)]
    (row,) = table2(records(tmp_path, dict(zip(cells, rights, strict=True))).groups)
    both = moved = 0
    for one in rights:
        robust, brittle = one["robust"]["float"].tolist(), one["brittle"]["float"].tolist()
        quantized = one["brittle"]["brittle"].tolist()
        for first, second, third in zip(robust, brittle, quantized, strict=True):
            both += first and second
            moved += first and second and not third
    assert (row["of_both_right_k"], row["of_both_right_n"]) == (moved, both)
    assert (row["of_all_k"], row["of_all_n"]) == (moved, 2 * N)


def test_the_pair_that_stands_out_has_parity(tmp_path: Path) -> None:
    found = records(
        tmp_path,
        {
            pair_cell("net", "I", "A", 0): outcomes(0, broken=0.3),
            pair_cell("net", "I", "B", 0): outcomes(1, broken=0.5),
            pair_cell("net", "I", "C", 0): outcomes(2, broken=0.9, kept=0.6),  # bad in float
            pair_cell("other", "I", "A", 0): outcomes(3, broken=0.9, kept=0.6),
        },
    )
    best = notable(found.groups)
    assert {name: group.place[2] for name, group in best.items()} == {"net": "B"}


def test_the_papers_numbers_stand_beside_ours(tmp_path: Path) -> None:
    cells = [pair_cell("mine", "II", "B", 0), pair_cell("mine", "I", "A", 0)]
    found = records(tmp_path, {cell: outcomes(0, 0.4) for cell in cells})
    paper = Paper({"mine": "ResNet18"})
    robust, brittle, other, _ = table1(found.groups)
    assert paper.pair(brittle) == (88.09, -24.39)  # the paper's purple pair
    assert paper.pair(robust) == (88.17, -0.22)
    assert paper.pair(other) == (88.47, -1.69)
    assert Paper({}).pair(brittle) is None
    assert [paper.transitory(row) for row in table2(found.groups)] == [23.60, None]
    crossed = {
        (row["trained_as"], row["policy"]): paper.crossed(row) for row in table3(found.groups[:1])
    }
    # Its own policy is far below a random one, which is below the robust one.
    assert [crossed["brittle", one] for one in ("brittle", "random", "robust")] == [
        63.70,
        82.50,
        87.08,
    ]
    assert crossed["brittle", "float"] is None
    assert differing(found.groups[0]) == [
        ("data", "oxford-iiit-pet", "digits"),
        ("epochs", "1000", "3"),
    ]


def test_the_paper_says_itself_what_its_table_says() -> None:
    """Its text: brittle ResNet18 lost at most, and the one whose float accuracy collapsed."""
    rows = numbers()["table1"]
    assert len(rows) == 3 * 3 * 3 * 2
    collapsed = [row for row in rows if row[5] < 70]
    assert [row[:4] for row in collapsed] == [["ResNet18", "III", "C", "brittle"]]


def test_an_audit_has_a_row_for_each_of_its_policies() -> None:
    record = example_record()
    cell = Cell("net.mean-5.5", "assess", {"network": "net", "budget": 5.5}, ())
    rows = audit_table([(cell, record)])
    assert [row["policy"] for row in rows] == [policy.name for policy in record.policies]
    for row, policy in zip(rows, record.policies, strict=True):
        assert policy.accuracy is not None
        assert policy.change is not None
        assert row["value"] == pytest.approx(100 * policy.accuracy.k / policy.accuracy.n)
        change = policy.change.gained - policy.change.lost
        assert row["change_pp"] == pytest.approx(100 * change / policy.change.n)
        assert (row["asked"], row["counted"]) == (5.5, "right")
