"""Weights from files, as data only: nothing that a file holds is ever run."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bitcliff.adapters.containers import check_zip
from bitcliff.adapters.optional import quiet
from bitcliff.adapters.pickle_scan import scan_pickles
from bitcliff.adapters.wording import one_line
from bitcliff.errors import InputError

_SAVE_INSTEAD = "save its state dict instead: safetensors.torch.save_file(model.state_dict(), FILE)"
_WRAPPERS = ("state_dict", "model_state_dict", "model")
_PREFIXES = ("module.", "_orig_mod.")
_SCANNED_BYTES = 16 * 2**20


@dataclass(frozen=True)
class Weights:
    """A state dict read from a file.

    Attributes:
        path: the file.
        tensors: by parameter name; every one finite.
        sha256: of the file.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    sha256: str


def read_weights(path: Path) -> Weights:
    """Reads a state dict from .safetensors, or from .pt, .pth or .bin with weights_only=True.

    {"state_dict": ...} and {"model": ...} are unwrapped, the prefixes that DataParallel ("module.")
    and torch.compile ("_orig_mod.") leave are dropped.

    Raises:
        InputError: missing, truncated, damaged, of another kind, needs to run code, or holds NaN
            or infinity.
    """
    readers: dict[str, Callable[[Path], Mapping[str, Any]]] = {
        ".safetensors": _read_safetensors,
        ".pt": _read_torch,
        ".pth": _read_torch,
        ".bin": _read_torch,
    }
    path = Path(path)
    suffix = path.suffix.lower()
    if not path.exists():
        raise InputError(f"{path}: no such file; give a .safetensors or .pt file of weights")
    if not path.is_file():
        raise InputError(f"{path}: not a file; give a .safetensors or .pt file of weights")
    if suffix == ".pt2":
        raise InputError(_refuse_exported(path))
    if suffix not in readers:
        raise InputError(f"{path}: weights must be one of {', '.join(readers)}")
    try:
        if path.stat().st_size == 0:
            raise InputError(f"{path}: empty; copy it again")
        tensors = _state_dict(readers[suffix](path), path)
        digest = file_sha256(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({one_line(error)})") from error
    refuse_non_finite(tensors, str(path))
    return Weights(path, tensors, digest)


def _read_safetensors(path: Path) -> Mapping[str, Any]:
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except Exception as error:
        raise InputError(
            f"{path}: truncated, damaged or not a safetensors file ({one_line(error)})"
        ) from error


def _read_torch(path: Path) -> Mapping[str, Any]:
    with path.open("rb") as file:
        head = file.read(4)
    if head.startswith(b"PK"):
        _check_torch_zip(path)
    try:
        with quiet():
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(_why_refused(path, error)) from error
    if not isinstance(loaded, Mapping):
        raise InputError(f"{path}: holds a {type(loaded).__name__}, not a state dict")
    return loaded


def _check_torch_zip(path: Path) -> None:
    names = check_zip(path)
    inner = {name.partition("/")[2] for name in names}
    if "constants.pkl" in inner or any(name.startswith("code/") for name in inner):
        raise InputError(
            f"{path}: refused: a TorchScript archive, which is a program and not weights; "
            + _SAVE_INSTEAD
        )
    if "archive_format" in inner or "models/model.json" in inner:
        raise InputError(_refuse_exported(path))


def _refuse_exported(path: Path) -> str:
    return (
        f"{path}: refused: a .pt2 archive of torch.export, which is a program and not weights; "
        + _SAVE_INSTEAD
    )


def _why_refused(path: Path, error: Exception) -> str:
    scan = scan_pickles(_pickle_bytes(path))
    if scan.whole_module:
        return (
            f"{path}: refused: a whole pickled module ({scan.foreign[0]}), and loading it would "
            f"run code; {_SAVE_INSTEAD}"
        )
    if scan.foreign:
        return (
            f"{path}: refused: a pickle that would run code ({scan.foreign[0]}); no state dict "
            f"needs that; {_SAVE_INSTEAD}"
        )
    # torch's own text goes on to recommend loading it all the same.
    reason = one_line(error).split(". ")[0]
    return f"{path}: truncated, damaged or not a PyTorch file ({reason})"


def _pickle_bytes(path: Path) -> bytes:
    import zipfile

    try:
        if not zipfile.is_zipfile(path):
            with path.open("rb") as file:
                return file.read(_SCANNED_BYTES)
        with zipfile.ZipFile(path) as archive:
            name = next(n for n in archive.namelist() if n.endswith("data.pkl"))
            with archive.open(name) as member:
                return member.read(_SCANNED_BYTES)
    except Exception:  # noqa: BLE001 - it only explains a refusal that stands anyway
        return b""


def _state_dict(loaded: Mapping[Any, Any], path: Path) -> dict[str, Tensor]:
    for wrapper in _WRAPPERS:
        if isinstance(loaded.get(wrapper), Mapping):
            loaded = loaded[wrapper]
            break
    if not loaded:
        raise InputError(f"{path}: holds no weights")
    for key, value in loaded.items():
        if not (isinstance(key, str) and isinstance(value, Tensor)):
            raise InputError(
                f"{path}: not a state dict: {str(key)[:60]!r} holds a {type(value).__name__}, "
                "not a tensor"
            )
        if value.layout is not torch.strided or value.is_quantized or value.is_meta:
            raise InputError(f"{path}: {key} is not a plain dense tensor; save it as one")
    tensors: dict[str, Tensor] = dict(loaded)
    for prefix in _PREFIXES:
        if all(key.startswith(prefix) for key in tensors):
            tensors = {key.removeprefix(prefix): value for key, value in tensors.items()}
    return tensors


def refuse_non_finite(tensors: Mapping[str, Tensor], where: str) -> None:
    """Raises an InputError that names the first tensor with a NaN or infinity in it."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() or tensor.is_complex():
            wide = tensor if tensor.element_size() > 1 else tensor.float()  # float8 has no isfinite
            if not bool(torch.isfinite(wide).all()):
                raise InputError(f"{where}: {name} holds NaN or infinity; such weights are no use")


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
