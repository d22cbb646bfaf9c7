"""Quantized against float evaluation of ResNet18 at 64 px: the ratio, measured in alternation.

Target: 1.25 at most. Run by itself on a quiet machine: `make benchmark`.
"""

import statistics
import time

import torch
from torch import nn

from bitcliff.points import Attachment, discover
from bitcliff.points.attach import rounding_to

BATCH, ROUNDS = 64, 30


def seconds(work: object) -> float:
    """One timed call."""
    began = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - began


def main() -> None:
    """Print the median ratio over alternated pairs, and its quartiles."""
    import torchvision

    torch.manual_seed(0)
    model: nn.Module = torchvision.models.resnet18(num_classes=200).eval().requires_grad_(False)
    inputs = torch.randn(BATCH, 3, 64, 64)
    plan = discover(model, inputs[:4])
    attachment = Attachment(model, plan, "onnx")
    rounding = rounding_to(torch.randint(3, 11, (BATCH, len(plan))))

    with torch.no_grad():
        ratios = []
        for _ in range(ROUNDS + 3):
            in_float = seconds(lambda: model(inputs))
            quantized = seconds(lambda: attachment.run(inputs, rounding))
            ratios.append(quantized / in_float)
    low, middle, high = statistics.quantiles(ratios[3:], n=4)
    print(
        f"ResNet18, 64 px, batch {BATCH}, {len(plan)} points, {torch.get_num_threads()} threads: "
        f"quantized / float = {middle:.2f} (quartiles {low:.2f} to {high:.2f}, n = {ROUNDS})"
    )


if __name__ == "__main__":
    main()
