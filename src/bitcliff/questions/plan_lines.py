"""What a plan that was found in simulation gave in the run's runtimes, in words."""

from collections.abc import Sequence

from bitcliff.questions.plan_in_runtime import PlanThere
from bitcliff.record import Record
from bitcliff.report.formatting import clean, noun, p_text, rate_text


def plan_lines(record: Record, found: Sequence[PlanThere], chosen_on: str) -> list[str]:
    """For each runtime, whether the plan is for it, and with what counts.

    `chosen_on`: which examples chose its layers, in words.
    """
    return [_line(record, one, chosen_on) for one in found]


def _line(record: Record, found: PlanThere, chosen_on: str) -> str:
    name = clean(found.policy)
    look = f"bitcliff explain RUN --policy {name} --only layers looks for layers in {name} itself."
    if found.right is None or found.regained is None:
        why = clean(found.left_out, 300)
        return f"Not run in {name}, and so not recommended for it: {why}. {look}"
    text = (
        f"Run in {name} with these layers in float, {rate_text(found.right)} {noun(record)} are "
        f"right; without, {rate_text(found.without)}, and in float {rate_text(found.float_rate)}: "
        f"{found.regained.gained} given back, {found.regained.lost} lost (p "
        f"{p_text(found.regained.p_value)}). The layers were chosen {chosen_on}."
    )
    if found.not_kept:
        text += f" Quantized there all the same: {', '.join(map(clean, found.not_kept))}."
    if found.recommended:
        return f"{text} Recommended for {name}."
    return f"{text} Nothing beyond chance: not recommended for {name}. {look}"
