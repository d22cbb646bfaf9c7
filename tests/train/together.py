"""Two processes that train one line: `python -m tests.train.together DIR` starts both.

They do so once for each case, in a group of their own, for loading torch takes longer than that.
Each prints how it ended and leaves its network's state in DIR/CASE/RANK.safetensors.
"""

import subprocess
import sys
from pathlib import Path

import safetensors.torch
import torch
import torch.distributed as dist
from torch import Tensor

from bitcliff.errors import BitcliffError, InputError
from bitcliff.train.checkpoint import Checkpoints
from bitcliff.train.hardware import Hardware
from bitcliff.train.loop import Hooks, Loop, Metrics, Stopped
from tests.train.line import Line, config


class Failing(Line):
    """Asks an endpoint that goes down for the second process alone."""

    def __init__(self, rank: int) -> None:
        super().__init__()
        self.left = 3 if rank == 1 else 100

    def loss(self, index: Tensor) -> tuple[Tensor, Metrics]:
        self.left -= 1
        if self.left == 0:
            raise InputError("the endpoint is down")
        return super().loss(index)


def train(directory: Path, case: str, rank: int) -> None:
    stage = Failing(rank) if case == "failing" else Line()
    if case == "broken" and rank == 1:
        stage.broken_at = 3
    steps = []
    hooks = Hooks(
        on_step=lambda step, _steps, _parts: steps.append(step),
        should_stop=lambda: case == "stopped" and rank == 1 and steps[-1] == 3,
    )
    checkpoints = Checkpoints(directory / f"checkpoints-{rank}")
    Loop(stage, config(epochs=2), checkpoints, 0, Hardware(rank=rank, size=2)).run(hooks)
    state = stage.network.state_dict()
    safetensors.torch.save_file(state, directory / f"{rank}.safetensors")


CASES = ("whole", "stopped", "broken", "failing")


def main(directory: Path, rank: int | None) -> None:
    if rank is None:
        for case in CASES:
            (directory / case).mkdir()
        command = [sys.executable, "-m", "tests.train.together", str(directory)]
        other = subprocess.Popen([*command, "1"], stdout=subprocess.PIPE, text=True)
        main(directory, 0)
        print(other.communicate()[0], end="")  # noqa: T201
        return
    torch.set_num_threads(1)
    for case in CASES:
        print(case, rank, how_it_ends(directory / case, case, rank))  # noqa: T201


def how_it_ends(directory: Path, case: str, rank: int) -> str:
    meeting = (directory / "meeting").as_uri()
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    try:
        train(directory, case, rank)
        return "finished"
    except Stopped:
        return "stopped"
    except BitcliffError as error:
        return str(error)
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if sys.argv[2:] else None)
