"""Running `bitcliff` as a user does, in a folder of its own."""

import contextlib
import io
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bitcliff.cli.main import run

BITCLIFF = str(Path(sysconfig.get_path("scripts")) / "bitcliff")
EFFORT = ["--draws", "3", "--rounds", "2", "--exchanges", "4", "--evaluations", "8"]
QUICK = ["--bits", "2:5", "--budget", "3", "--uniform", "3,8", *EFFORT]
DAMAGED = bytes(range(256)) * 4


def environment(**more: str) -> dict[str, str]:
    """One thread, and no colours or widths of the terminal the tests run in."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BITCLIFF", "COLUMNS"))}
    return {**kept, "OMP_NUM_THREADS": "1", "NO_COLOR": "1", **more}


def bitcliff(folder: Path, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end, in this process: it has loaded what takes seconds to load."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with (
        _as_started(folder, arguments, env),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = run(arguments)
    return subprocess.CompletedProcess(arguments, code, _written(out), _written(err))


def spawned(folder: Path, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """The same in a process of its own, for what is about processes."""
    return subprocess.run(
        [BITCLIFF, *arguments],
        cwd=folder,
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


@contextlib.contextmanager
def _as_started(folder: Path, arguments: tuple[str, ...], env: dict[str, str]) -> Iterator[None]:
    """Gives a command what a new process would have, and takes back what it leaves behind."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with (
        contextlib.chdir(folder),
        mock.patch.dict(os.environ, environment(**env), clear=True),
        mock.patch.object(sys, "argv", [BITCLIFF, *arguments]),
        mock.patch.object(sys, "path", [*sys.path]),
    ):
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            # Compared as text: there are thousands, and a path of each takes a tenth of a second.
            inside = f"{folder}{os.sep}"
            for name, module in [*sys.modules.items()]:
                if str(getattr(module, "__file__", "")).startswith(inside):
                    del sys.modules[name]


def _written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode()


def furnish(folder: Path, weights: Path, inputs: Tensor, labels: Tensor) -> None:
    """Networks, weights and the same digits as arrays, images in folders, and a table."""
    networks = Path(__file__).parents[1] / "small_networks.py"
    shutil.copy(networks, folder / "mynet.py")
    shutil.copy(weights, folder / "mlp.safetensors")
    np.savez(folder / "digits.npz", x=inputs.numpy(), y=labels.numpy())
    rows = ["path,label"]
    for place, (image, label) in enumerate(zip(inputs, labels.tolist(), strict=True)):
        pixels = (image[0] * 255).round().to(torch.uint8).numpy()
        path = folder / "images" / str(label) / f"{place:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        rows.append(f"images/{label}/{place:03d}.png,{label}")
    (folder / "table.csv").write_text("\n".join(rows) + "\n")
