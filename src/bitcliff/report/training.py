"""What a training run came to, in lines of text."""

from typing import Any

_WIDE = 26


def training_lines(result: dict[str, Any]) -> list[str]:
    """A line a seed, or the cross table of networks and policies of each seed."""
    lines = []
    if result["kind"] == "distill":
        lines.append(f"teacher: {_rate(result['teacher'])} right on the test split")
    for one in result["results"]:
        if result["kind"] != "pair":
            line = f"seed {one['seed']}: {_rate(one['accuracy'])} right on the test split"
            if "agreement" in one:
                line += f", {_rate(one['agreement'])} answered as the teacher does"
            lines.append(line)
        else:
            lines += _cross_table(one)
    if result["kind"] == "pair":
        lines += _spread(result)
        lines.append(
            f"{result['points']} points, {result['total_bits']} bits for each example; "
            f"the policy chooses among 2^{result['policy_freedom_log2']:.1f} allocations."
        )
    return lines


def _spread(result: dict[str, Any]) -> list[str]:
    seeds = result["results"]
    if len(seeds) < 2:
        return []
    shown = {
        (cell["network"], cell["policy"]): "{median:.1%} ({least:.1%} to {most:.1%})".format(**cell)
        for cell in result["spread"]
    }
    lines = [f"over {len(seeds)} seeds: median (least to most)", *_grid(shown)]
    for network in seeds[0]["parity"]:
        failed = sum(not one["parity"][network]["held"] for one in seeds)
        if failed:
            lines.append(f"{network} FAILS PARITY in {failed} of {len(seeds)} seeds")
    return lines


def _grid(shown: dict[tuple[str, str], str]) -> list[str]:
    """A row for each network, a column for each policy."""
    networks, policies = (list(dict.fromkeys(key[part] for key in shown)) for part in (0, 1))
    lines = [f"{'':<10}" + "".join(f"{policy:>{_WIDE}}" for policy in policies)]
    for network in networks:
        cells = "".join(f"{shown[network, policy]:>{_WIDE}}" for policy in policies)
        lines.append(f"{network:<10}{cells}")
    return lines


def _cross_table(one: dict[str, Any]) -> list[str]:
    lines = [f"seed {one['seed']}: right on the test split, by network and policy (95 % interval)"]
    lines += _grid(
        {(cell["network"], cell["policy"]): _rate(cell["accuracy"]) for cell in one["cells"]}
    )
    for network, parity in one["parity"].items():
        if not parity["held"]:
            lines.append(
                f"{network} FAILS PARITY: float accuracy {parity['gap_pp']:.1f} points down"
            )
    if "transitory" in one:
        both, every = (one["transitory"][key] for key in ("of_both_right", "of_all"))
        lines.append(
            f"transitory: {_rate(both)} of those both get right in float, {_rate(every)} of all"
        )
    return lines


def _rate(rate: dict[str, Any]) -> str:
    if not rate["n"]:
        return "none"
    low, value, high = (100 * rate[key] for key in ("low", "value", "high"))
    return f"{value:.1f} % ({low:.1f} to {high:.1f})"
