"""The runtimes that a job names, with the network handed to them."""

from collections.abc import Iterable
from functools import cache

from bitcliff.adapters.black_box.subject import onnx_bytes
from bitcliff.adapters.onnx.subject import is_onnx
from bitcliff.adapters.runtimes import load_runtime
from bitcliff.adapters.runtimes.onnx_graph import require_exporter
from bitcliff.errors import InputError
from bitcliff.export import float_onnx
from bitcliff.types.runtime import Runtime
from bitcliff.types.subject import Examples, Subject


def runtimes_of(names: Iterable[str], subject: Subject, examples: Examples) -> list[Runtime]:
    """Each quantizes the network as its users would; ONNX is written once for all that want it.

    Raises:
        InputError: no such runtime, named twice, or it cannot take this network.
    """
    names = list(names)
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"--runtime {name}: named {names.count(name)} times; once is enough")

    @cache
    def make_onnx() -> bytes:
        if is_onnx(subject.name):  # the user's own file, not what Bitcliff made of it
            return onnx_bytes(subject.name, subject.output)
        require_exporter("--runtime")
        return float_onnx(subject.module, examples.inputs)

    return [load_runtime(name, subject, make_onnx) for name in names]
