"""Accuracy of a network in float and under a policy, in fixed batches, as training needs it."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from bitcliff.points import Attachment, Plan, batches
from bitcliff.points.attach import FLOAT, rounding_to
from bitcliff.policy import Batch, Policy
from bitcliff.train.data import Split
from bitcliff.train.hardware import device_of

_BATCH = 256


def predictions_in_float(model: nn.Module, inputs: Float[Tensor, "n *rest"]) -> Int[Tensor, " n"]:
    """The classes that a plain network, in eval mode, gives; on the CPU wherever it lies itself."""
    device, found = device_of(model), []
    with torch.no_grad():
        for rows, padded in batches(torch.arange(len(inputs)), min(_BATCH, len(inputs))):
            found.append(model(inputs[padded].to(device)).argmax(1)[: len(rows)].cpu())
    return torch.cat(found)


def correct_in_float(model: nn.Module, data: Split) -> Bool[Tensor, " n"]:
    """Which examples it gets right."""
    return predictions_in_float(model, data.inputs) == data.labels


def correct_predictions(
    model: nn.Module,
    plan: Plan,
    inputs: Tensor,
    labels: Int[Tensor, " n"],
    policy: Policy | None,
    scheme: str,
    weight_bits: int = 16,
) -> Bool[Tensor, " n"]:
    """Which examples the network gets right; in float without a policy. Its mode is restored.

    A learned policy must lie on the network's device.
    """
    training = {module: module.training for module in model.modules()}
    model.eval()
    attachment = Attachment(model, plan, scheme, weight_bits)
    found = []
    with torch.no_grad():
        for rows, padded in batches(torch.arange(len(inputs)), min(_BATCH, len(inputs))):
            x = inputs[padded].to(device_of(model))
            rounding = FLOAT if policy is None else rounding_to(policy(Batch(x, padded)))
            predictions = attachment.run(x, rounding).argmax(1)[: len(rows)]
            found.append(predictions.cpu() == labels[rows])
    for module, mode in training.items():
        module.training = mode
    return torch.cat(found)
