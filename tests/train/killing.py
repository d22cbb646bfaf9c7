"""Train in children that are killed at random moments, over and over, until one gets to the end.

Run as a program, since a process with threads must not fork: `python -m tests.train.killing DIR N`.
Prints how many children were killed; the weights of the last one are in DIR/final.safetensors.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import safetensors.torch
import torch

from bitcliff.train.checkpoint import Checkpoints
from bitcliff.train.loop import Loop
from tests.train.line import Line, config


def train(directory: Path) -> None:
    stage = Line()
    Loop(stage, config(epochs=40), Checkpoints(directory / "checkpoints")).run()
    safetensors.torch.save_file(stage.network.state_dict(), directory / "final.safetensors")


def main(directory: Path, kills: int) -> None:
    rng = random.Random(0)
    done = 0
    while done < kills:
        child = os.fork()
        if child == 0:
            # A little further each time, or a run that is killed early would never end.
            train(directory)
            os._exit(0)
        time.sleep(rng.uniform(0.0, 0.04))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            done += 1
        else:  # it came to the end: all over again, so that there is something to kill
            (directory / "final.safetensors").rename(directory / f"final-{done}.safetensors")
            for file in (directory / "checkpoints").iterdir():
                file.unlink()
    train(directory)
    print(done)  # noqa: T201


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), int(sys.argv[2]))
