"""A training run's numbers for TensorBoard, beside `metrics.jsonl`."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from bitcliff.adapters.optional import require
from bitcliff.train.loop import Metrics

Add = Callable[[str, Metrics, int], None]
"""Takes numbers of one step as scalars named "group/key"."""


def find_tensorboard() -> Any:
    """torch's writer of event files.

    Raises:
        MissingExtra: TensorBoard is not installed.
    """
    require("tensorboard", "tensorboard", "tensorboard: true")
    return require("torch.utils.tensorboard", "tensorboard", "tensorboard: true")


@contextmanager
def event_file(directory: Path, after: int) -> Iterator[Add]:
    """Where scalars go until the end of the block.

    Args:
        after: the step a run goes on from. What a killed process wrote of later steps is hidden
            from readers, so that none is shown twice.
    """
    with ExitStack() as opened:

        @cache
        def writer() -> Any:  # with the first number: a run that is refused leaves no folder
            made = find_tensorboard().SummaryWriter(str(directory), purge_step=after + 1)
            return opened.enter_context(made)

        def add(group: str, numbers: Metrics, step: int) -> None:
            for key, value in numbers.items():
                writer().add_scalar(f"{group}/{key}", value, step)

        yield add
