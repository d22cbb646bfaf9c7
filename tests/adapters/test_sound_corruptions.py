"""The corruptions of sounds against SciPy, and what they owe the degrees."""

import numpy as np
import pytest
import torch
from scipy import signal
from torch import Tensor

from bitcliff.adapters.sound_corruptions import (
    GAIN,
    KEPT_RATE,
    NOISE,
    REVERBERATION,
    sound_corruptions,
)

RATE = 16_000
BY_NAME = {one.name: one for one in sound_corruptions(RATE)}


def made(name: str, sound: Tensor, degree: float, seed: int = 0) -> np.ndarray:
    changed = BY_NAME[name].apply(sound, degree, np.random.default_rng(seed))
    assert changed.shape == sound.shape
    assert changed.dtype == sound.dtype
    return changed.double().numpy()


def tone(hertz: float) -> Tensor:
    return 0.3 * torch.sin(2 * torch.pi * hertz * torch.arange(2 * RATE) / RATE)


def level(values: np.ndarray) -> float:
    return float(np.sqrt(np.square(values).mean()))


@pytest.mark.parametrize("degree", [1, 3, 5])
def test_a_room_dies_away_by_60_db_in_its_time_and_is_as_loud_as_sabine_says(degree: int) -> None:
    click = torch.zeros(2 * RATE)
    click[0] = 1.0
    response, seconds = made("reverberation", click, degree), REVERBERATION[degree - 1]
    assert response[0] == pytest.approx(1)
    assert np.square(response[1:]).sum() == pytest.approx(seconds, rel=1e-3)
    # Schroeder's backward sum, from -5 to -35 dB, as ISO 3382 fits it.
    decay = 10 * np.log10(np.cumsum(np.square(response[1:])[::-1])[::-1] / seconds)
    fitted = (decay < -5) & (decay > -35)
    slope = np.polyfit(np.arange(len(decay))[fitted] / RATE, decay[fitted], 1)[0]
    assert -60 / slope == pytest.approx(seconds, rel=0.1)
    sound = torch.from_numpy(np.random.default_rng(1).standard_normal(4000)).float()
    heard = signal.convolve(sound.double().numpy(), made("reverberation", click, degree)[:4000])
    # The tail of a shorter sound is scaled to the same energy, which a cut one would not have.
    if seconds < 0.2:
        assert made("reverberation", sound, degree) == pytest.approx(heard[:4000], abs=0.02)


@pytest.mark.parametrize(("name", "fall"), [("white noise", 0.0), ("pink noise", -1.0)])
def test_noise_is_of_its_colour_and_its_share_of_the_loudness(name: str, fall: float) -> None:
    sound = tone(440)
    noise = made(name, sound, 4) - sound.double().numpy()
    assert level(noise) / level(sound.numpy()) == pytest.approx(NOISE[3], rel=0.02)
    frequency, power = signal.welch(noise, RATE, nperseg=2048)
    amid = (frequency > 100) & (frequency < 7000)
    slope = np.polyfit(np.log(frequency[amid]), np.log(power[amid]), 1)[0]
    assert slope == pytest.approx(fall, abs=0.15)


def test_gain_is_in_decibels_either_way() -> None:
    sound = tone(440)
    found = {
        round(20 * np.log10(level(made("gain", sound, 2, seed)) / level(sound.numpy())), 3)
        for seed in range(8)
    }
    assert found == {GAIN[1], -GAIN[1]}


def test_resampling_keeps_what_lies_below_the_new_rate_alone() -> None:
    half = KEPT_RATE[3] * RATE / 2
    low, high = tone(0.7 * half), tone(1.3 * half)
    kept = made("resampling", low, 4)
    assert kept[500:-500] == pytest.approx(low.double().numpy()[500:-500], abs=2e-3)
    assert level(made("resampling", high, 4)) < 0.01 * level(high.numpy())


@pytest.mark.parametrize("name", BY_NAME)
def test_degrees_begin_at_nothing_and_grow_and_chance_alone_decides_the_rest(name: str) -> None:
    sound = torch.from_numpy(np.random.default_rng(2).standard_normal((2, 3000))).float() / 5
    changes = [level(made(name, sound, d) - sound.double().numpy()) for d in (0, 1e-4, 1, 2.5, 5)]
    assert changes[0] < 1e-3 * changes[2]
    # Whatever resamples needs some room below the new rate, however little that differs.
    assert changes[1] < 0.5 * changes[2]
    assert changes[2] < changes[3] < changes[4]
    assert np.array_equal(made(name, sound, 2.5), made(name, sound, 2.5))
    assert np.isfinite(made(name, torch.zeros(2, 3000), 3)).all()
