"""A sound as a picture: how loud it is over time."""

import math
from typing import TYPE_CHECKING

from bitcliff.report.inline_svg import inline_svg
from bitcliff.report.plot import LIGHT, svg_text
from bitcliff.types.waveform import Waveform

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIZE = (3.0, 0.75)


def drawn_waveform(wave: Waveform) -> str:
    """An `<svg>` element in the page's colours, which says in words what it shows."""

    def draw(figure: "Figure") -> None:
        axes = figure.add_axes((0.01, 0.3, 0.98, 0.7))
        times = [wave.seconds * (place + 0.5) / len(wave.low) for place in range(len(wave.low))]
        axes.fill_between(times, wave.low, wave.high, color=LIGHT.even, linewidth=0.8)
        axes.set_xlim(0, wave.seconds)
        axes.set_ylim(-105, 105)
        axes.set_yticks([])
        axes.set_xticks([0, wave.seconds], ["0", f"{wave.seconds:.2g} s"], color=LIGHT.muted)
        first, last = axes.get_xticklabels()
        first.set_horizontalalignment("left")
        last.set_horizontalalignment("right")
        axes.tick_params(length=0, labelsize=8)
        axes.spines[:].set_visible(False)
        axes.patch.set_visible(False)
        figure.patch.set_visible(False)

    svg = svg_text(draw, _SIZE, narrow=False, narrow_size=_SIZE, type_as="none")
    colours = {LIGHT.even: "--plot-even", LIGHT.muted: "--plot-muted"}
    return inline_svg(svg, colours=colours, kind="wave", words=waveform_words(wave))


def waveform_words(wave: Waveform) -> str:
    """ "A sound of 1.4 s, -9 dB at its loudest, at 0.6 s"; silence is said to be such."""
    start = f"A sound of {wave.seconds:.2g} s"
    if not wave.peak:
        return f"{start}, silent"
    loudest = max(range(len(wave.low)), key=lambda place: max(-wave.low[place], wave.high[place]))
    when = wave.seconds * (loudest + 0.5) / len(wave.low)
    decibels = f"{20 * math.log10(wave.peak):.0f}".replace("-", "−")
    return f"{start}, {decibels} dB of full scale at its loudest, at {when:.2g} s"
