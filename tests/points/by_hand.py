"""References of this room: the rounding put in by plain module hooks, and a state to compare."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as nn_module
from torch.overrides import _len_torch_function_stack  # type: ignore[attr-defined]
from torch.utils._python_dispatch import _len_torch_dispatch_stack  # type: ignore[attr-defined]

from bitcliff.quant import fake_quantize, fake_quantize_weight


def run_by_hooks(
    model: nn.Module,
    names: Sequence[str],
    x: Tensor,
    bits: Tensor,
    scheme: str,
    weight_bits: int | None = 16,
    per_channel: bool = False,
) -> Tensor:
    """A copy of the model with rounded weights, and hooks that round the named modules' inputs."""
    model = copy.deepcopy(model)
    for module in model.modules():
        if weight_bits is not None and isinstance(module, nn.Conv2d | nn.Linear):
            axis = 0 if per_channel else None
            module.weight.data = fake_quantize_weight(module.weight.data, weight_bits, axis)
    modules = dict(model.named_modules())
    for index, name in enumerate(names):

        def rounded(_module: nn.Module, args: Any, index: int = index) -> Any:
            return (fake_quantize(args[0], bits[:, index], scheme), *args[1:])

        modules[name].register_forward_pre_hook(rounded)
    with torch.no_grad():
        return model(x)  # type: ignore[no-any-return]


def state_of(model: nn.Module) -> dict[str, Any]:
    """All that an attachment might have changed, in a form that compares with ==."""
    per_module = {
        f"{name}/{key}": [(id(k), id(v)) for k, v in value.items()]
        for name, module in model.named_modules()
        for key, value in vars(module).items()
        if "hook" in key and isinstance(value, dict)
    }
    tensors = {
        name: (tensor.dtype, tensor.data_ptr(), tensor._version, tensor.requires_grad)
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]
    }
    values = {
        name: tensor.detach().contiguous().view(-1).view(torch.uint8).tolist()
        for name, tensor in model.state_dict().items()
        if tensor.numel() and tensor.numel() < 5000
    }
    return {
        "hooks": per_module,
        "attributes": {name: sorted(vars(module)) for name, module in model.named_modules()},
        "training": {name: module.training for name, module in model.named_modules()},
        "tensors": tensors,
        "values": values,
        "grads": [parameter.grad is None for parameter in model.parameters()],
        "globals": {
            key: list(value.items()) if isinstance(value, dict) else value
            for key, value in vars(nn_module).items()
            if key.startswith("_global") and not callable(value)
        },
        "modes": (_len_torch_function_stack(), _len_torch_dispatch_stack()),
        "grad mode": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "random": torch.get_rng_state().tolist(),
    }
