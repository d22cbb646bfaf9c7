"""Networks by policies, as the paper's Table 3, and how far seeds differ."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from torch import Tensor, nn

from bitcliff.policy import Policy, RandomPerExample
from bitcliff.stats import change_between, rate, transitory
from bitcliff.train.data import Split
from bitcliff.train.measure import correct_predictions
from bitcliff.train.pair import Aim, PairStage


def cross_table(
    base: nn.Module, pairs: Mapping[Aim, PairStage], test: Split, seed: int
) -> dict[str, Any]:
    """Base, robust and brittle network under float, both policies and a random one.

    Args:
        base: the network the pairs began as. test: untouched by training. seed: of the random
            policy.

    Returns:
        What `result.json` holds: cells with intervals and paired tests, parity, transitory points.
    """
    networks = {"base": base} | {aim: pair.student for aim, pair in pairs.items()}
    networks = {name: network.eval().requires_grad_(False) for name, network in networks.items()}
    one = next(iter(pairs.values()))
    plan, settings = one.plan, one.settings
    policies: dict[str, Policy | None] = {"float": None}
    policies |= {aim: pair.policy for aim, pair in pairs.items()}
    policies["random"] = RandomPerExample(len(plan), one.options, one.total, seed=seed)
    right = {
        network: {
            policy: correct_predictions(
                model, plan, test.inputs, test.labels, chosen, settings.scheme, settings.weight_bits
            )
            for policy, chosen in policies.items()
        }
        for network, model in networks.items()
    }
    cells = [
        _cell(network, policy, row["float"], quantized)
        for network, row in right.items()
        for policy, quantized in row.items()
    ]
    found: dict[str, Any] = {"cells": cells, "parity": _parity(right, settings.parity_gap)}
    if {"robust", "brittle"} <= pairs.keys():
        both = right["robust"]["float"] & right["brittle"]["float"]
        of_both_right, of_all = transitory(both.tolist(), right["brittle"]["brittle"].tolist())
        found["transitory"] = {
            "of_both_right": of_both_right.model_dump(),
            "of_all": of_all.model_dump(),
        }
    return found


def spread(tables: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For each cell, least, median and most accuracy over the seeds; shares, not percent."""
    values: dict[tuple[str, str], list[float]] = {}
    for table in tables:
        for cell in table["cells"]:
            key = cell["network"], cell["policy"]
            values.setdefault(key, []).append(cell["accuracy"]["value"])
    return [
        {
            "network": network,
            "policy": policy,
            "seeds": len(found),
            "least": min(found),
            "median": median(found),
            "most": max(found),
        }
        for (network, policy), found in values.items()
    ]


def _cell(network: str, policy: str, in_float: Tensor, quantized: Tensor) -> dict[str, Any]:
    return {
        "network": network,
        "policy": policy,
        "accuracy": rate(int(quantized.sum()), len(quantized)).model_dump(),
        "change": change_between(
            in_float.numpy(force=True), quantized.numpy(force=True)
        ).model_dump(),
    }


def _parity(right: Mapping[str, Mapping[str, Tensor]], allowed_gap: float) -> dict[str, Any]:
    base = right["base"]["float"].double().mean().item()
    gaps = {
        name: 100 * (base - row["float"].double().mean().item())
        for name, row in right.items()
        if name != "base"
    }
    return {name: {"gap_pp": gap, "held": gap <= allowed_gap} for name, gap in gaps.items()}
