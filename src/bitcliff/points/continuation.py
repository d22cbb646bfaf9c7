"""Texts, and what else is decoded token by token, followed by what float goes on with."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from bitcliff.errors import InputError
from bitcliff.points.forward import output_of, parts_alike, take, unpadded
from bitcliff.points.outputs import judged_output
from bitcliff.tasks import task_of
from bitcliff.tasks.against_float import AgainstFloat
from bitcliff.tasks.continuation import Continuation, decoded
from bitcliff.tasks.positions import by_position
from bitcliff.types.subject import DECODED, IDS, MASK, Inputs, Texts

_AT_ONCE = 32


def tokens_to_follow(module: nn.Module) -> int:
    """How many tokens a network's task has follow each text."""
    kind = continuation_of(module)
    return 0 if kind is None else kind.tokens - 1  # nothing follows the last


def continuation_of(module: nn.Module) -> Continuation | None:
    """A network's task, if it is this one."""
    task = task_of(module)
    kind = task.kind if isinstance(task, AgainstFloat) else None
    return kind if isinstance(kind, Continuation) else None


@torch.no_grad()
def continued(module: nn.Module, inputs: Inputs) -> Inputs:
    """The same with float's own tokens behind each, as many as its task asks for.

    Texts of one length go on together and unpadded; afterwards all are padded at the end. Behind a
    token that ends a text it stands again.

    Raises:
        InputError: the network does not write as many.
    """
    kind, count = continuation_of(module), tokens_to_follow(module)
    if kind is None or not count or isinstance(inputs, Tensor) or decoded(inputs) is None:
        return inputs
    room = getattr(getattr(module, "config", None), "max_target_positions", None)
    if DECODED in inputs and room is not None and inputs[DECODED].shape[1] + count > room:
        raise InputError(f"--task {kind.name}: the model writes no more than {room} tokens")
    rows: dict[int, Mapping[str, Tensor]] = {}
    for places in parts_alike(inputs, _AT_ONCE):
        batch = unpadded(take(inputs, places))
        assert not isinstance(batch, Tensor)  # noqa: S101  (it is of `inputs`)
        ended = torch.zeros(len(places), dtype=torch.bool)
        run = _runner(module, batch)
        for _ in range(count):
            batch, ended = _one_more(run, batch, ended, kind.ends)
        rows |= {
            int(place): {name: values[row] for name, values in batch.items()}
            for row, place in enumerate(places)
        }
    ordered = [rows[place] for place in range(len(rows))]
    joined = {name: pad_sequence([row[name] for row in ordered], True) for name in inputs}
    return type(inputs)(joined) if isinstance(inputs, Texts) else joined


def _runner(module: Any, first: Mapping[str, Tensor]) -> Callable[[Mapping[str, Tensor]], Tensor]:
    """The network; what it hears or translates is encoded once, where it says how."""
    if DECODED not in first or not hasattr(module, "get_encoder"):
        return partial(output_of, module)
    encoder = module.get_encoder()
    given = {name: x for name, x in first.items() if name != DECODED}
    encoded = encoder(**given, return_dict=True)
    rest = {name: x for name, x in given.items() if name == MASK}

    def run(batch: Mapping[str, Tensor]) -> Tensor:
        output = module(encoder_outputs=encoded, decoder_input_ids=batch[DECODED], **rest)
        return output if isinstance(output, Tensor) else judged_output(output)

    return run


def _one_more(
    run: Callable[[Mapping[str, Tensor]], Tensor],
    batch: Mapping[str, Tensor],
    ended: Bool[Tensor, " batch"],
    ends: tuple[int, ...],
) -> tuple[Mapping[str, Tensor], Bool[Tensor, " batch"]]:
    """With the next token, or the one that ended the text; and which have ended."""
    name = DECODED if DECODED in batch else IDS
    token = batch[name][:, -1:]
    if not bool(ended.all()):
        best = by_position(run(batch))[:, -1:].argmax(2)
        token = token.where(ended[:, None], best)
        ended = ended | torch.isin(token[:, 0], torch.tensor(ends))
    if name == DECODED:
        return {**batch, name: torch.cat([batch[name], token], 1)}, ended
    longer = {
        # What else there is of each token, such as the mask, is as of the one before.
        name: torch.cat([values, token if name == IDS else values[:, -1:]], 1)
        for name, values in batch.items()
    }
    return type(batch)(longer) if isinstance(batch, Texts) else longer, ended
