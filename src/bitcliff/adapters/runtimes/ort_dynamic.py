"""`ort-dynamic`: ONNX Runtime's `quantize_dynamic`, as it is by default, after pre-processing."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bitcliff.adapters.optional import quiet, require
from bitcliff.adapters.runtimes.integer_sums import integer_sums
from bitcliff.adapters.runtimes.onnx_nodes import (
    give_names,
    node_of,
    nodes_of_sites,
    recurrent_in_float,
    split_by_arithmetic,
)
from bitcliff.adapters.runtimes.session import open_session, run_session, takes_batches
from bitcliff.errors import InputError
from bitcliff.types.runtime import Runtime
from bitcliff.types.runtime_choice import OrtOptions, RuntimeChoice
from bitcliff.types.subject import Subject

NAME = "ort-dynamic"
# What its integer operators are in the words of the points; it knows no transposed convolution.
_POINTS = {
    "Conv": ("conv1d", "conv2d", "conv3d", "convolution"),
    "MatMul": ("linear", "matmul"),
}
_WEIGHTS = {"int8": "QInt8", "uint8": "QUInt8"}
_FUSION = "Fusion"
_DEFAULTS = OrtOptions()


@dataclass(frozen=True)
class _Quantized:
    """The library's work: the file before and after, and the sites that it left in float."""

    prepared: Any
    done: Any
    kept: frozenset[str]


def load_ort_dynamic(
    subject: Subject,
    make_onnx: Callable[[], bytes],
    in_float: Collection[str] = (),
    options: OrtOptions = _DEFAULTS,
) -> Runtime:
    """Weights and, at each call, activations to 8 bits; one scale for the whole batch.

    Args:
        in_float: sites of points (`Point.site`) whose nodes are left out.

    Raises:
        InputError: the library wants a type that it cannot infer. MissingExtra: not installed.
    """
    runtime = require("onnxruntime", "onnx", f"--runtime {NAME}")
    given = make_onnx()
    made = _quantized(subject, given, options, in_float)
    data = made.done.SerializeToString()
    session = open_session(runtime, data)
    quantized, left = split_by_arithmetic(made.prepared, made.done)
    return Runtime(
        name=RuntimeChoice(NAME, options).label,
        options=options,
        version=f"onnxruntime {runtime.__version__}",
        description=_described(options, quantized),
        run=run_session(session),
        run_float=run_session(open_session(runtime, given)),
        quantized=quantized,
        in_float=left,
        kinds=_kinds(quantized, left),
        weight_bits=7 if options.reduce_range else 8,
        per_channel=options.per_channel and "Conv" not in quantized,
        folded=True,
        batches=takes_batches(session),
        sums=integer_sums(runtime, made.done, data),
        kept=made.kept | recurrent_in_float(subject, made.done),
    )


def _kinds(quantized: Collection[str], left: Collection[str]) -> frozenset[str]:
    """Of the points that it rounds. Those of an LSTM are linear, and told apart from other linear
    ones by no kind, so they count where no other is left in float."""
    kinds = {kind for each in quantized for kind in _POINTS.get(each, ())}
    return frozenset(
        kinds | ({"linear"} if "LSTM" in quantized and "MatMul" not in left else set())
    )


def quantized_onnx(
    subject: Subject, data: bytes, options: OrtOptions | None, in_float: Collection[str]
) -> tuple[bytes, frozenset[str]]:
    """The quantized file that `load_ort_dynamic` runs, and which sites it leaves in float.

    Raises:
        InputError, MissingExtra: as there.
    """
    made = _quantized(subject, data, options or _DEFAULTS, in_float)
    return made.done.SerializeToString(), made.kept


def _described(options: OrtOptions, quantized: Collection[str]) -> str:
    told = f"with {options.words}" if options.words else "as it is by default"
    width = f"{options.weights} in a reduced range of 7 bits" * options.reduce_range
    each = "output channel" if options.per_channel else "tensor"
    # Where the library does otherwise than it is told.
    others = [
        ("Conv", "Conv per tensor", options.per_channel),
        ("LSTM", "LSTM int8", options.weights != "int8"),
        ("Gather", "tables uint8 per tensor", options.per_channel or options.weights == "int8"),
    ]
    told_apart = [words for kind, words, differs in others if differs and kind in quantized]
    apart = f" ({', '.join(told_apart)})" if told_apart else ""
    return (
        f"quantize_dynamic {told}, after quant_pre_process: weights {width or options.weights} "
        f"per {each}{apart}, activations uint8, one scale a batch"
    )


def _quantized(
    subject: Subject, data: bytes, options: OrtOptions, in_float: Collection[str]
) -> _Quantized:
    onnx = require("onnx", "onnx", f"--runtime {NAME}")
    nodes = {}
    if in_float:
        model = onnx.load_model_from_string(data)
        give_names(model)
        known = nodes_of_sites(subject, model)
        found = {site: node_of(site, known) for site in in_float}
        nodes = {site: node for site, node in found.items() if node is not None}
        data = model.SerializeToString()
    with TemporaryDirectory() as folder:
        before, after = (Path(folder) / f"{name}.onnx" for name in ("prepared", "done"))
        with quiet():  # it warns about what it was asked to do
            _prepare(data, Path(folder) / "given.onnx", before)
            prepared = onnx.load(before)
            give_names(prepared)
            onnx.save(prepared, before)
            excluded = {site: _names_now(node, prepared) for site, node in nodes.items()}
            _quantize(
                before, after, options, [each for names in excluded.values() for each in names]
            )
        done = onnx.load(after)
    left = {node.name for node in done.graph.node}
    kept = (site for site, names in excluded.items() if not left.isdisjoint(names))
    return _Quantized(prepared, done, frozenset(kept))


def _prepare(data: bytes, given: Path, prepared: Path) -> None:
    """The library's own pre-processing: shapes inferred, batch normalisation folded."""
    shapes = require("onnxruntime.quantization.shape_inference", "onnx", f"--runtime {NAME}")
    given.write_bytes(data)
    try:
        shapes.quant_pre_process(str(given), str(prepared))
    except Exception:  # noqa: BLE001  (a bare one, where it cannot follow texts of any length)
        given.write_bytes(_without_shapes(data))
        shapes.quant_pre_process(str(given), str(prepared), skip_symbolic_shape=True)


def _names_now(node: str, prepared: Any) -> list[str]:
    """What pre-processing and quantization call a node of the file as it was given."""
    names = [
        one.name
        for one in prepared.graph.node
        if one.name == node or (one.name.startswith(f"{node}/") and one.name.endswith(_FUSION))
    ]
    # A Gemm becomes a MatMul, and an Add for its bias, before nodes are left out by name.
    return [*names, *(f"{name}_MatMul" for name in names)]


def _quantize(prepared: Path, done: Path, options: OrtOptions, excluded: list[str]) -> None:
    quantization = require("onnxruntime.quantization", "onnx", f"--runtime {NAME}")
    types = require("onnx", "onnx", f"--runtime {NAME}").TensorProto
    usual = options.default_tensor_type
    try:
        quantization.quantize_dynamic(
            prepared,
            done,
            op_types_to_quantize=list(options.operators) or None,
            per_channel=options.per_channel,
            reduce_range=options.reduce_range,
            weight_type=quantization.QuantType[_WEIGHTS[options.weights]],
            nodes_to_exclude=excluded,
            extra_options={}
            if usual is None
            else {"DefaultTensorType": getattr(types, usual.upper())},
        )
    except RuntimeError as error:
        if "DefaultTensorType" not in str(error):
            raise
        raise InputError(
            f"--runtime {NAME}: it cannot infer the type of some values; say it: --runtime "
            f"{NAME}:default_tensor_type=float"
        ) from error


def _without_shapes(data: bytes) -> bytes:
    """The file without what its exporter noted of shapes inside, some of which may not be so."""
    model = require("onnx", "onnx", f"--runtime {NAME}").load_model_from_string(data)
    del model.graph.value_info[:]
    written: bytes = model.SerializeToString()
    return written
