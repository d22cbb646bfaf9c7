"""Numbers and names as the report says them, and each family of policies in plain words."""

import re
import unicodedata
from dataclasses import dataclass

from bitcliff.record import PolicyResult, Record
from bitcliff.record.conditions import Kind
from bitcliff.record.figures import Likelihood
from bitcliff.record.schema import SubjectInfo
from bitcliff.types.change import PairedChange, ScoreChange
from bitcliff.types.rate import ClusteredRate, ErrorRates, Mean, PerToken, Rate

NOTHING = "–"


@dataclass(frozen=True)
class Family:
    """The conditions of one kind: a short title, and what they do in a sentence."""

    kind: Kind
    title: str
    meaning: str


FAMILIES = (
    Family(
        "weights-only",
        "Weights only",
        "The weights are rounded, the activations stay in float: the two effects stand apart.",
    ),
    Family("uniform", "Even", "Every quantization point gets the same number of bits."),
    Family(
        "random",
        "Random, per input",
        "The bits are drawn at random for each input, always with the same total. "
        "The median of all draws is shown.",
    ),
    Family(
        "random-static",
        "Random, fixed",
        "One random placement of the bits for all inputs. The median of all draws is shown.",
    ),
    Family(
        "co-trained",
        "Its own trained policy",
        "What the policy that was trained together with this network allocates: proof of what can "
        "be done, no statement about a network that was trained without it.",
    ),
    Family(
        "worst",
        "Worst found, per input",
        "An adversary who sees the input places the same total of bits so that the answer breaks.",
    ),
    Family(
        "worst-evolutionary",
        "Worst found, second search",
        "The same adversary with an evolutionary search: an independent check of the first.",
    ),
    Family(
        "worst-static",
        "Worst found, fixed",
        "One bad placement for all inputs, chosen on one half of the examples and reported on "
        "the other.",
    ),
    Family(
        "best",
        "Best found, per input",
        "The same total of bits placed as helpfully as the search could: what a good policy "
        "could reach.",
    ),
    Family(
        "runtime",
        "What runtimes make of it",
        "The same network, quantized to 8 bits by other people’s software: not simulated but run, "
        "each example by itself and in batches.",
    ),
    Family(
        "numerics",
        "In shipped formats",
        "Weights and activations rounded as the runtimes that ship these formats round them, "
        "operation by operation; products themselves in float.",
    ),
    Family(
        "one-format",
        "One format everywhere",
        "Each of the formats that may be mixed, at every point.",
    ),
    Family(
        "random-mix",
        "Formats mixed at random",
        "One of the formats at each layer, alike for all inputs, the same total of bits. The "
        "median of all draws is shown.",
    ),
    Family(
        "worst-mix",
        "Worst mix found",
        "The worst plan of one format for each layer that was found, chosen on one half of the "
        "examples and reported on the other.",
    ),
    Family(
        "best-mix",
        "Best mix found",
        "The best such plan that was found, chosen and reported likewise.",
    ),
)
_BY_KIND = {family.kind: (place, family) for place, family in enumerate(FAMILIES)}


def family_order(policy: PolicyResult) -> int:
    """Place of a policy's family in the report."""
    return _BY_KIND[policy.kind][0]


def family_of(policy: PolicyResult) -> Family:
    """The family a policy belongs to."""
    return _BY_KIND[policy.kind][1]


def clean(text: str, limit: int = 160) -> str:
    """Text from data made fit to show: no control or direction-changing characters, not too long.

    They would forge terminal output, break XML, or let a name pose as another.
    """
    shown = "".join(_visible(character) for character in text)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def _visible(character: str) -> str:
    # Cc: control; Cf: format, such as right-to-left override; Cs: half a character;
    # Co and Cn: no agreed shape.
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"):
        return "\ufffd"
    return character


def class_name(subject: SubjectInfo, index: int | None) -> str:
    """A class as a person reads it: its name, where it has one, and its number."""
    if index is None:
        return "none (NaN or infinity)"
    names = subject.class_names
    if names is None or not 0 <= index < len(names) or names[index] == str(index):
        return f"class {index}"
    return f"{clean(names[index], 60)} ({index})"


def noun(record: Record, count: int = 2) -> str:
    """What the examples are, where any is kept to look at, else examples."""
    table = record.table
    word = "image" if table.thumbnails else "text" if table.texts else "example"
    word = "sound" if table.waves else word
    return word + ("" if count == 1 else "s")


def percent(share: float | None) -> str:
    """A share in [0, 1] with one decimal: 0.9 is "90.0 %"."""
    return NOTHING if share is None else f"{100 * share:.1f}\u00a0%"


def capital(text: str) -> str:
    """With a large first letter; the others stay as they are."""
    return text[:1].upper() + text[1:]


def score_change_text(change: ScoreChange) -> str:
    """ "-3.2 points (-9.0 to 1.4), p 0.31"."""
    if change.difference is None or change.low is None or change.high is None:
        return NOTHING
    ends = f"{signed(100 * change.low)} to {signed(100 * change.high)}"
    return f"{signed(100 * change.difference)} points ({ends}), p {p_text(change.p_value)}"


def points_text(change: PairedChange, sign: int = 1) -> str:
    """ "80.6 points (76.0 to 84.4)"; with a sign of -1 what is lost is positive."""
    if change.difference_pp is None or change.low_pp is None or change.high_pp is None:
        return NOTHING
    low, high = sorted((sign * change.low_pp, sign * change.high_pp))
    return f"{decimal(sign * change.difference_pp)} points ({decimal(low)} to {decimal(high)})"


def losers_text(change: ScoreChange) -> str:
    """ "3 of 20 lose more than 10 %"."""
    return f"{change.losers.k} of {change.losers.n} lose more than {100 * change.losing:g}\u00a0%"


def mean_score(mean: Mean | None) -> str:
    """ "92.4 % (88.1–95.0)"."""
    if mean is None or mean.value is None or mean.low is None or mean.high is None:
        return NOTHING
    return f"{percent(mean.value)} ({100 * mean.low:.1f}–{100 * mean.high:.1f})"


def likelihood_text(found: Likelihood | None) -> str:
    """ "perplexity 21.3 (18.2–25.1), 1.02 times float's (1.01–1.03); 0.0021 nats a token from float
    (0.0012–0.0034)"."""
    if found is None:
        return ""
    told = [f"perplexity {per_token_text(found.perplexity)}"]
    if found.ratio is not None:
        told.append(f"{per_token_text(found.ratio, '.4g', ' times float’s')}")
    nats = [] if found.kl is None else [per_token_text(found.kl, ".3g", " nats a token from float")]
    return "; ".join([", ".join(told), *nats])


def per_token_text(found: PerToken, form: str = ".4g", unit: str = "") -> str:
    """ "21.3 (18.2–25.1)"."""
    if found.value is None:
        return NOTHING
    if found.low is None or found.high is None:
        return f"{found.value:{form}}{unit}"
    return f"{found.value:{form}}{unit} ({found.low:{form}}–{found.high:{form}})"


def error_rates_text(errors: ErrorRates) -> str:
    """ "12.5 % of words wrong, 4.1 % of characters"."""
    return (
        f"{percent(errors.words)} of words wrong, {percent(errors.characters)} of characters "
        f"({errors.n} words)"
    )


def rate_text(rate: Rate | ClusteredRate | None) -> str:
    """ "90.0 % (18/20)"."""
    if rate is None or rate.value is None:
        return NOTHING
    return f"{percent(rate.value)} ({rate.k}/{rate.n})"


def rate_interval(rate: Rate | ClusteredRate | None) -> str:
    """ "68.3 to 98.8 %"."""
    if rate is None or rate.low is None or rate.high is None:
        return ""
    return f"{100 * rate.low:.1f} to {100 * rate.high:.1f}\u00a0%"


def signed(points: float | None) -> str:
    """Percentage points with their sign: "−50.0", "+5.0", "0.0"."""
    if points is None:
        return NOTHING
    text = f"{points:+.1f}"
    return "0.0" if re.fullmatch(r"[+-]0\.0", text) else text.replace("-", "−")


def decimal(value: float | None) -> str:
    """One decimal and a proper minus: "−50.0", "5.0", "0.0"."""
    return signed(value).removeprefix("+")


def p_text(p_value: float | None) -> str:
    """A p-value to three decimals; smaller ones as "< 0.001"."""
    if p_value is None:
        return NOTHING
    return "<\u00a00.001" if p_value < 0.001 else f"{p_value:.3f}"


def mean_text(bits: float | None) -> str:
    """Mean bits without needless decimals: 7, 5.5, 5.51."""
    return NOTHING if bits is None else f"{bits:.2f}".rstrip("0").rstrip(".")


def count_text(number: int) -> str:
    """ "1,234,567"."""
    return f"{number:,}"


def macs_text(macs: int) -> str:
    """Multiply-adds in thousands or millions: "12.4 M"."""
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if macs >= size:
            return f"{macs / size:.1f}\u00a0{unit}"
    return str(macs)
