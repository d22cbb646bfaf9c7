"""What rooms, microphones and lines do to sounds; soxr resamples, as where sounds are read.

All that chance decides is drawn alike at every degree, as for images.
"""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from bitcliff.adapters.optional import require
from bitcliff.types.corruption import Corruption, Degree, either_way, noise_like, strength_at

Wave = Float[Tensor, "*channels samples"]

NOISE = (0.03, 0.06, 0.12, 0.25, 0.5)
REVERBERATION = (0.1, 0.2, 0.4, 0.7, 1.0)
GAIN = (3, 6, 9, 12, 18)
KEPT_RATE = (0.8, 0.6, 0.45, 0.35, 0.25)
# A reverberation time is how long it takes to fall by 60 dB.
_FALL = 3 * np.log(10)


def sound_corruptions(rate: int) -> tuple[Corruption, ...]:
    """Of sounds at so many samples a second, in the order from the room to the line.

    Raises:
        MissingExtra: soxr is not installed.
    """
    soxr: Any = require("soxr", "audio", "--within audio")

    def reverberation(x: Wave, degree: Degree, rng: np.random.Generator) -> Wave:
        seconds = strength_at(REVERBERATION, degree)
        # One tail a sound: noise that dies away, as long as is heard of it.
        time = np.arange(1, x.shape[-1]) / rate
        tail = rng.standard_normal(len(time)) * np.exp(-_FALL * time / max(seconds, 1e-6))
        # Its energy grows with the time (Sabine), up to that of what comes straight.
        tail *= np.sqrt(seconds / max(np.square(tail).sum(), 1e-12))
        return _convolved(x, np.concatenate([[1.0], tail]))

    def white(x: Wave, degree: Degree, rng: np.random.Generator) -> Wave:
        return x + strength_at(NOISE, degree) * _loudness(x) * noise_like(x, rng)

    def pink(x: Wave, degree: Degree, rng: np.random.Generator) -> Wave:
        spectrum = torch.fft.rfft(noise_like(x, rng))
        falling = torch.arange(spectrum.shape[-1]).clamp(min=1).rsqrt()
        noise = torch.fft.irfft(spectrum * falling, n=x.shape[-1])
        changed: Wave = x + strength_at(NOISE, degree) * _loudness(x) * noise / _loudness(noise)
        return changed

    def gain(x: Wave, degree: Degree, rng: np.random.Generator) -> Wave:
        return x * float(10 ** (either_way(rng) * strength_at(GAIN, degree) / 20))

    def resampling(x: Wave, degree: Degree, _: np.random.Generator) -> Wave:
        lower = rate * strength_at(KEPT_RATE, degree, 1.0)
        there = soxr.resample(x.double().reshape(-1, x.shape[-1]).T.numpy(), rate, lower)
        back = torch.from_numpy(soxr.resample(there, lower, rate).T.copy())
        missing = max(0, x.shape[-1] - back.shape[-1])
        back = torch.nn.functional.pad(back, (0, missing))[:, : x.shape[-1]]
        return back.reshape(x.shape).to(x.dtype)

    return (
        Corruption("reverberation", "s until it is 60 dB down", REVERBERATION, reverberation),
        Corruption("white noise", "σ, the sound's own being 1", NOISE, white),
        Corruption("pink noise", "σ, the sound's own being 1", NOISE, pink),
        Corruption("gain", "dB, either way", GAIN, gain),
        Corruption("resampling", "to this share of the rate, and back", KEPT_RATE, resampling),
    )


def _loudness(x: Wave) -> Tensor:
    """Root of the mean square, of all channels."""
    return x.square().mean().sqrt()


def _convolved(x: Wave, response: np.ndarray) -> Wave:
    """What is heard while the sound lasts."""
    n = x.shape[-1] + len(response) - 1
    spectrum = torch.fft.rfft(x.double(), n=n) * torch.fft.rfft(torch.from_numpy(response), n=n)
    heard: Wave = torch.fft.irfft(spectrum, n=n)[..., : x.shape[-1]]
    return heard.to(x.dtype)
