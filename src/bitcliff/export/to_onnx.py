"""A module as the bytes of an ONNX file."""

import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from bitcliff.errors import InputError

BATCH = "batch"
"""What the file calls the dimension that any number of examples fits into."""

# Two examples and not one: tracing takes a size of one for a constant.
_TRACED = 2


def to_onnx(
    module: nn.Module, inputs: Mapping[str, Tensor], outputs: tuple[str, ...] = ("scores",)
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
    example = tuple(tensor[:_TRACED].contiguous() for tensor in inputs.values())
    batch = torch.export.Dim(BATCH, min=1, max=2**20)
    shapes = (tuple({0: batch} for _ in example),)
    with torch.no_grad(), _quiet():
        try:
            traced = torch.export.export(module, example, dynamic_shapes=shapes, strict=False)
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
    written: bytes = program.model_proto.SerializeToString()
    return written


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter tells of its steps on stdout and in a log; what goes wrong is raised."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
