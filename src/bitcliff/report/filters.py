"""Jinja filters: how a template says what a record holds. Python decides, templates format."""

from collections.abc import Callable, Mapping
from typing import Any

from bitcliff.record import Flips, PolicyResult
from bitcliff.record.outcomes import Effort
from bitcliff.report.formatting import (
    NOTHING,
    capital,
    clean,
    count_text,
    decimal,
    error_rates_text,
    likelihood_text,
    losers_text,
    macs_text,
    mean_score,
    mean_text,
    p_text,
    percent,
    rate_interval,
    rate_text,
    score_change_text,
    signed,
)
from bitcliff.types.change import PairedChange
from bitcliff.types.rate import ClusteredRate, Rate


def of(rate: Rate | ClusteredRate | None) -> str:
    """ "18/20", a dash where there is none."""
    return NOTHING if rate is None else f"{rate.k}/{rate.n}"


def of_with_interval(rate: Rate | None) -> str:
    """ "18/20 (68.3 to 98.8 %)", a dash where nothing counts."""
    return NOTHING if rate is None or not rate.n else f"{of(rate)} ({rate_interval(rate)})"


def difference(change: PairedChange | None) -> str:
    """ "−50.0", percentage points with their sign."""
    return signed(None if change is None else change.difference_pp)


def p_value(change: PairedChange | None) -> str:
    """Of the change by itself."""
    return p_text(None if change is None else change.p_value)


def p_holm(change: PairedChange | None) -> str:
    """Of the change among all that were tested."""
    return p_text(None if change is None else change.p_holm)


def change_interval(change: PairedChange | None) -> str:
    """ "−72.2 to −17.0", percentage points with their sign."""
    if change is None or change.difference_pp is None:
        return ""
    return f"{signed(change.low_pp)} to {signed(change.high_pp)}"


def flips(found: Flips) -> str:
    """ "0/20 (≤ 13.9 %)": no flip seen is not no flip, so the bound stands beside it."""
    text = of(found.all)
    return text if found.upper_95 is None else f"{text} (≤\u00a0{percent(found.upper_95)})"


def draws(policy: PolicyResult) -> str:
    """ "16 to 19 over 20 draws" of a random policy; nothing of another."""
    spread = policy.distribution
    if spread is None:
        return ""
    rates = spread.agreement if spread.accuracy is None else spread.accuracy
    counts = [rate.k for rate in rates if rate.n]
    return f"{min(counts)} to {max(counts)} over {spread.draws} draws" if counts else ""


def effort(spent: Effort) -> str:
    """ "48,000 forward, 160 backward"."""
    text = f"{count_text(spent.forward_passes)} forward"
    backward = spent.backward_passes
    return text + (f", {count_text(backward)} backward" if backward else "")


def on_scale(rate: Rate | None) -> tuple[float, float, float] | None:
    """Low end, value and high end as places on a line 100 units long."""
    if rate is None or rate.value is None or rate.low is None or rate.high is None:
        return None
    low, value, high = (round(100 * share, 1) for share in (rate.low, rate.value, rate.high))
    return low, value, high


def significant(value: float | None, digits: int = 3) -> str:
    """With so many significant digits and a proper minus: "2.01", "−0.0277"; a dash for none."""
    return NOTHING if value is None else f"{value:.{digits}g}".replace("-", "−")


FILTERS: Mapping[str, Callable[..., Any]] = {
    "shown": clean,
    "capital": capital,
    "rate": rate_text,
    "interval": rate_interval,
    "losers": losers_text,
    "mean_score": mean_score,
    "error_rates": error_rates_text,
    "likelihood": likelihood_text,
    "score_change": score_change_text,
    "of": of,
    "of_with_interval": of_with_interval,
    "percent": percent,
    "pp": signed,
    "decimal": decimal,
    "difference": difference,
    "change_interval": change_interval,
    "p_value": p_value,
    "p_holm": p_holm,
    "p": p_text,
    "bits": mean_text,
    "count": count_text,
    "macs": macs_text,
    "significant": significant,
    "flips": flips,
    "draws": draws,
    "effort": effort,
    "on_scale": on_scale,
}
"""By the name a template uses. Everything is escaped after its filters."""
