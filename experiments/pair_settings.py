"""What a setting of `bitcliff train pair` is worth: the committed digits pair with one key changed.

    python experiments/pair_settings.py KEY VALUE [VALUE ...] [--seeds 3] [--set KEY=VALUE ...]

Trains the brittle network once for each value and seed and prints, on the test split, its accuracy
in float, under its co-trained policy and under random allocations, the median over seeds and all
of them. `LOG.md` has the results.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import yaml

from bitcliff.run.train_config import PairConfig
from bitcliff.run.train_job import TrainListener, run_pair

_CONFIG = Path(__file__).parents[1] / "configs" / "digits-pair.yaml"
_POLICIES = ("float", "brittle", "random")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("key")
    parser.add_argument("values", nargs="+")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", nargs="*", default=[])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    fields: dict[str, Any] = yaml.safe_load(_CONFIG.read_text())
    fields |= {"aims": ["brittle"], "seeds": list(range(arguments.seeds))}
    fields |= dict(_parsed(pair) for pair in arguments.set)
    print(f"{arguments.key:<20}" + "".join(f"{policy:>34}" for policy in _POLICIES))
    for value in arguments.values:
        config = PairConfig.model_validate(fields | dict([_parsed(f"{arguments.key}={value}")]))
        began = time.monotonic()
        cells = _run(config)
        shown = "".join(f"{cells[policy]:>34}" for policy in _POLICIES)
        print(f"{value:<20}{shown}   {time.monotonic() - began:.0f} s", flush=True)


def _parsed(pair: str) -> tuple[str, Any]:
    key, _, value = pair.partition("=")
    return key, yaml.safe_load(value)


def _run(config: PairConfig) -> dict[str, str]:
    listener = TrainListener(lambda _: None, lambda *_: None, lambda: False)
    with tempfile.TemporaryDirectory() as folder:
        result = run_pair(config, Path(folder) / "run", False, listener)
    found: dict[str, list[float]] = {policy: [] for policy in _POLICIES}
    for one in result["results"]:
        for cell in one["cells"]:
            if cell["network"] == "brittle":
                found[cell["policy"]].append(cell["accuracy"]["value"])
    return {
        policy: f"{sorted(values)[len(values) // 2]:.1%} ({', '.join(f'{v:.1%}' for v in values)})"
        for policy, values in found.items()
    }


if __name__ == "__main__":
    main()
