import re

import numpy as np
import pytest

from bitcliff.report.waveform import drawn_waveform, waveform_words
from bitcliff.types.waveform import Waveform

SAMPLES = np.float32(0.5) * np.sin(np.linspace(0, 90, 6000), dtype=np.float32)
SAMPLES[4500:] *= 0.1


def test_the_shape_is_the_sounds() -> None:
    """The outline, read from the drawing, against the samples themselves."""
    svg = drawn_waveform(Waveform.of(SAMPLES, 4000))
    assert len(svg) < 20_000
    outline = max(re.findall(r' d="([^"]+)"', svg), key=len)
    points = np.array(re.findall(r"(-?[\d.]+) (-?[\d.]+)", outline), dtype=float)
    middle = (points[:, 1].min() + points[:, 1].max()) / 2
    height = np.abs(points[:, 1] - middle)
    share = (points[:, 0] - points[:, 0].min()) / np.ptp(points[:, 0])
    loud, quiet = height[(share > 0.1) & (share < 0.7)].max(), height[share > 0.77].max()
    assert quiet / loud == pytest.approx(0.1, abs=0.02)


def test_colours_are_the_pages_and_nothing_of_it_runs() -> None:
    svg = drawn_waveform(Waveform.of(SAMPLES, 4000))
    assert "var(--plot-even)" in svg
    assert "#" not in re.sub(r"(url\(|href=\")#", "", svg).replace("&#", "")
    assert "style=" not in svg
    assert "<script" not in svg
    assert 'role="img"' in svg


@pytest.mark.parametrize(
    ("samples", "says"),
    [
        (SAMPLES, "A sound of 1.5 s, −6 dB of full scale at its loudest, at "),
        (np.zeros(40, np.float32), "A sound of 0.01 s, silent"),
        (np.eye(1, 100, 75, dtype=np.float32)[0], "0 dB of full scale at its loudest, at 0.019 s"),
    ],
)
def test_it_is_told_in_words(samples: np.ndarray, says: str) -> None:
    assert says in waveform_words(Waveform.of(samples, 4000))
