"""What would lose less in a shipped format, on the page."""

from bitcliff.questions.plan_in_runtime import surely_lost
from bitcliff.questions.variants.plot import variants_plot
from bitcliff.questions.variants.record import FormatFigures, Variants
from bitcliff.record import Record
from bitcliff.report.formatting import clean, noun, points_text, rate_text
from bitcliff.report.section import Section


def variants_section(record: Record, found: Variants) -> Section | None:
    """For each explained format a sentence, a plot and a table; None where there is no format."""
    if not found.formats:
        return None
    findings = [finding(record, one) for one in found.formats]
    formats = [
        {
            "one": one,
            "finding": told,
            "plot": variants_plot(record, one) if one.tried else None,
        }
        for one, told in zip(found.formats, findings, strict=True)
    ]
    data = {"formats": formats, "noun": noun(record), "points": points_text}
    return Section("variants", "What would lose less?", findings[0], data)


def finding(record: Record, one: FormatFigures) -> str:
    """Which change to a format gives something back, and how much, in a sentence or two."""
    policy, now = clean(one.policy), rate_text(one.right)
    if not surely_lost(one.loss):
        return f"In {policy} nothing is lost beyond chance: {now} are right."
    best = one.chosen
    if best is None:
        return (
            f"In {policy} {now} are right, and none of {len(one.tried)} changes to it gives "
            "anything back."
        )
    words = clean(best.words, 120)
    if not one.helps:
        others = "" if not one.chosen_on else f" on {best.right.n} others than chose it"
        return (
            f"In {policy} {now} are right; of {len(one.tried)} changes the one that looked best, "
            f"{words}, gives back nothing beyond chance{others}: {points_text(best.regained)}."
        )
    held_out = f", on {best.right.n} {noun(record)} held out" if one.chosen_on else ""
    limit = {
        "pass": "within the limit",
        "fail": "still beyond the limit",
        "inconclusive": "not surely within the limit",
    }[best.standing]
    return (
        f"In {policy} {now} are right; with {words}, {rate_text(best.right)}{held_out}: "
        f"{points_text(best.regained)} back, {limit}."
    )
