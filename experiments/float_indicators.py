"""Can brittleness be seen without quantizing? Float-only indicators, on networks of known outcome.

    python experiments/float_indicators.py [--seeds 6] [--out runs/float-indicators] [--write]

Trains a plain, a robust and a brittle digits network for each seed (see `indicator_networks.py`),
measures every indicator on each in float, and prints how well it parts the brittle ones from the
others. `--write` makes these the reference that `bitcliff explain` compares with. `LOG.md` has the
results.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from bitcliff.adapters import load_examples, load_model
from bitcliff.audit import AssessSettings
from bitcliff.audit.prepare import prepare
from bitcliff.questions.context import Side
from bitcliff.questions.indicators import observe, statistics
from bitcliff.questions.indicators.record import (
    IndicatorReference,
    ReferenceNetwork,
    Separation,
)
from bitcliff.types.subject import tensors_sha256
from experiments.indicator_networks import Made, networks_of

REFERENCE = Path(observe.__file__).with_name("reference.json")
BRITTLE_DROP = 20.0
_LIMIT = 200
_MODEL, _DATA = "zoo:digits", "digits"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--out", type=Path, default=Path("runs/float-indicators"))
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    networks = []
    for seed in range(arguments.seeds):
        for made in networks_of(seed, arguments.out):
            networks.append(measured(made))
            print(line_of(networks[-1]), flush=True)
            print("   ", ", ".join(f"{k} {v}" for k, v in networks[-1].values.items()))
    for name, chosen in groupings(networks).items():
        print(f"\n{name}")
        print_table(chosen)
    if arguments.write:
        reference = reference_of(networks, arguments.seeds)
        REFERENCE.write_text(reference.model_dump_json(indent=1) + "\n")


def measured(made: Made) -> ReferenceNetwork:
    """The outcome of a trained network, and its indicators, as `bitcliff explain` measures them."""
    subject = load_model(_MODEL, weights=made.folder / "network.safetensors")
    examples = load_examples(_DATA, subject=subject, limit=_LIMIT, seed=0)
    side = Side("test", prepare(subject, examples, AssessSettings()), {})
    values = observe.indicator_values(observe.float_network(side))
    return ReferenceNetwork(
        name=made.name,
        made_to_be=made.made_to_be,
        sha256=tensors_sha256(subject.module.state_dict()),
        n=made.n,
        float_right=made.float_right,
        own_right=made.own_right,
        brittle=made.drop >= BRITTLE_DROP,
        parity=made.parity,
        # More digits would pretend that another processor gives the same ones.
        values={key: None if v is None else float(f"{v:.5g}") for key, v in values.items()},
    )


def reference_of(networks: Sequence[ReferenceNetwork], seeds: int) -> IndicatorReference:
    """What ships with Bitcliff."""
    return IndicatorReference(
        about=f"thin ResNets on scikit-learn's digits: {seeds} plain ones, and a robust and a "
        "brittle one made from each by training together with a policy",
        architecture=observe.architecture(load_model(_MODEL).module),
        data=_DATA,
        networks=list(networks),
    )


def groupings(networks: Sequence[ReferenceNetwork]) -> dict[str, list[ReferenceNetwork]]:
    """Every way in which brittle networks are set against others."""
    by_intent = [
        one.model_copy(update={"brittle": one.made_to_be == "brittle"}) for one in networks
    ]
    groups: dict[str, tuple[Sequence[ReferenceNetwork], Callable[[ReferenceNetwork], bool]]] = {
        "Brittle by outcome, against all others": (networks, lambda _: True),
        "The same, with parity alone": (networks, lambda one: one.parity),
        "Brittle by intent, against all others": (by_intent, lambda _: True),
        "Brittle by outcome, against those trained alike (no plain)": (
            networks,
            lambda one: one.made_to_be != "plain",
        ),
    }
    return {name: list(filter(keep, given)) for name, (given, keep) in groups.items()}


def line_of(one: ReferenceNetwork) -> str:
    own = "" if one.own_right is None else f", co-trained policy {one.own_right}"
    marks = (", brittle" if one.brittle else "") + ("" if one.parity else ", PARITY FAILED")
    return f"{one.name}: float {one.float_right} of {one.n}{own}{marks}"


def print_table(networks: list[ReferenceNetwork]) -> None:
    """Each indicator's AUROC; larger than a half: brittle networks have the larger values."""
    print("| indicator | AUROC | p | Holm | brittle | others |\n|---|---|---|---|---|---|")
    for key, found in statistics.separations(networks, {}).items():
        print(f"| {key} | " + (" | ".join(_cells(key, found, networks)) if found else "–") + " |")


def _cells(key: str, found: Separation, networks: list[ReferenceNetwork]) -> list[str]:
    ranges = []
    for brittle in (True, False):
        values = [one.values[key] for one in networks if one.brittle is brittle]
        known = sorted(value for value in values if value is not None)
        ranges.append(f"{known[0]:.3g} to {known[-1]:.3g}")
    auroc = f"{found.auroc:.2f} ({found.low:.2f} to {found.high:.2f})"
    return [auroc, f"{found.p_value:.2g}", f"{found.p_holm:.2g}", *ranges]


if __name__ == "__main__":
    main()
