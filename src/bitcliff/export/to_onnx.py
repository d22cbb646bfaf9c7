"""A module as the bytes of an ONNX file."""

import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bitcliff.errors import InputError
from bitcliff.types.subject import Inputs

INPUT, BATCH = "input", "batch"
"""What the file calls a network's one input, and the dimension that any number of examples fits
into."""

# Two examples and not one: tracing takes a size of one for a constant.
_TRACED = 2
# More does not fit into one file of the format, which is a single message.
_LARGEST = 2**31 - 2**20


def to_onnx(
    module: nn.Module, inputs: Mapping[str, Tensor], outputs: Sequence[str] = ("scores",)
) -> bytes:
    """Trace a module in eval mode and write what it does as ONNX, for batches of any size.

    Args:
        module: its forward takes `*tensors`, in the order of `inputs`.
        inputs: by the names that the file gives them, examples along dim 0, as many in each, two or
            more.
        outputs: names of what it gives, in order.

    Raises:
        InputError: what it does cannot be traced or written; the text says which part.
    """
    return serialized(to_model(module, inputs, outputs))


def to_model(
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str] = ("scores",),
    any_length: Sequence[str] = (),
) -> Any:
    """The same, as an `onnx.ModelProto` that can be added to.

    `any_length`: those of the inputs whose dim 1 may have any size too.

    Raises:
        InputError: as `to_onnx`.
    """
    # Tracing takes long, and the file is not smaller than what it must hold.
    _check_size(sum(weight.numel() * weight.element_size() for weight in module.parameters()))
    example = tuple(tensor[:_TRACED].contiguous() for tensor in inputs.values())
    batch, length = (torch.export.Dim(name, min=1, max=2**31) for name in (BATCH, "values"))
    shapes = tuple({0: batch, 1: length} if name in any_length else {0: batch} for name in inputs)
    with torch.no_grad(), _quiet():
        try:
            traced = torch.export.export(module, example, dynamic_shapes=(shapes,), strict=False)
            program = torch.onnx.export(
                traced,
                dynamo=True,
                verbose=False,
                input_names=list(inputs),
                output_names=list(outputs),
            )
        except Exception as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            reason = lines[0][:200] if lines else type(error).__name__
            raise InputError(f"cannot be written as ONNX: {reason}") from error
    assert program is not None  # noqa: S101  (only the old exporter gives none)
    return program.model_proto


def add_function(model: Any, domain: str, name: str, body: Any) -> None:
    """Give an `onnx.ModelProto` the graph of another as a function that its nodes may call."""
    function = model.functions.add(domain=domain, name=name)
    function.input.extend(value.name for value in body.graph.input)
    function.output.extend(value.name for value in body.graph.output)
    for tensor in body.graph.initializer:
        constant = function.node.add(op_type="Constant", output=[tensor.name])
        constant.attribute.add(name="value", type=_TENSOR, t=tensor)
    function.node.extend(body.graph.node)
    function.opset_import.extend(body.opset_import)


# AttributeProto.TENSOR: what kind of value an attribute has.
_TENSOR = 4


def serialized(model: Any) -> bytes:
    """An `onnx.ModelProto` as the bytes of its file.

    Raises:
        InputError: it is too large for one.
    """
    _check_size(model.ByteSize())
    written: bytes = model.SerializeToString()
    return written


def _check_size(size: int) -> None:
    if size > _LARGEST:
        raise InputError(
            f"cannot be written as ONNX: it would be {size / 2**30:.1f} GB, and a file of that "
            "format holds 2 GB; take a smaller network"
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter reports its steps on stdout and in a log; what goes wrong is raised."""
    logs = [logging.getLogger(name) for name in ("torch.onnx", "torch.fx")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)


def named_inputs(inputs: Inputs) -> dict[str, Tensor]:
    """The inputs by the names that a file gives them."""
    return dict(inputs) if isinstance(inputs, Mapping) else {INPUT: inputs}
