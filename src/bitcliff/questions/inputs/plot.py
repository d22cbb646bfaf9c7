"""The plot of margins: in float against under a policy."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bitcliff.questions.at_risk import under
from bitcliff.questions.inputs.record import InputsAtRisk, PolicyRisk
from bitcliff.record import Record
from bitcliff.report.filters import significant
from bitcliff.report.formatting import clean, noun
from bitcliff.report.plot import Plot, Theme, plain_axes, plot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# More marks of a kind would cover each other, and make the page heavy.
_DRAWN = 500

Pairs = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Marks:
    """(m, 2) float margin and margin under the policy of each example, by what became of it."""

    lost: Pairs
    kept: Pairs
    wrong: Pairs

    @property
    def every(self) -> Pairs:
        return np.concatenate([self.lost, self.kept, self.wrong])


def margins_plot(record: Record, part: InputsAtRisk, risk: PolicyRisk) -> Plot | None:
    """Each example's margin before and after; None where no example has both."""
    marks = _marks(record, risk.policy)
    if risk.erosion is None:
        return None
    k, n, labelled = risk.at_risk.k, risk.at_risk.n, record.subject.labelled
    median = risk.erosion.median
    move = (
        f"{'shrinks' if median > 0 else 'grows'} by {significant(abs(median))} logits in the median"
    )
    if part.margin_scale:
        move += f" ({abs(median) / part.margin_scale:.2f} times the median float margin)"
    what = "right predictions are lost" if labelled else "predictions change"
    title = f"Under {clean(risk.policy)} the margin {move}; {k} of {n} {what}"
    against = "label" if record.settings.margin == "label" else "prediction in float"
    thinned = max(map(len, (marks.lost, marks.kept, marks.wrong))) > _DRAWN
    caption = (
        f"Margin of each of {len(marks.every)} {noun(record)}: logit of the {against} minus the "
        "largest other, in float (across) and under the policy (up). On the dashed line nothing "
        "changed; below zero another class leads."
        + (f" At most {_DRAWN} marks of a kind are drawn, evenly chosen." if thinned else "")
    )
    words = f"{title}. {caption}"
    return plot(
        lambda figure, theme, narrow: _draw(figure, marks, labelled, theme, narrow),
        title=title,
        caption=caption,
        words=words,
        size=(9.2, 4.8),
    )


def _marks(record: Record, policy: str) -> _Marks:
    found = under(record.table, record.outcomes[policy])
    pairs = np.stack([record.table.margin, found.margin], 1)
    wrong = found.whole & ~found.risk & ~found.safe
    return _Marks(lost=pairs[found.risk], kept=pairs[found.safe], wrong=pairs[wrong])


def _draw(figure: "Figure", marks: _Marks, labelled: bool, theme: Theme, narrow: bool) -> None:
    axes = figure.add_axes((0.165, 0.1, 0.815, 0.74) if narrow else (0.09, 0.11, 0.66, 0.86))
    in_float = marks.every[:, 0]
    left, right = float(in_float.min()), float(in_float.max())
    room = 0.03 * (right - left) or 1.0
    axes.plot([left - room, right + room], [left - room, right + room], color=theme.muted,
              linewidth=1.2, linestyle=(0, (5, 3)), label="as in float")  # fmt: skip
    axes.axhline(0, color=theme.ink, linewidth=1)
    kinds = (
        (marks.wrong, "wrong in float", theme.muted, ".", 22),
        (marks.kept, "still right" if labelled else "prediction as in float", theme.even, "o", 20),
        (marks.lost, "lost" if labelled else "prediction changed", theme.worst, "x", 26),
    )
    for pairs, words, colour, marker, size in kinds:
        if len(pairs):
            drawn = pairs[:: -(-len(pairs) // _DRAWN)]
            axes.scatter(
                drawn[:, 0],
                drawn[:, 1],
                s=size,
                c=colour,
                marker=marker,
                alpha=0.75,
                linewidths=1.3 if marker == "x" else 0,
                label=f"{words}: {len(pairs)}",
                zorder=3,
            )
    plain_axes(axes, theme)
    axes.set_xlabel("margin in float, logits")
    axes.set_ylabel("margin under the policy, logits")
    figure.legend(
        loc="upper left",
        bbox_to_anchor=(0.0, 1.0) if narrow else (0.76, 0.97),
        frameon=False,
        labelcolor=theme.ink,
        ncols=2 if narrow else 1,
        columnspacing=1,
    )
