"""The run of a command that measures something of its own: held, resumed, written at its end."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from bitcliff.record import make_folder, write_bytes_atomic, write_text_atomic
from bitcliff.record.measurement import Figures, Measurement, MeasurementKind, Observed, stem_of
from bitcliff.run.partial import Partial
from bitcliff.run.run_directory import CONFIG, PARTIAL, held, open_run
from bitcliff.types.subject import Inputs


@contextmanager
def measuring(command: str, out: Path, config: dict[str, Any], began: str) -> Iterator[Partial]:
    """Hold the run directory; what an earlier run left there goes once this one has ended.

    Args:
        began: when the command began, UTC, ISO 8601.
    """
    open_run(out)
    with held(out):
        partial = Partial(out / f"{stem_of(command)}.{PARTIAL}", config, began)
        yield partial
        partial.clear()


def written(
    kind: MeasurementKind[Observed, Figures],
    observed: Observed,
    out: Path,
    config: dict[str, Any],
    page: Callable[[Measurement[Observed, Figures]], str],
) -> Measurement[Observed, Figures]:
    """Work out the figures, draw the page, then write all of it."""
    record = kind.of(observed)
    text = page(record)
    write_text_atomic(out / kind.file_name, kind.json(record))
    write_text_atomic(out / CONFIG, json.dumps(config, indent=2) + "\n")
    write_text_atomic(out / "report.html", text)
    return record


def write_inputs(file: Path, roles: Mapping[str, Inputs]) -> None:
    """What a network was given, so that anyone can run it: `ROLE.input`, or `ROLE.NAME` of inputs
    that have names."""
    tensors: dict[str, Tensor] = {}
    for role, inputs in roles.items():
        named = inputs if isinstance(inputs, Mapping) else {"input": inputs}
        tensors |= {f"{role}.{name}": tensor.contiguous() for name, tensor in named.items()}
    make_folder(file.parent)
    write_bytes_atomic(file, save(tensors))
