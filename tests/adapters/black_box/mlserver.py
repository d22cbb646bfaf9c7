"""A real MLServer with one ONNX model, on a socket of this machine."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
START_SECONDS = 120  # two on an idle machine


@contextmanager
def running_mlserver(
    folder: Path, uri: str, inputs: list[Any], outputs: list[Any], name: str, port: int = 0
) -> Iterator[str]:
    """Its origin; port 0: the system chooses. Inputs and outputs as V2 has them."""
    model = {
        "name": name,
        "implementation": "tests.adapters.black_box.serving.OnnxModel",
        "parameters": {"uri": uri, "version": "v1"},
        "inputs": inputs,
        "outputs": outputs,
    }
    server = {
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": 0,
        "metrics_endpoint": None,
        "parallel_workers": 0,
    }
    (folder / "model-settings.json").write_text(json.dumps(model))
    (folder / "settings.json").write_text(json.dumps(server))
    log = folder / "log"
    command = [sys.executable, "-c", "from mlserver.cli import main; main()", "start", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=out)
    try:
        yield _origin(process, log)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _origin(server: "subprocess.Popen[bytes]", log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        found = re.search(r"Uvicorn running on (http://127\.0\.0\.1:[1-9]\d*)", log.read_text())
        if found:
            return found[1]
        time.sleep(0.05)
    raise AssertionError(f"MLServer did not start:\n{log.read_text()}")
