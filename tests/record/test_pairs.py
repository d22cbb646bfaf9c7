import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitcliff.errors import InputError
from bitcliff.record.pairs import PairOutcomes, Right, pair_figures, read_pairs

NETWORKS, POLICIES = ("base", "robust", "brittle"), ("float", "robust", "brittle", "random")
N = 203  # no multiple of eight


def drawn(seed: int = 0) -> dict[str, dict[str, Right]]:
    rng = np.random.default_rng(seed)
    return {network: {policy: rng.random(N) < 0.7 for policy in POLICIES} for network in NETWORKS}


def write(folder: Path, found: PairOutcomes, **changes: Any) -> Path:
    one = {"seed": 0, **pair_figures(found, 2.0), "outcomes": found.model_dump(), **changes}
    (folder / "result.json").write_text(json.dumps({"kind": "pair", "results": [one]}))
    return folder


def test_outcomes_come_back_as_they_were(tmp_path: Path) -> None:
    right = drawn()
    outcomes = PairOutcomes.of(right)
    read = read_pairs(write(tmp_path, outcomes), 2.0)["results"][0]["outcomes"]
    for network in NETWORKS:
        for policy in POLICIES:
            assert np.array_equal(read.right(network, policy), right[network][policy])


def test_figures_are_counts_of_the_outcomes() -> None:
    right = drawn(1)
    found = pair_figures(PairOutcomes.of(right), 2.0)
    cells = {(one["network"], one["policy"]): one for one in found["cells"]}
    assert len(cells) == len(NETWORKS) * len(POLICIES)
    brittle = right["brittle"]
    cell = cells["brittle", "brittle"]
    assert cell["accuracy"]["k"] == sum(brittle["brittle"].tolist())
    pairs = [*zip(brittle["float"].tolist(), brittle["brittle"].tolist(), strict=True)]
    assert cell["change"]["lost"] == pairs.count((True, False))
    assert cell["change"]["gained"] == pairs.count((False, True))
    triples = zip(right["robust"]["float"], brittle["float"], brittle["brittle"], strict=True)
    counted = [(bool(a and b), bool(a and b and not c)) for a, b, c in triples]
    both, moved = (sum(column) for column in zip(*counted, strict=True))
    of_both, of_all = found["transitory"]["of_both_right"], found["transitory"]["of_all"]
    assert (of_both["k"], of_both["n"], of_all["k"], of_all["n"]) == (moved, both, moved, N)
    gap = 100 * (right["base"]["float"].sum() - brittle["float"].sum()) / N
    assert found["parity"]["brittle"]["gap_pp"] == pytest.approx(gap)
    assert found["parity"]["brittle"]["held"] == (gap <= 2.0)


def test_with_one_role_there_are_no_transitory_points() -> None:
    right = {name: row for name, row in drawn().items() if name != "robust"}
    assert "transitory" not in pair_figures(PairOutcomes.of(right), 2.0)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"parity": {}}, "inconsistent record"),
        ({"outcomes": None}, "not a Bitcliff record"),
        (
            {"outcomes": PairOutcomes.of(drawn(5)).model_dump()},
            "inconsistent record: figures",
        ),
        (
            {"outcomes": PairOutcomes.of(drawn()).model_dump() | {"n": 9}},
            "its outcomes are not of its networks",
        ),
    ],
)
def test_a_tampered_result_is_refused(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    write(tmp_path, PairOutcomes.of(drawn()), **changes)
    with pytest.raises(InputError, match=told) as error:
        read_pairs(tmp_path, 2.0)
    assert "result.json" in str(error.value)


def test_another_parity_gap_is_noticed(tmp_path: Path) -> None:
    right = drawn()
    right["base"]["float"][:] = right["robust"]["float"]
    right["base"]["float"][np.flatnonzero(~right["robust"]["float"])[:3]] = True
    write(tmp_path, PairOutcomes.of(right))
    with pytest.raises(InputError, match="parity"):
        read_pairs(tmp_path, 0.0)


def test_no_result_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no result of `bitcliff train pair`"):
        read_pairs(tmp_path, 2.0)
