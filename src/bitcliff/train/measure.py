"""Accuracy of a network in float and under a policy, in fixed batches, as training needs it."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from bitcliff.points import Attachment, Plan
from bitcliff.points.attach import FLOAT, rounding_to
from bitcliff.policy import Batch, Policy
from bitcliff.train.data import Split
from bitcliff.train.hardware import device_of

_BATCH = 256


def answers_in_float(model: nn.Module, inputs: Float[Tensor, "n *rest"]) -> Int[Tensor, " n"]:
    """The classes that a plain network, in eval mode, gives; on the CPU wherever it lies itself."""
    device = device_of(model)
    with torch.no_grad():
        return torch.cat([model(x.to(device)).argmax(1).cpu() for x in inputs.split(_BATCH)])


def right_in_float(model: nn.Module, data: Split) -> Bool[Tensor, " n"]:
    """Which examples it gets right."""
    return answers_in_float(model, data.inputs) == data.labels


def right_answers(
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
        for index in torch.arange(len(inputs)).split(_BATCH):
            x = inputs[index].to(device_of(model))
            rounding = FLOAT if policy is None else rounding_to(policy(Batch(x, index)))
            found.append(attachment.run(x, rounding).argmax(1).cpu() == labels[index])
    for module, mode in training.items():
        module.training = mode
    return torch.cat(found)
