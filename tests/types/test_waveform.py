import numpy as np
import pytest
from pydantic import ValidationError

from bitcliff.types.waveform import COLUMNS, Waveform


@pytest.mark.parametrize("n", [1, 7, COLUMNS, COLUMNS + 1, 4321])
def test_every_sample_lies_within_its_stretch(n: int) -> None:
    samples = np.random.default_rng(n).normal(0, 0.2, n).astype(np.float32)
    wave = Waveform.of(samples, 8000)
    assert wave.seconds == n / 8000
    assert wave.peak == pytest.approx(float(np.abs(samples).max()))
    assert len(wave.low) == min(n, COLUMNS)
    stretches = np.array_split(samples, len(wave.low))
    if n % len(wave.low) == 0:
        expected = [round(100 * float(one.max()) / wave.peak) for one in stretches]
        assert wave.high == expected
    assert min(wave.low + wave.high, key=lambda level: -abs(level)) in (-100, 100)


def test_silence_has_a_waveform_too() -> None:
    wave = Waveform.of(np.zeros(3, np.float32), 4)
    assert (wave.peak, wave.low, wave.high) == (0, [0, 0, 0], [0, 0, 0])


@pytest.mark.parametrize(
    "change",
    [
        {"low": [1]},
        {"low": [], "high": []},
        {"low": [-101, 0]},
        {"seconds": 0.0},
        {"peak": float("nan")},
        {"low": [0] * (COLUMNS + 1), "high": [0] * (COLUMNS + 1)},
    ],
)
def test_what_is_no_waveform_is_refused(change: dict[str, object]) -> None:
    fine: dict[str, object] = {"seconds": 1.0, "peak": 0.5, "low": [-3, -100], "high": [0, 40]}
    Waveform.model_validate(fine)
    with pytest.raises(ValidationError):
        Waveform.model_validate(fine | change)
