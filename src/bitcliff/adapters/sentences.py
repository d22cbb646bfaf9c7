"""Sentence encoders as sentence-transformers saves them: what comes behind the network."""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from bitcliff.adapters.json_files import read_json
from bitcliff.errors import InputError
from bitcliff.types.subject import MASK

_STEPS = ("Transformer", "Pooling", "Normalize")
_POOLS = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}


def is_sentence_encoder(folder: Path) -> bool:
    """Whether sentence-transformers saved it."""
    return (folder / "modules.json").is_file()


def longest_of(folder: Path) -> int | None:
    """How many tokens it takes, where the folder says so."""
    file = folder / "sentence_bert_config.json"
    found = _json(file, dict).get("max_seq_length") if file.is_file() else None
    return found if isinstance(found, int) and found > 0 else None


def pool(module: nn.Module, folder: Path) -> None:
    """Let a network give one vector a text, (batch, values), as modules.json says.

    Raises:
        InputError: it has other steps than a mean of the tokens or the first of them, and a
            normalisation.
    """
    file = folder / "modules.json"
    listed = [one for one in _json(file, list) if isinstance(one, dict)]
    steps = [str(step.get("type")).rpartition(".")[2] for step in listed]
    if tuple(steps) not in (_STEPS[:2], _STEPS):
        raise InputError(
            f"{file}: has steps {', '.join(steps)}; only {', '.join(_STEPS)} are known"
        )
    told = _json(folder / Path(str(listed[1].get("path"))).name / "config.json", dict)
    ways = [
        name for name, value in told.items() if name.startswith("pooling_mode") and value is True
    ]
    if len(ways) != 1 or ways[0] not in _POOLS:
        raise InputError(
            f"{file}: pools by {', '.join(ways) or 'nothing'}; only the mean of the "
            "tokens or the first of them is known"
        )
    mean, normalised = _POOLS[ways[0]] == "mean", len(steps) > 2

    def pooled(_model: nn.Module, _args: Any, kwargs: Any, output: Any) -> Tensor:
        vectors = output.last_hidden_state
        found = _mean(vectors, kwargs[MASK]) if mean else vectors[:, 0]
        return F.normalize(found, dim=1) if normalised else found

    module.register_forward_hook(pooled, with_kwargs=True)


def _mean(
    vectors: Float[Tensor, "batch tokens values"], mask: Tensor
) -> Float[Tensor, "batch values"]:
    weights = mask[:, :, None].to(vectors)
    return (vectors * weights).sum(1) / weights.sum(1).clamp(min=torch.finfo(vectors.dtype).tiny)


def _json(file: Path, kind: type[Any]) -> Any:
    found = read_json(file)
    if not isinstance(found, kind):
        raise InputError(f"{file}: must hold a JSON {'list' if kind is list else 'object'}")
    return found
