"""The section on inputs at risk in words."""

from collections.abc import Mapping

from bitcliff.questions.features import FeatureKey
from bitcliff.questions.inputs.record import Comparison, PolicyRisk
from bitcliff.record import Record
from bitcliff.report.filters import significant
from bitcliff.report.formatting import NOTHING, clean, noun, p_text

# A Holm-adjusted p-value below this is called a difference.
LEVEL = 0.05
# With fewer in a group, hardly any test could find anything.
_FEW = 4

# What those at risk are or do when they have less of a feature, and more.
_LESS_MORE: Mapping[FeatureKey, tuple[str, str]] = {
    "class": ("come more from some classes than from others",) * 2,
    "margin": ("have smaller float margins", "have larger float margins"),
    "brightness": ("are darker", "are brighter"),
    "contrast": ("have less contrast", "have more contrast"),
    "sharpness": ("are less sharp", "are sharper"),
    "distance": ("lie closer to the mean of their class", "lie farther from their class’s mean"),
    "length": ("are shorter", "are longer"),
    "loudness": ("are quieter", "are louder"),
}


def differs(one: Comparison) -> bool:
    """The feature tells those at risk from the others, after correction for all tests."""
    return one.p_holm is not None and one.p_holm < LEVEL


def answer(record: Record, risk: PolicyRisk) -> str:
    """What those at risk under a policy have in common, in a sentence or two."""
    k, n, policy = risk.at_risk.k, risk.at_risk.n, clean(risk.policy)
    labelled, several, one = record.subject.labelled, noun(record), noun(record, 1)
    right = " that float gets right" if labelled else ""
    done = "lost" if labelled else "changed"
    if n == 0:
        return f"No {one}{right} has a prediction under {policy}: there is nothing to compare."
    if k == 0:
        return f"Under {policy} none of the {n} {several}{right} is {done}: nothing to compare."
    if k == n:
        return f"Under {policy} all {n} {several}{right} are {done}: none is left to compare with."
    start = f"Under {policy}, {k} of {n} {several}{right} {'is' if k == 1 else 'are'} {done}"
    found = sorted((c for c in risk.comparisons if differs(c)), key=lambda c: c.p_value or 0.0)
    tested = sum(c.p_value is not None for c in risk.comparisons)
    if not found:
        return f"{start}; {_nothing(risk, tested)}"
    rest = tested - len(found)
    tail = f"; none of the {rest} other features tells them apart" if rest > 1 else ""
    return f"{start}. They {_listed([_phrase(c) for c in found])}{tail}."


def _nothing(risk: PolicyRisk, tested: int) -> str:
    k, n = risk.at_risk.k, risk.at_risk.n
    few = min(k, n - k)
    if few < _FEW:
        which = "" if few == k else " that is not" if few == 1 else " that are not"
        return f"with only {few}{which}, there is too little to compare."
    least = min(c.p_holm for c in risk.comparisons if c.p_holm is not None)
    return (
        f"none of the {tested} features tested tells them from the others "
        f"(smallest adjusted {_p(least)})."
    )


def _phrase(one: Comparison) -> str:
    less, more = _LESS_MORE[one.key]
    what = less if one.effect is not None and one.effect < 0.5 else more
    medians = ""
    if one.median_risk is not None:
        medians = f"median {significant(one.median_risk)} against {significant(one.median_safe)}, "
    return f"{what} ({medians}{_p(one.p_holm)})"


def _p(value: float | None) -> str:
    text = p_text(value)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def effect_text(one: Comparison) -> str:
    """ "0.36 (0.29 to 0.44)"; for the class Cramér's V, which has no interval here."""
    if one.effect is None:
        return NOTHING
    if one.low is None or one.high is None:
        return f"V = {one.effect:.2f}"
    return f"{one.effect:.2f} ({one.low:.2f} to {one.high:.2f})"
