"""JSON in a file that somebody else wrote."""

import json
from pathlib import Path
from typing import Any

from bitcliff.adapters.wording import one_line
from bitcliff.errors import InputError


def read_json(file: Path) -> Any:
    """What the file holds.

    Raises:
        InputError: it cannot be read, is not UTF-8, or not JSON.
    """
    try:
        return json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{file}: not readable as JSON ({one_line(error)})") from error
