"""The one file that decides which ONNX files are opened at all."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bitcliff.adapters.optional import require
from bitcliff.adapters.weights import file_sha256
from bitcliff.adapters.wording import one_line
from bitcliff.errors import InputError

# What protobuf itself can hold in one message; larger weights lie in files of their own.
_LARGEST_FILE = 2**31 - 1


@dataclass(frozen=True)
class OnnxFile:
    """An ONNX file that was parsed, its weights in other files not yet read.

    Attributes:
        path: the file.
        model: the onnx.ModelProto.
        sha256: of the file, or over the hashes of all its files where there are several.
        size: of all of them, bytes.
    """

    path: Path
    model: Any
    sha256: str
    size: int


def read_onnx(path: Path) -> OnnxFile:
    """Parses the file, and finds its weights' files in its own folder and below it, nowhere else.

    Older versions of ONNX Runtime would read any path, so the file comes here first.

    Raises:
        InputError: missing, too large, cut off, not ONNX, or weights missing or outside its folder.
        MissingExtra: onnx is not installed.
    """
    data, model, beside = _parsed(path)
    digests = [hashlib.sha256(data).hexdigest(), *map(file_sha256, beside)]
    identity = hashlib.sha256("".join(digests).encode()).hexdigest() if digests[1:] else digests[0]
    return OnnxFile(path, model, identity, _size(path, beside))


def check_one_piece(path: Path) -> Any:
    """The file as onnx.ModelProto, without weights that lie beside it; refused at once where it is
    too large, with these, for who wants it in one piece.

    Raises:
        InputError: it is, or as `read_onnx`.
    """
    _, model, beside = _parsed(path)
    size = _size(path, beside)
    if size > _LARGEST_FILE:
        raise InputError(
            f"{path}: {size / 2**30:.1f} GiB with its weights, and --runtime takes it in one "
            "piece, which holds 2 GiB; leave --runtime out, or give a smaller network"
        )
    return model


def _size(path: Path, beside: Iterable[Path]) -> int:
    return sum(file.stat().st_size for file in [path, *beside])


def _parsed(path: Path) -> tuple[bytes, Any, list[Path]]:
    """The file's bytes, the onnx.ModelProto, and the files of its weights."""
    onnx = require("onnx", "onnx", str(path))
    if not path.is_file():
        raise InputError(f"{path}: no such file; give a network exported as FILE.onnx")
    size = path.stat().st_size
    if size > _LARGEST_FILE:
        raise InputError(
            f"{path}: {size / 2**30:.1f} GiB, but no ONNX file is above 2 GiB; export it with its "
            "weights in a file beside it"
        )
    try:
        data = path.read_bytes()
        model = onnx.load_model_from_string(data)
        locations = sorted(set(_locations(model)))  # reads all its text, which may be none
    except Exception as error:
        raise InputError(f"{path}: cut off, or not an ONNX file ({one_line(error)})") from error
    if not model.HasField("graph"):  # an empty file is a message like any other
        raise InputError(f"{path}: cut off, or not an ONNX file (it holds no graph)")
    return data, model, [weight_file(path, location) for location in locations]


def weight_file(path: Path, location: str) -> Path:
    """Where weights lie that the file at `path` declares to be at `location`.

    Raises:
        InputError: outside the file's folder, also by way of a link, or missing.
    """
    file = path.parent / location
    try:
        inside = file.resolve().is_relative_to(path.parent.resolve())
        found = file.is_file()
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{path}: its weights cannot be found ({one_line(error)})") from error
    if not inside:
        raise InputError(f"{path}: refused: has weights outside its own folder, in {file}")
    if not found:
        raise InputError(f"{path}: its weights are in {file}, which is missing; copy it too")
    return file


def _locations(message: Any) -> Iterator[str]:
    for field, value in message.ListFields():
        if field.type == field.TYPE_STRING:
            texts = [value] if isinstance(value, str | bytes) else value
            if any(isinstance(text, bytes) for text in texts):  # protobuf lets it through
                raise ValueError(f"{field.name} is no text")
        if field.message_type is not None:
            for part in [value] if hasattr(value, "ListFields") else value:
                if field.name == "external_data" and part.key == "location":
                    yield part.value
                yield from _locations(part)
