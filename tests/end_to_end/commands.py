"""Running `bitcliff` as a user does: another process, in a folder of its own."""

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

BITCLIFF = str(Path(sysconfig.get_path("scripts")) / "bitcliff")
EFFORT = ["--draws", "3", "--rounds", "2", "--exchanges", "4", "--evaluations", "8"]
QUICK = ["--bits", "2:5", "--budget", "3", "--uniform", "3,8", *EFFORT]
DAMAGED = bytes(range(256)) * 4


def environment(**more: str) -> dict[str, str]:
    """One thread, and no colours or widths of the terminal the tests run in."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BITCLIFF", "COLUMNS"))}
    return {**kept, "OMP_NUM_THREADS": "1", "NO_COLOR": "1", **more}


def bitcliff(folder: Path, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    return subprocess.run(
        [BITCLIFF, *arguments],
        cwd=folder,
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def furnish(folder: Path, weights: Path, inputs: Tensor, labels: Tensor) -> None:
    """Networks, weights and the same digits as arrays, pictures in folders, and a table."""
    networks = Path(__file__).parents[1] / "small_networks.py"
    shutil.copy(networks, folder / "mynet.py")
    shutil.copy(weights, folder / "mlp.safetensors")
    np.savez(folder / "digits.npz", x=inputs.numpy(), y=labels.numpy())
    rows = ["path,label"]
    for place, (picture, label) in enumerate(zip(inputs, labels.tolist(), strict=True)):
        pixels = (picture[0] * 255).round().to(torch.uint8).numpy()
        path = folder / "pictures" / str(label) / f"{place:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        rows.append(f"pictures/{label}/{place:03d}.png,{label}")
    (folder / "table.csv").write_text("\n".join(rows) + "\n")
