"""Zip archives (.pt, .npz) checked from end to end before anything in them is used."""

import zipfile
import zlib
from pathlib import Path

from bitcliff.errors import InputError

_LARGEST = 32 * 2**30


def check_zip(path: Path) -> list[str]:
    """The names in a zip archive whose every member has the length and the checksum it claims.

    PyTorch's and NumPy's own readers let damage through in places, so this reads all of it once.

    Raises:
        InputError: truncated, damaged, encrypted, or larger than 32 GiB unpacked.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_members(path, members)
            damaged = archive.testzip()
    except InputError:
        raise
    except zipfile.BadZipFile as error:
        raise InputError(f"{path}: truncated or damaged ({error}); copy it again") from error
    except (OSError, EOFError, ValueError, RuntimeError, NotImplementedError, zlib.error) as error:
        raise InputError(f"{path}: damaged ({error}); copy it again") from error
    except Exception as error:  # zipfile parses with struct and lzma too, and lets theirs through
        raise InputError(f"{path}: damaged ({type(error).__name__}); copy it again") from error
    if damaged is not None:
        raise InputError(f"{path}: damaged: checksum of {damaged!r} is wrong; copy it again")
    return [member.filename for member in members]


def _check_members(path: Path, members: list[zipfile.ZipInfo]) -> None:
    if sum(member.file_size for member in members) > _LARGEST:
        raise InputError(f"{path}: larger than 32 GiB unpacked; give a part of it")
    if any(member.flag_bits & 1 for member in members):
        raise InputError(f"{path}: encrypted; give it unencrypted")
