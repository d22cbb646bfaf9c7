"""The float network as an ONNX file, as a vendor's runtime takes it."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from bitcliff.export.to_onnx import named_inputs, to_onnx
from bitcliff.points.forward import output_of, take
from bitcliff.types.subject import AllInputs


def float_onnx(module: nn.Module, inputs: AllInputs) -> bytes:
    """The bytes of an ONNX file: one input named "input", or one for each keyword, to "scores": its
    output as it is.

    Args:
        module: in eval mode. inputs: two examples or more.

    Raises:
        InputError: the network does something that ONNX has no word for.
    """
    examples = take(inputs, torch.arange(2))
    names = list(examples) if isinstance(examples, Mapping) else None
    return to_onnx(_Scores(module, names), named_inputs(examples))


class _Scores(nn.Module):
    """The model with its scores as a plain tensor; `names` where it takes keywords."""

    def __init__(self, model: nn.Module, names: list[str] | None) -> None:
        super().__init__()
        self.model = model
        self.names = names
        self.eval()

    def forward(self, *tensors: Tensor) -> Tensor:
        if self.names is None:
            return output_of(self.model, tensors[0])
        return output_of(self.model, dict(zip(self.names, tensors, strict=True)))
