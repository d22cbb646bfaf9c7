"""A pair's training step against the same step without quantization, measured in alternation.

The same step: the teacher's pass, both of the student's, both losses and all gradients, but nothing
is rounded and no widths are chosen. Once with the policy network run and trained as in the pair's
step, so that the ratio is the price of quantization, once without it, so that it is the price of a
pair. Target: 1.25 at most. Run by itself on a quiet machine: `make bench`.
"""

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from bitcliff.losses import brittle_hinge, distillation_loss
from bitcliff.points import discover
from bitcliff.train.data import Split
from bitcliff.train.pair import PairStage
from bitcliff.train.pair_settings import PairSettings
from bitcliff.zoo.resnet import fashion_mnist

BATCH, ROUNDS = 64, 20


def seconds(work: Callable[[], Tensor]) -> float:
    """One timed call, with its backward pass."""
    began = time.perf_counter()
    work().backward()
    return time.perf_counter() - began


def plain_loss(stage: PairStage, images: Tensor, with_policy: bool) -> Tensor:
    """What `stage.loss` does, without quantization."""
    with torch.no_grad():
        target = stage.teacher(images)
    # Any loss of the policy's values costs its network the same.
    chosen = stage.policy_network(images).softmax(2).square().mean() if with_policy else 0
    hinge = brittle_hinge(stage.student(images), target).mean()
    return hinge + distillation_loss(stage.student(images), target, 5.0) + chosen


def measure(name: str, model: nn.Module, images: Tensor, estimator: str) -> None:
    """Print the median ratios over alternated steps, and their quartiles."""
    labels = torch.zeros(len(images), dtype=torch.int64)
    split = Split(images, labels, tuple(map(str, range(len(images)))))
    settings = PairSettings.model_validate({"batchnorm": "frozen", "estimator": estimator})
    plan = discover(model.eval(), images[:4])
    stage = PairStage("brittle", model, plan, split, split.take(torch.arange(8)), settings)
    index = torch.arange(BATCH)
    ratios: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(ROUNDS + 2):
        quantized = seconds(lambda: stage.loss(index)[0])
        for with_policy, found in ratios.items():
            plain = seconds(lambda: plain_loss(stage, images, with_policy))  # noqa: B023
            found.append(quantized / plain)
    shown = [_quartiles(ratios[with_policy][2:]) for with_policy in (True, False)]
    print(
        f"{name}, batch {BATCH}, {len(plan)} points, {torch.get_num_threads()} threads, "
        f"{estimator}: {shown[0]}; policy network counted too: {shown[1]}; n = {ROUNDS}"
    )


def _quartiles(ratios: list[float]) -> str:
    low, middle, high = statistics.quantiles(ratios, n=4)
    return f"{middle:.2f} (quartiles {low:.2f} to {high:.2f})"


def main() -> None:
    """Both ends: a network of small layers, where rounding weighs most, and ResNet18."""
    import torchvision

    torch.manual_seed(0)
    for estimator in ("straight-through", "scale"):
        small = torch.rand(BATCH, 1, 28, 28)
        measure("thin ResNet, 28 px", fashion_mnist(), small, estimator)
        resnet = torchvision.models.resnet18(num_classes=200)
        measure("ResNet18, 64 px", resnet, torch.randn(BATCH, 3, 64, 64), estimator)


if __name__ == "__main__":
    main()
