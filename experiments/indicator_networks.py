"""The networks on which `float_indicators.py` judges the float-only indicators.

For each seed a plain network, trained on the labels by `configs/digits-teacher.yaml`, and a robust
and a brittle one made from it by `configs/digits-pair.yaml`: three to five minutes a seed on one
core. What is trained is kept; what was interrupted goes on.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from bitcliff.run.train_config import PairConfig, TeacherConfig
from bitcliff.run.train_job import TrainListener, run_pair, run_teacher
from bitcliff.train.pair import Aim

_CONFIGS = Path(__file__).parents[1] / "configs"

MadeToBe = Literal["plain", Aim]


@dataclass(frozen=True)
class Made:
    """One trained network.

    Attributes:
        name: such as "brittle-3". made_to_be: what it was trained for: plain, robust or brittle.
        seed: of the network it began as. folder: holds its weights and, if it has one, its policy.
        float_right, own_right: of the n test examples, in float and under the policy it was trained
            with; a plain network has none.
        parity: float accuracy within two points of the network it began as.
    """

    name: str
    made_to_be: MadeToBe
    seed: int
    folder: Path
    n: int
    float_right: int
    own_right: int | None
    parity: bool

    @property
    def drop(self) -> float:
        """Points of accuracy lost under its co-trained policy; 0 without one."""
        if self.own_right is None:
            return 0.0
        return 100 * (self.float_right - self.own_right) / self.n


def networks_of(seed: int, out: Path, **changed: Any) -> list[Made]:
    """The plain, robust and brittle network of a seed, trained unless they are there.

    Args:
        changed: keys of both configurations, for a short run.
    """
    listener = TrainListener(lambda _: None, lambda *_: None, lambda: False)
    teacher = TeacherConfig.model_validate(_fields("digits-teacher", seed, changed))
    base = out / f"teacher-{seed}"
    plain = _finished(base) or run_teacher(teacher, base, base.exists(), listener)
    weights = base / f"seed-{seed}" / "network.safetensors"
    fields = _fields("digits-pair", seed, changed) | {"weights": str(weights)}
    pair = out / f"pair-{seed}"
    table = _finished(pair) or run_pair(
        PairConfig.model_validate(fields), pair, pair.exists(), listener
    )
    accuracy = plain["results"][0]["accuracy"]
    n, right = accuracy["n"], accuracy["k"]
    made = [Made(f"plain-{seed}", "plain", seed, weights.parent, n, right, None, True)]
    found = table["results"][0]
    cells = {(cell["network"], cell["policy"]): cell["accuracy"]["k"] for cell in found["cells"]}
    for aim in get_args(Aim):
        folder, parity = pair / f"seed-{seed}" / aim, found["parity"][aim]["held"]
        right, own = cells[aim, "float"], cells[aim, aim]
        made.append(Made(f"{aim}-{seed}", aim, seed, folder, n, right, own, parity))
    return made


def _fields(name: str, seed: int, changed: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = yaml.safe_load((_CONFIGS / f"{name}.yaml").read_text())
    return fields | {"seeds": [seed]} | changed


def _finished(folder: Path) -> dict[str, Any] | None:
    file = folder / "result.json"
    return json.loads(file.read_text()) if file.exists() else None
