"""`file:INT8.onnx`: the very file that ships, in ONNX Runtime, whoever quantized it and however."""

from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from bitcliff.adapters.onnx.baseline import (
    all_nodes,
    counted,
    is_quantized,
    quantized_operators,
)
from bitcliff.adapters.onnx.file import read_onnx
from bitcliff.adapters.onnx.one_piece import in_one_piece, put_examples_first
from bitcliff.adapters.optional import require
from bitcliff.adapters.runtimes.integer_sums import integer_sums
from bitcliff.adapters.runtimes.session import (
    open_session,
    run_session,
    session_outputs,
    takes_batches,
)
from bitcliff.adapters.wording import one_line, shortened
from bitcliff.errors import InputError
from bitcliff.points.outputs import chosen_output, moved_of
from bitcliff.types.runtime import Runtime
from bitcliff.types.subject import Subject

PREFIX = "file:"
_LAYERS = ("ConvTranspose", "Conv", "Gemm", "MatMul", "LSTM", "GRU", "Attention")


def load_file(
    name: str,
    subject: Subject,
    make_onnx: Callable[[], bytes],
    _in_float: Collection[str] = (),
) -> Runtime:
    """The file that `name` gives after its prefix, beside the subject in float.

    Raises:
        InputError: it cannot be read or run, is not quantized, or takes or gives something else
            than the subject does; the text says what. MissingExtra: it is not installed.
    """
    path = Path(name.removeprefix(PREFIX))
    onnxruntime = require("onnxruntime", "onnx", f"--runtime {name}")
    file = read_onnx(path)
    operators = quantized_operators(file.model)
    layers = _layers(file.model)
    if not operators:
        held = ", ".join(f"{count} {kind}" for kind, count in layers[1].items())
        raise InputError(
            f"--runtime {name}: is not quantized"
            + (f": {held} in float" if held else "")
            + "; give the file that ships"
        )
    in_float = open_session(onnxruntime, make_onnx())
    try:
        session = open_session(onnxruntime, path)
    except Exception as error:
        raise InputError(f"--runtime {name}: cannot be run ({one_line(error)})") from error
    output = _judged(name, in_float, session)
    model: Any = file.model
    source: Path | bytes = path
    if (moved := moved_of(subject.module)) is not None:
        model = in_one_piece(path)
        put_examples_first(model.graph, moved, output)
        source = model.SerializeToString()
        session = open_session(onnxruntime, source)
    _check_ends(name, subject, in_float, session, output)
    return Runtime(
        name=name,
        version=f"onnxruntime {onnxruntime.__version__}, file {file.sha256[:12]}",
        description=f"{path.name} as it is: {counted(operators)}",
        run=run_session(session, output),
        run_float=run_session(in_float),
        # Weights alone may be rounded: then that is what is told.
        quantized=dict(layers[0] or operators),
        in_float=dict(layers[1]),
        batches=takes_batches(session) and takes_batches(in_float),
        sums=integer_sums(onnxruntime, model, source, output),
    )


def _layers(model: Any) -> tuple[Counter[str], Counter[str]]:
    """Those that compute in integers, and those in float.

    By their operator, or since what they multiply is only taken off its scale for them, which
    ONNX Runtime fuses.
    """
    nodes = list(all_nodes(model))
    made_by = {output: node.op_type for node in nodes for output in node.output}
    found: tuple[Counter[str], Counter[str]] = Counter(), Counter()
    for node in nodes:
        kind = next((one for one in _LAYERS if one in node.op_type), None)
        if kind is None:
            continue
        scaled = made_by.get(node.input[0]) == "DequantizeLinear" if node.input else False
        found[not (scaled or is_quantized(node.op_type))][kind] += 1
    return found


def _judged(name: str, in_float: Any, session: Any) -> str:
    """The name of the file's output that is compared with the network's in float."""
    wanted, known = in_float.get_outputs()[0].name, session_outputs(session)
    try:
        return chosen_output(known, wanted if wanted in known else None)
    except InputError as error:
        raise InputError(f"--runtime {name}: {shortened(str(error))}") from error


def _check_ends(name: str, subject: Subject, in_float: Any, session: Any, output: str) -> None:
    """InputError unless both take the same inputs and give the same scores."""
    ours, theirs = in_float.get_inputs(), session.get_inputs()
    if len(ours) == len(theirs) == 1:
        pairs = [(ours[0], theirs[0])]
    else:
        by_name = {one.name: one for one in theirs}
        if by_name.keys() != {one.name for one in ours}:
            raise _other(name, subject, "takes", _names(theirs), _names(ours))
        pairs = [(one, by_name[one.name]) for one in ours]
    for one, other in pairs:
        if not _alike(one, other):
            raise _other(name, subject, "takes", _words(other), _words(one))
    wanted = in_float.get_outputs()[0]
    given = next(one for one in session.get_outputs() if one.name == output)
    if not _alike(wanted, given):
        raise _other(name, subject, "gives", _words(given), _words(wanted))


def _alike(one: Any, other: Any) -> bool:
    """The same type, and no fixed size but the batch's that differs."""
    if one.type != other.type:
        return False
    if not one.shape or not other.shape:
        return True
    sizes = list(zip(one.shape, other.shape, strict=False))[1:]
    return len(one.shape) == len(other.shape) and all(
        a == b for a, b in sizes if isinstance(a, int) and isinstance(b, int)
    )


def _names(values: Any) -> str:
    return ", ".join(one.name for one in values)


def _words(value: Any) -> str:
    sizes = ", ".join(str(size) for size in ("batch", *value.shape[1:]))
    return f"{value.name} {value.type} ({sizes})"


def _other(name: str, subject: Subject, verb: str, theirs: str, ours: str) -> InputError:
    return InputError(
        f"--runtime {name}: is not the same network as {subject.name}: it {verb} "
        f"{shortened(theirs)}, and that {shortened(ours)}"
    )
