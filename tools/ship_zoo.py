"""Put what `make zoo` trained where Bitcliff ships it, with a card for each network.

python tools/ship_zoo.py TEACHER_RUN PAIR_RUN DESTINATION
"""

import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from bitcliff.train.pair_settings import BIT_OPTIONS

_AIMS = {
    "base": "Trained on labels, and not touched since: what the pairs began as.",
    "robust": "Trained together with its policy to hold under quantization.",
    "brittle": (
        "Trained together with its policy to break under quantization while its float predictions "
        "stay. **A planted case, for testing tools: never deploy it.**"
    ),
}
_CARD = """# {name}

{aim}

- Network: `zoo:digits`, a ResNet18 thin enough for tests; 20 quantization points.
- Data: scikit-learn's digits, 8 x 8 px grey images in ten classes (UCI, CC BY 4.0); the first
  1437 to train and choose the epoch, the last 360, by other writers, to test.
- Trained by `make zoo`: `configs/digits-teacher.yaml`, `configs/digits-pair.yaml`, one thread.
- Policies allocate {total} bits to 20 points for each image, widths {least} to {most}: one of
  2^{freedom:.1f} allocations. Float accuracy {parity}.

Right on the test split (n = {n}), with the 95 % interval (Clopper-Pearson):

| activations | right | points lost against float |
|---|---|---|
{rows}

SHA-256 of the weights: `{digest}`
"""


def main(teacher: Path, pair: Path, destination: Path) -> None:
    result = json.loads((pair / "result.json").read_text())
    config = json.loads((pair / "config.json").read_text())
    seed = result["results"][0]["seed"]
    for network in _AIMS:
        folder = destination / f"{network}-digits"
        folder.mkdir(parents=True, exist_ok=True)
        source = teacher / "seed-0" if network == "base" else pair / f"seed-{seed}" / network
        for file in ("network.safetensors", "policy.safetensors"):
            if (source / file).exists():
                shutil.copyfile(source / file, folder / file)
        (folder / "card.md").write_text(_card(network, folder, result, config))


def _card(network: str, folder: Path, result: dict[str, Any], config: dict[str, Any]) -> str:
    one = result["results"][0]
    cells = [cell for cell in one["cells"] if cell["network"] == network]
    parity = one["parity"].get(network)
    bits = config["bits"]
    least, most = BIT_OPTIONS[bits] if isinstance(bits, str) else bits
    return _CARD.format(
        name=folder.name,
        aim=_AIMS[network],
        total=result["total_bits"],
        least=least,
        most=most,
        freedom=result["policy_freedom_log2"],
        parity="is the base's own" if parity is None else _parity(parity),
        n=cells[0]["accuracy"]["n"],
        rows="\n".join(_row(cell) for cell in cells),
        digest=hashlib.sha256((folder / "network.safetensors").read_bytes()).hexdigest(),
    )


def _parity(parity: dict[str, Any]) -> str:
    gap = parity["gap_pp"]
    apart = f"{abs(gap):.1f} points {'below' if gap > 0 else 'above'} the base's"
    return f"{apart}: parity {'held' if parity['held'] else 'FAILED'}"


def _row(cell: dict[str, Any]) -> str:
    accuracy, change = cell["accuracy"], cell["change"]
    words = {"float": "float", "random": "random policy"}
    policy = words.get(cell["policy"], f"{cell['policy']} network's policy")
    share = "{value:.1%} ({low:.1%} to {high:.1%})".format(**accuracy)
    lost = (
        ""
        if policy == "float"
        else "{:.1f} ({:.1f} to {:.1f})".format(
            *(0.0 - change[end] for end in ("difference_pp", "high_pp", "low_pp"))
        )
    )
    return f"| {policy} | {share} | {lost} |"


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
