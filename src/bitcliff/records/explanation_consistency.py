"""Is an explanation consistent with its record, so that no report stumbles, or tells it wrong?"""

from collections.abc import Iterator

from bitcliff.records.corruptions_consistency import corruptions_problems
from bitcliff.records.explanation import Explanation
from bitcliff.records.explanation_activations import Activations, PointActivations
from bitcliff.records.explanation_indicators import Indicators, ReferenceNetwork, Separation
from bitcliff.records.inputs_consistency import inputs_problems
from bitcliff.records.layers_consistency import layers_problems
from bitcliff.records.remedies_consistency import remedies_problems
from bitcliff.records.schema import Record


def explanation_problems(record: Record, explanation: Explanation) -> Iterator[str]:
    """What contradicts the record, or itself; to be asked of a record that is else consistent."""
    wrong = list(_policy_problems(record, explanation.policies))
    yield from wrong
    if wrong:  # All else hangs on them.
        return
    runtimes = record.names_in_runtimes
    # What asks for bits was not asked of these.
    with_bits = [name for name in explanation.policies if name not in runtimes]
    if explanation.layers is not None:
        yield from layers_problems(record, explanation, with_bits, explanation.layers)
    if explanation.activations is not None:
        yield from _activations_problems(record, with_bits, explanation.activations)
    if explanation.inputs is not None:
        yield from inputs_problems(record, explanation, explanation.inputs)
    if explanation.corruptions is not None:
        yield from corruptions_problems(record, explanation, explanation.corruptions)
    if explanation.indicators is not None:
        yield from _indicators_problems(record, explanation.indicators)
    if explanation.remedies is not None:
        yield from remedies_problems(record, explanation.remedies)


def _policy_problems(record: Record, policies: list[str]) -> Iterator[str]:
    if not policies or len(set(policies)) < len(policies):
        yield f"explanation: its policies are {policies}; there must be one, and each once"
    runtimes = record.names_in_runtimes
    for name in policies:
        outcomes = [row.outcomes.get(name) for row in record.examples]
        told = all(
            outcome is not None and (outcome.bits is not None or name in runtimes)
            for outcome in outcomes
        )
        if not told:
            yield f"explanation: {name!r} is no policy with bits for every example, nor a runtime"


def _activations_problems(record: Record, policies: list[str], found: Activations) -> Iterator[str]:
    if [one.policy for one in found.policies] != policies:
        yield "activations: not of the explained policies, in their order"
    names = [point.name for point in record.subject.points if point.quantized]
    for policy in found.policies:
        if [point.name for point in policy.points] != names:
            yield f"activations of {policy.policy!r}: not of the quantized points, in their order"
        for point in policy.points:
            yield from _point_problems(
                f"activations of {policy.policy!r}, {point.name!r}", point, len(record.examples)
            )


def _point_problems(where: str, point: PointActivations, examples: int) -> Iterator[str]:
    if not sum(point.causes.values()) == point.harmed.n == point.n <= examples:
        yield f"{where}: n, the causes and harmed do not speak of as many examples"
    if point.harmed.k != point.n - point.causes.get("unharmed", 0):
        yield f"{where}: harmed is {point.harmed.k}, which its causes do not give"
    if (point.cause in point.causes) != (point.n > 0) or (point.cause is None) != (point.n == 0):
        yield f"{where}: its cause is {point.cause}, which none of its examples has"
    before, after, zero = point.before, point.after, -point.first_bin
    if not 0 <= zero < len(before.counts) == len(after.counts):
        yield f"{where}: the bin about zero is {zero} of {len(before.counts)}"
        return
    values = sum(before.counts)
    if sum(after.counts) != values:
        yield f"{where}: {values} values before, {sum(after.counts)} after"
    for histogram, sparsity in (
        (before, point.sparsity_before),
        (after, point.sparsity_after),
    ):
        if histogram.exactly_zero > histogram.counts[zero]:
            yield f"{where}: more values are zero than are about zero"
        about_zero = histogram.counts[zero]
        if (sparsity is None) != (values == 0) or abs((sparsity or 0) * values - about_zero) > 1e-6:
            yield f"{where}: sparsity is {sparsity}, should be {about_zero} of {values}"


def _indicators_problems(record: Record, found: Indicators) -> Iterator[str]:
    if found.n > len(record.examples):
        yield f"indicators: measured on {found.n} of {len(record.examples)} examples"
    networks, keys = found.reference.networks, [one.key for one in found.indicators]
    names = [one.name for one in networks]
    if len(set(keys)) < len(keys) or len(set(names)) < len(names):
        yield "indicators: an indicator or a network of the reference stands twice"
    if found.same_network is not None and found.same_network not in names:
        yield f"indicators: {found.same_network!r} is no network of the reference"
    for network in networks:
        if missing := set(keys) - set(network.values):
            yield f"indicators: {network.name!r} of the reference has no {sorted(missing)[0]!r}"
            return
        if max(network.float_right, network.own_right or 0) > network.n:
            yield f"indicators: {network.name!r} has more right than its {network.n}"
    for one in found.indicators:
        for separation, chosen in (
            (one.separation, networks),
            (one.separation_parity, [network for network in networks if network.parity]),
        ):
            yield from _separation_problems(one.key, separation, chosen)


def _separation_problems(
    key: str, found: Separation | None, networks: list[ReferenceNetwork]
) -> Iterator[str]:
    known = [(one.brittle, value) for one in networks if (value := one.values[key]) is not None]
    brittle = [value for kind, value in known if kind]
    others = [value for kind, value in known if not kind]
    if found is None:
        if brittle and others:
            yield f"indicators, {key!r}: there are both kinds of networks, but no AUROC"
        return
    if (found.n_brittle, found.n_others) != (len(brittle), len(others)) or not known:
        yield f"indicators, {key!r}: not as many networks as the reference holds"
        return
    wins = sum((a > b) + (a == b) / 2 for a in brittle for b in others)
    if abs(found.auroc * len(brittle) * len(others) - wins) > 1e-6:
        yield f"indicators, {key!r}: an AUROC of {found.auroc}, which the reference does not give"
