"""What `bitcliff train pair` measured: who got which test example right, and its figures."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from bitcliff.errors import InputError
from bitcliff.record.arrays import Small2
from bitcliff.record.files import shown
from bitcliff.record.part import Part
from bitcliff.record.store import check_figures, valid
from bitcliff.stats import change_between, rate, transitory

Right = npt.NDArray[np.bool_]
FLOAT, BASE = "float", "base"
RESULT = "result.json"


class PairOutcomes(Part):
    """Of one seed: base, robust and brittle network in float and under each policy.

    Attributes:
        networks, policies: by name, the base network and float among them. n: test examples.
        packed: a row for each network and policy, networks first; a bit for each example.
    """

    networks: tuple[str, ...]
    policies: tuple[str, ...]
    n: int
    packed: Small2

    @classmethod
    def of(cls, right: Mapping[str, Mapping[str, Right]]) -> "PairOutcomes":
        """From which of the examples each network gets right under each policy."""
        networks = tuple(right)
        policies = tuple(right[networks[0]])
        rows = np.stack([right[network][policy] for network in networks for policy in policies])
        packed = np.packbits(rows, axis=1)
        return cls(networks=networks, policies=policies, n=rows.shape[1], packed=packed)

    def right(self, network: str, policy: str) -> Right:
        """(n,) which examples the network gets right under the policy."""
        row = self.networks.index(network) * len(self.policies) + self.policies.index(policy)
        return np.unpackbits(self.packed[row], count=self.n).astype(bool)


def pair_figures(outcomes: PairOutcomes, parity_gap: float) -> dict[str, Any]:
    """Every cell with its interval and paired test, parity, and the transitory points.

    Args:
        parity_gap: float accuracy, in points, that a pair may lose before it fails parity.
    """
    found: dict[str, Any] = {
        "cells": [
            _cell(outcomes, network, policy)
            for network in outcomes.networks
            for policy in outcomes.policies
        ],
        "parity": _parity(outcomes, parity_gap),
    }
    if {"robust", "brittle"} <= set(outcomes.networks):
        both = outcomes.right("robust", FLOAT) & outcomes.right("brittle", FLOAT)
        broken = outcomes.right("brittle", "brittle")
        of_both_right, of_all = transitory(both.tolist(), broken.tolist())
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


def read_pairs(run: Path, parity_gap: float) -> dict[str, Any]:
    """The result of a run of `bitcliff train pair`, its figures worked out anew.

    Returns:
        What `result.json` holds, with each seed's `outcomes` as `PairOutcomes`.

    Raises:
        InputError: missing, damaged, or figures that are not those of its outcomes.
    """
    file = run / RESULT
    try:
        result = json.loads(file.read_bytes())
        seeds = [dict(one) for one in result["results"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{shown(file)}: no result of `bitcliff train pair`") from error
    for one in seeds:
        outcomes = valid(PairOutcomes, one.pop("outcomes", None), shown(file), "outcomes")
        figures = {key: value for key, value in one.items() if key != "seed"}
        _check(outcomes, shown(file))
        check_figures(figures, pair_figures(outcomes, parity_gap), shown(file))
        one["outcomes"] = outcomes
    return {**result, "results": seeds}


def _check(outcomes: PairOutcomes, source: str) -> None:
    rows = len(outcomes.networks) * len(outcomes.policies)
    named = BASE in outcomes.networks and FLOAT in outcomes.policies
    known = set(outcomes.networks) - {BASE} <= set(outcomes.policies)
    if not named or not known or outcomes.packed.shape != (rows, -(-outcomes.n // 8)):
        raise InputError(f"{source}: inconsistent record: its outcomes are not of its networks")


def _cell(outcomes: PairOutcomes, network: str, policy: str) -> dict[str, Any]:
    in_float, quantized = outcomes.right(network, FLOAT), outcomes.right(network, policy)
    return {
        "network": network,
        "policy": policy,
        "accuracy": rate(int(quantized.sum()), len(quantized)).model_dump(),
        "change": change_between(in_float, quantized).model_dump(),
    }


def _parity(outcomes: PairOutcomes, allowed_gap: float) -> dict[str, Any]:
    base = outcomes.right(BASE, FLOAT).mean()
    gaps = {
        name: 100 * float(base - outcomes.right(name, FLOAT).mean())
        for name in outcomes.networks
        if name != BASE
    }
    return {name: {"gap_pp": gap, "held": gap <= allowed_gap} for name, gap in gaps.items()}
