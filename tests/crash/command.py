"""The real `bitcliff train pair`, tiny, in children of one process that has imported all of it.

Starting Python and PyTorch takes seconds; forking takes none, so that hundreds of runs fit into
minutes. Nothing is trained in the parent itself, since a process with threads must not fork.
"""

import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rich.progress  # noqa: F401  (here and below: imported now, not by each child)
import torch._dynamo

from bitcliff.cli.main import run
from bitcliff.train.checkpoint import Checkpoints

NETWORK = """
from torch import nn

def net():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4),
        nn.ReLU(), nn.Flatten(), nn.Linear(64, 10)
    )
"""
TEACHER = "model: py:network:net\ndata: data.npz\ntest: test.npz\nepochs: 1\nbatch_size: 32\n"
PAIR = (
    "model: py:network:net\nweights: t/seed-0/network.safetensors\ndata: data.npz\ntest: test.npz\n"
    "epochs: 2\nbatch_size: 32\nsave_every: 2\npolicy_channels: [2]\nbits: [3, 4]\nbudget: 3.5\n"
)
AIMS = ("robust", "brittle")


class Command:
    """One folder with data, a teacher, a pair run `whole` that nobody disturbed, and others."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out, self.log = folder, folder / "run", folder / "log"
        self.begin: Path | None = None
        rng = np.random.default_rng(0)
        x = rng.random((120, 1, 8, 8), dtype=np.float32)
        np.savez(folder / "data.npz", x=x, y=np.arange(120) % 10)
        np.savez(folder / "test.npz", x=1 - x, y=np.arange(120) % 10)
        (folder / "network.py").write_text(NETWORK)
        (folder / "teacher.yaml").write_text(TEACHER)
        (folder / "pair.yaml").write_text(PAIR)
        finish(self._fork(["train", "teacher", "teacher.yaml", "--out", "t"], stopped=False))
        self.finish()
        self.out.rename(folder / "whole")
        self.wanted = results(folder / "whole")

    def start(self, stopped: bool = False) -> int:
        """A child that trains into `out`, or goes on; stopped: not before a SIGCONT."""
        out = ["--out", str(self.out), "--resume", "--threads", "1"]
        return self._fork(["train", "pair", "pair.yaml", *out], stopped)

    def finish(self) -> None:
        """Train to the end, or go on to it."""
        assert finish(self.start()) == 0, self.log.read_text()

    def clear(self) -> None:
        """Begin again: from nothing, or from what `begin` holds."""
        shutil.rmtree(self.out, ignore_errors=True)
        if self.begin is not None:
            shutil.copytree(self.begin, self.out)

    def newest(self) -> dict[str, int]:
        """The newest whole checkpoint's step, by aim; none may be damaged."""
        steps = {}
        for aim in AIMS:
            checkpoint, damaged = Checkpoints(self.out / "seed-0" / aim / "checkpoints").newest()
            assert damaged == []
            if checkpoint is not None:
                steps[aim] = checkpoint.step
        return steps

    def check_results(self) -> None:
        """Every result holds the bytes it has in `whole`, and nothing lies about."""
        found = results(self.out)
        assert found.keys() == self.wanted.keys(), sorted(found)
        for name, data in self.wanted.items():
            assert found[name] == data, name
        assert not list(self.out.rglob("*.tmp"))

    def _fork(self, arguments: Sequence[str], stopped: bool) -> int:
        assert len(os.listdir("/proc/self/task")) == 1
        child = os.fork()
        if child:
            return child
        os.chdir(self.folder)
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        if stopped:
            os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(run(arguments))


def finish(child: int) -> int:
    """Wait for it; its exit code, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def results(out: Path) -> dict[str, bytes]:
    """All a run leaves, save all but the newest checkpoint of each aim."""
    files = [file for file in out.rglob("*") if file.is_file()]
    older = [file for aim in AIMS for file in _all_but_newest(out / "seed-0" / aim)]
    return {str(file.relative_to(out)): file.read_bytes() for file in files if file not in older}


def _all_but_newest(run: Path) -> list[Path]:
    files = sorted((run / "checkpoints").iterdir())
    return [file for file in files if file.stem != files[-1].stem]


torch.set_num_threads(1)
