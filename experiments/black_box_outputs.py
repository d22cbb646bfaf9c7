"""What a black box that gives less costs the student: logits, probabilities, or the class alone.

    python experiments/black_box_outputs.py [CONFIG] [--seeds 3] [--set KEY=VALUE ...]

Distils by the configuration (configs/digits-distill.yaml) once for each kind of output and seed,
and prints the test split's accuracy and agreement with the black box, the median over seeds and all
of them. The black box itself gives logits; probabilities are its softmax, rounded where the name
has it. `LOG.md` has the results.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from bitcliff.adapters.black_box import load_black_box
from bitcliff.run.train_config import DistillConfig
from bitcliff.run.training_data import load_network, open_splits
from bitcliff.train.checkpoint import Checkpoints
from bitcliff.train.distill import DistillStage, predictions_of
from bitcliff.train.loop import Loop
from bitcliff.train.measure import predictions_in_float

_CONFIG = Path(__file__).parents[1] / "configs" / "digits-distill.yaml"


def _rounded(logits: Tensor, digits: int) -> Tensor:
    rounded = logits.softmax(1).round(decimals=digits)
    return rounded / rounded.sum(1, keepdim=True)


KINDS: dict[str, tuple[str, Callable[[Tensor], Tensor]]] = {
    "logits": ("logits", lambda logits: logits),
    "probabilities": ("probabilities", lambda logits: logits.softmax(1)),
    "... to 4 digits": ("probabilities", lambda logits: _rounded(logits, 4)),
    "... to 2 digits": ("probabilities", lambda logits: _rounded(logits, 2)),
    "top-1": ("top-1", lambda logits: logits.argmax(1)),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("config", nargs="?", type=Path, default=_CONFIG)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", nargs="*", default=[])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    fields: dict[str, Any] = yaml.safe_load(arguments.config.read_text())
    fields |= {
        key: yaml.safe_load(value) for key, _, value in (s.partition("=") for s in arguments.set)
    }
    print(f"{'outputs':<18}{'accuracy':>34}{'agreement':>34}")
    for name, (kind, given) in KINDS.items():
        config = DistillConfig.model_validate(fields | {"answers": kind})
        found = [_run(config, seed, given) for seed in range(arguments.seeds)]
        columns = "".join(f"{_shown(list(values)):>34}" for values in zip(*found, strict=True))
        print(f"{name:<18}{columns}", flush=True)


def _run(
    config: DistillConfig, seed: int, given: Callable[[Tensor], Tensor]
) -> tuple[float, float]:
    teacher = load_black_box(config.teacher, config.teacher_settings)
    subject = load_network(config, seed)
    splits = open_splits(config, subject)
    with tempfile.TemporaryDirectory() as folder:
        stage = DistillStage(
            subject.module,
            lambda x: given(teacher.ask(x)),
            splits.training,
            splits.validation,
            config,
        )
        Loop(stage, config, Checkpoints(Path(folder)), seed).run()
    test = splits.test
    predictions = predictions_in_float(subject.module.eval(), test.inputs)
    theirs = predictions_of(teacher.ask, test)
    shares = [(predictions == target).double().mean().item() for target in (test.labels, theirs)]
    return shares[0], shares[1]


def _shown(values: list[float]) -> str:
    return f"{sorted(values)[len(values) // 2]:.1%} ({', '.join(f'{v:.1%}' for v in values)})"


if __name__ == "__main__":
    main()
