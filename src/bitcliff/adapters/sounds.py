"""Sounds from files: checked, read as far as the model takes them, mixed to mono and resampled."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from bitcliff.adapters.optional import quiet, require
from bitcliff.adapters.outputs import output_count
from bitcliff.adapters.source import Progress, Source, Taken
from bitcliff.adapters.wording import one_line
from bitcliff.errors import InputError
from bitcliff.points.continuation import continued, tokens_to_follow
from bitcliff.types.subject import MASK, Hearing, Inputs, Sounds, Subject, Texts
from bitcliff.types.waveform import Waveform

SUFFIXES = frozenset({".wav", ".flac"})


@dataclass(frozen=True)
class _Sound:
    """One that was read.

    Attributes:
        samples: at the model's rate, in [-1, 1]. rate, channels: of the file. cut: it is longer.
    """

    samples: Float32[np.ndarray, " samples"]
    rate: int
    channels: int
    cut: bool


def hearing_of(subject: Subject, data: str) -> Hearing:
    """How the subject takes sounds.

    Raises:
        InputError: it takes none.
    """
    if subject.hearing is None:
        raise InputError(
            f"{data}: sound, but {subject.name} takes no sound files; a model that does is a "
            "Hugging Face folder, hf:DIR, and features for any other go into arrays, as FILE.npz"
        )
    return subject.hearing


def sound_files(
    ids: tuple[str, ...],
    files: Sequence[Path],
    labels: Sequence[int] | None,
    hearing: Hearing,
    module: nn.Module,
) -> Source:
    """Sounds in files, each with its id and, if labelled, its output index."""

    def taken(indices: Sequence[int], progress: Progress | None) -> Taken:
        sounds, features = [], []
        for row, index in enumerate(indices):
            sound = _read(files[index], hearing)
            features.append(_features(sound.samples, hearing, str(files[index])))
            sounds.append(sound)
            if progress is not None:
                progress(row + 1, len(indices))
        done, follow = _in_words(sounds, hearing), tokens_to_follow(module)
        if follow:
            done += f"; followed by up to {follow} tokens of float's own"
        waves = tuple(Waveform.of(sound.samples, hearing.rate) for sound in sounds)
        return Taken(continued(module, _together(features)), done, waves=waves)

    return Source(ids, None if labels is None else np.asarray(labels, dtype=np.int64), taken)


def sound_output_count(subject: Subject, hearing: Hearing) -> int:
    """`output_count` on silence, half a second or as long as the model needs."""
    silence = np.zeros(min(max(hearing.shortest, hearing.rate // 2), hearing.longest), np.float32)
    return output_count(subject, _features(silence, hearing, "half a second of silence"))


def _read(file: Path, hearing: Hearing) -> _Sound:
    """A sound as the model takes it, cut to the longest that it does.

    Raises:
        InputError: unreadable, empty, too short, or of NaN or infinities.
        MissingExtra: soundfile or soxr is not installed.
    """
    soundfile: Any = require("soundfile", "audio", f"{file} (a sound)")
    soxr: Any = require("soxr", "audio", f"{file} (a sound)")
    try:
        with quiet(), soundfile.SoundFile(file) as opened:
            rate, channels = int(opened.samplerate), int(opened.channels)
            # What is behind is not read, whatever the file says of its length.
            most = -(-hearing.longest * rate // hearing.rate)
            values = opened.read(most + 1, dtype="float32", always_2d=True)
    except Exception as error:  # decoders let almost anything through on damaged files
        raise InputError(f"{file}: unreadable or damaged sound ({one_line(error)})") from error
    if not len(values):
        raise InputError(f"{file}: an empty sound; leave it out")
    if not np.isfinite(values).all():
        raise InputError(f"{file}: holds NaN or infinity; repair it, or leave it out")
    mono = values[:most].mean(1)
    samples = mono if rate == hearing.rate else soxr.resample(mono, rate, hearing.rate)
    if len(samples) < hearing.shortest:
        least = hearing.shortest / hearing.rate
        raise InputError(
            f"{file}: {len(samples) / hearing.rate:.3g} s of sound, where the model takes no less "
            f"than {least:.3g} s; leave it out"
        )
    return _Sound(samples[: hearing.longest], rate, channels, len(values) > most)


def _features(
    samples: Float32[np.ndarray, " samples"], hearing: Hearing, name: str
) -> Mapping[str, Tensor]:
    try:
        with quiet():
            return hearing.features(samples)
    except Exception as error:
        raise InputError(
            f"{name}: {hearing.source} makes no input of it ({one_line(error)})"
        ) from error


def _together(features: Sequence[Mapping[str, Tensor]]) -> Inputs:
    """One batch of all; of different length, padded, and with a mask that tells by how much.

    The first tensor is what is heard, its second axis time: others as long are of the same places.
    """
    heard = next(iter(features[0]))
    lengths = [one[heard].shape[1] for one in features]
    longest = max(lengths)
    if min(lengths) == longest:
        return {name: torch.cat([one[name] for one in features]) for name in features[0]}
    padded = {
        name: torch.cat(
            [
                _padded(one[name], longest) if one[name].shape[1] == length else one[name]
                for one, length in zip(features, lengths, strict=True)
            ]
        )
        for name in features[0]
    }
    if MASK in padded:
        return Texts(padded)
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    return Sounds({**padded, MASK: mask})


def _padded(values: Tensor, length: int) -> Tensor:
    behind = length - values.shape[1]
    return F.pad(values, (0, 0) * (values.ndim - 2) + (0, behind))


def _in_words(sounds: Sequence[_Sound], hearing: Hearing) -> str:
    n = len(sounds)
    rates = Counter(sound.rate for sound in sounds if sound.rate != hearing.rate)
    done = [
        f"resampled from {rate} to {hearing.rate} Hz: {count} of {n}"
        for rate, count in sorted(rates.items())
    ]
    if mixed := sum(sound.channels > 1 for sound in sounds):
        done.append(f"mixed to mono by the mean: {mixed} of {n}")
    if cut := sum(sound.cut for sound in sounds):
        done.append(f"cut to {hearing.longest / hearing.rate:.3g} s: {cut} of {n}")
    return "; ".join([f"sound at {hearing.rate} Hz, by {hearing.source}", *done])
