"""Small networks of sound, trained in seconds to tell tones apart or to spell them out."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
import transformers
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

RATE = 4000
"""Of the networks, in Hz."""
TONES = {"low": 220.0, "middle": 550.0, "high": 1300.0}
"""In Hz: a class each, or a letter."""
_SIZES: dict[str, Any] = {
    "hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48,
    "conv_dim": (24, 24), "conv_kernel": (16, 8), "conv_stride": (8, 8),
    "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2, "classifier_proj_size": 24,
    "hidden_dropout": 0.0, "attention_dropout": 0.0, "feat_proj_dropout": 0.0,
    "activation_dropout": 0.0, "final_dropout": 0.0, "layerdrop": 0.0, "apply_spec_augment": False,
}  # fmt: skip


def tone(
    names: Sequence[str], seconds: float, noise: np.random.Generator, rate: int = RATE
) -> Float[np.ndarray, " samples"]:
    """These tones one after another, each at a loudness and phase of its own, in some noise."""
    parts = []
    for name in names:
        time = np.arange(round(seconds * rate)) / rate
        loud, phase = noise.uniform(0.2, 0.8), noise.uniform(0, 2 * np.pi)
        parts.append(loud * np.sin(2 * np.pi * TONES[name] * time + phase))
    heard = np.concatenate(parts)
    return np.asarray(np.clip(heard + 0.02 * noise.standard_normal(len(heard)), -1, 1))


def _trained(architecture: str, masked: bool, steps: int) -> Any:
    torch.manual_seed(0)
    spelled = architecture == "Wav2Vec2ForCTC"
    make: Any = transformers.Wav2Vec2Config
    config = make(
        vocab_size=len(TONES) + 2, pad_token_id=1, bos_token_id=None, eos_token_id=None,
        num_labels=len(TONES), id2label=dict(enumerate(TONES)),
        label2id={name: number for number, name in enumerate(TONES)},
        feat_extract_norm="layer" if masked else "group", do_stable_layer_norm=masked,
        **_SIZES,
    )  # fmt: skip
    model = getattr(transformers, architecture)(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    noise, names = np.random.default_rng(0), list(TONES)
    for _ in range(steps):
        chosen = noise.integers(0, len(TONES), (16, 3 if spelled else 1))
        sounds = np.stack([tone([names[i] for i in row], 0.12, noise) for row in chosen])
        scores = model(_normal(torch.from_numpy(sounds).float())).logits
        loss = _spelling_loss(scores, chosen) if spelled else _class_loss(scores, chosen)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval().requires_grad_(False)


def _normal(sounds: Tensor) -> Tensor:
    return (sounds - sounds.mean(1, keepdim=True)) / sounds.std(1, keepdim=True)


def _class_loss(scores: Tensor, chosen: Any) -> Tensor:
    return F.cross_entropy(scores, torch.from_numpy(chosen[:, 0]))


def _spelling_loss(scores: Tensor, chosen: Any) -> Tensor:
    """By frames, which is learnt sooner than by strings: a letter amid its tone, else blanks."""
    places = (torch.arange(scores.shape[1]) + 0.5) / scores.shape[1] * chosen.shape[1]
    letters = torch.from_numpy(chosen + 2)[:, places.long()]
    amid = ((places % 1) - 0.5).abs() < 0.3
    return F.cross_entropy(scores.flatten(0, 1), torch.where(amid, letters, 1).flatten())


@cache
def classifier(masked: bool) -> Any:
    """Of one tone; `masked`: of the kind that is given an attention mask."""
    return _trained("Wav2Vec2ForSequenceClassification", masked, 60)


@cache
def speller() -> Any:
    """Letters 2, 3 and 4 for the tones in their order; the blank is 1."""
    return _trained("Wav2Vec2ForCTC", False, 80)


def save_model(model: Any, folder: Path) -> None:
    """As `hf:DIR` finds it."""
    masked = model.config.feat_extract_norm == "layer"
    make: Any = transformers.Wav2Vec2FeatureExtractor
    make(sampling_rate=RATE, return_attention_mask=masked).save_pretrained(folder)
    model.save_pretrained(folder)


def save_tones(folder: Path, each: int, *, of: int = 1) -> None:
    """As many sounds of each class in a folder of its name, or of one alone several tones.

    Their lengths, rates, channels and formats differ: every third is at 8000 Hz, every fourth in
    stereo, every second a .flac, and of three lengths.
    """
    noise = np.random.default_rng(1)
    for name in TONES:
        for number in range(each):
            rate = 8000 if number % 3 == 2 else RATE
            others = [list(TONES)[i] for i in noise.integers(0, len(TONES), of - 1)]
            heard = tone([name, *others], 0.1 + 0.01 * (number % 3), noise, rate)
            if number % 4 == 3:
                heard = np.stack([heard, 0.5 * heard], 1)
            where = folder / name if of == 1 else folder
            where.mkdir(parents=True, exist_ok=True)
            suffix = "flac" if number % 2 else "wav"
            soundfile.write(where / f"{name}-{number}.{suffix}", heard, rate)
