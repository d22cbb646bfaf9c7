"""Networks by policies, as the paper's Table 3."""

from collections.abc import Mapping

from torch import nn

from bitcliff.policy import Policy, RandomPerExample
from bitcliff.record.pairs import BASE, FLOAT, PairOutcomes
from bitcliff.train.data import Split
from bitcliff.train.measure import correct_predictions
from bitcliff.train.pair import Aim, PairStage


def cross_outcomes(
    base: nn.Module, pairs: Mapping[Aim, PairStage], test: Split, seed: int
) -> PairOutcomes:
    """Base, robust and brittle network under float, both policies and a random one.

    Args:
        base: the network the pairs began as. test: untouched by training. seed: of the random
            policy.
    """
    networks = {BASE: base} | {aim: pair.student for aim, pair in pairs.items()}
    networks = {name: network.eval().requires_grad_(False) for name, network in networks.items()}
    one = next(iter(pairs.values()))
    plan, settings = one.plan, one.settings
    policies: dict[str, Policy | None] = {FLOAT: None}
    policies |= {aim: pair.policy for aim, pair in pairs.items()}
    policies["random"] = RandomPerExample(len(plan), one.options, one.total, seed=seed)
    return PairOutcomes.of(
        {
            network: {
                policy: correct_predictions(
                    model,
                    plan,
                    test.inputs,
                    test.labels,
                    chosen,
                    settings.scheme,
                    settings.weight_bits,
                ).numpy()
                for policy, chosen in policies.items()
            }
            for network, model in networks.items()
        }
    )
