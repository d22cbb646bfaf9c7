"""Texts, and what else is decoded token by token, followed by what float goes on with."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from bitcliff.points.forward import batch_size, output_of, take, unpadded
from bitcliff.tasks import task_of
from bitcliff.tasks.against_float import AgainstFloat
from bitcliff.tasks.continuation import Continuation
from bitcliff.tasks.positions import by_position
from bitcliff.types.subject import Inputs, Texts

_IDS, _DECODED = "input_ids", "decoder_input_ids"
_AT_ONCE = 32


def tokens_to_follow(module: nn.Module) -> int:
    """How many tokens a network's task has follow each text."""
    task = task_of(module)
    if isinstance(task, AgainstFloat) and isinstance(task.kind, Continuation):
        return task.kind.tokens - 1  # nothing follows the last
    return 0


@torch.no_grad()
def continued(module: nn.Module, inputs: Inputs) -> Inputs:
    """The same with float's own tokens behind each, as many as its task asks for.

    Texts of one length go on together and unpadded; afterwards all are padded at the end.
    """
    count = tokens_to_follow(module)
    if not count or isinstance(inputs, Tensor):
        return inputs
    lengths = inputs.lengths if isinstance(inputs, Texts) else torch.zeros(batch_size(inputs))
    rows: dict[int, Mapping[str, Tensor]] = {}
    for length in lengths.unique():
        for places in (lengths == length).nonzero()[:, 0].split(_AT_ONCE):
            batch = unpadded(take(inputs, places))
            assert not isinstance(batch, Tensor)  # noqa: S101  (it is of `inputs`)
            for _ in range(count):
                batch = _one_more(module, batch)
            rows |= {
                int(place): {name: values[row] for name, values in batch.items()}
                for row, place in enumerate(places)
            }
    ordered = [rows[place] for place in range(len(rows))]
    joined = {name: pad_sequence([row[name] for row in ordered], True) for name in inputs}
    return type(inputs)(joined) if isinstance(inputs, Texts) else joined


def _one_more(module: nn.Module, batch: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    token = by_position(output_of(module, batch))[:, -1].argmax(1)[:, None]
    if _DECODED in batch:
        return {**batch, _DECODED: torch.cat([batch[_DECODED], token], 1)}
    longer = {
        # What else there is of each token, such as the mask, is as of the one before.
        name: torch.cat([values, token if name == _IDS else values[:, -1:]], 1)
        for name, values in batch.items()
    }
    return type(batch)(longer) if isinstance(batch, Texts) else longer
