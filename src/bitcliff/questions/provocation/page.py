"""What `bitcliff provoke` found: a page in the house style, and lines for the terminal."""

from bitcliff.questions.provocation.plot import effort_plot
from bitcliff.questions.provocation.record import (
    CONTROL,
    METHODS,
    NUDGES,
    RANDOM,
    AsTheyAre,
    Failure,
    FiguresAsTheyAre,
    MethodFigures,
    Provocation,
    RankedFigures,
    SetFigures,
)
from bitcliff.questions.provocation.statistics import judged, worst_failures
from bitcliff.questions.provocation.store import PROVOKE
from bitcliff.report.differing import differing
from bitcliff.report.formatting import clean, p_text, rate_interval, rate_text
from bitcliff.report.html import render_measurement

SHOWN = 12


def render_provocation(record: Provocation) -> str:
    """The whole page as text, everything from the record escaped; the same record, same bytes."""
    observed, figures = record.observed, record.figures
    found = figures.provoked.k + sum(one.first.k for one in figures.ranked)
    return render_measurement(
        "questions/provocation/page.html.j2",
        record,
        PROVOKE.version,
        {
            "kind": "fail" if found else "inconclusive",
            "title": finding(record),
            "lead": _lead(record),
            "cards": _cards(record),
            "failures": _failures(record),
            "differing": differing,
            "shown": SHOWN,
            "nudges": NUDGES,
            "methods": METHODS,
            "set_words": {one.within: one.words for one in observed.searched},
            "controls": control_words(record),
            "plot": effort_plot(record) if figures.sets else None,
            "ranked": [ranked_words(record, one) for one in figures.ranked],
        },
    )


def finding(record: Provocation) -> str:
    """In a sentence, without a full stop."""
    provoked, name = record.figures.provoked, clean(record.observed.numerics.name)
    if not record.figures.sets:
        first = [one.first for one in record.figures.ranked]
        k, n = sum(one.k for one in first), sum(one.n for one in first)
        return (
            f"{name} gets {k} of {n} inputs wrong that were ranked first, where float decides by "
            f"{record.observed.delta:g} or more"
        )
    if not provoked.k:
        return (
            f"No input that {name} gets wrong and float does not was found near any of "
            f"{provoked.n} examples"
        )
    return (
        f"{name} can be made wrong near {provoked.k} of {provoked.n} examples, where float is "
        f"right by {record.observed.delta:g} or more"
    )


def provocation_lines(record: Provocation, limit: float | None = None) -> list[str]:
    """The finding, and a line for each search, as text."""
    figures = record.figures
    lines = [f"{finding(record)}.", _lead(record), control_words(record), ""]
    if figures.sets:
        lines.append(f"{'within':<16}{'search':<16}{'fail':>9}  {'95 % interval':<17}{'passes':>9}")
    for one in figures.sets:
        for row in one.methods:
            lines.append(
                f"{one.within:<16}{row.method:<16}{plain(rate_text(row.found)):>9}  "
                f"{plain(rate_interval(row.found)):<17}{row.passes:>9}"
            )
    lines += [ranked_words(record, one) for one in figures.ranked]
    return lines if limit is None else [*lines, verdict_line(record, limit)]


def verdict_line(record: Provocation, limit: float) -> str:
    """Against the most that may be made to fail, per cent."""
    provoked, status = record.figures.provoked, judged(record.figures.provoked, limit)
    return (
        f"{status.capitalize()}: {plain(rate_text(provoked))} of the examples can be made to fail "
        f"({plain(rate_interval(provoked))}), of {limit:g} % allowed; "
        f"{plain(rate_text(record.figures.failing))} are wrong already as they are."
    )


def control_words(record: Provocation) -> str:
    """What the controls say of the searches."""
    controls = [row for one in record.figures.sets for row in one.methods if row.method == CONTROL]
    found, n = (
        sum(row.found.k + row.not_confirmed for row in controls),
        sum(row.found.n for row in controls),
    )
    if not controls:
        return ""
    if found:
        return (
            f"Warning: the same search finds {found} of {n} also where nothing is quantized: "
            "delta is too small to tell a format from rounding in float."
        )
    text = f"The same search against float nudged by a millionth finds none in {n}"
    return (
        f"{text}: what is found is the format's doing." if record.figures.provoked.k else f"{text}."
    )


def ranked_words(record: Provocation, one: RankedFigures) -> str:
    """A second set in a sentence or two."""
    rates = (one.first, one.at_random, one.by_lead)
    first, at_random, by_lead = (f"{rate_text(r)}, {rate_interval(r)}" for r in rates)
    times = "" if one.times is None else f"{one.times:.1f} times as many; "
    (found,) = (other for other in record.observed.ranked if other.within == one.within)
    fitted = (
        f"fitted to {found.fitted} failures among the examples"
        if found.fitted
        else "by float's lead alone, since too few examples fail"
    )
    return plain(
        f"Within {clean(one.within, 100)}: float ran on all {one.n} and decides {one.led} by "
        f"delta. Of the {one.first.n} that rank first ({fitted}) the format gets wrong {first}; of "
        f"as many at random {at_random} ({times}Holm p {p_text(one.p_holm)}); of as many with the "
        f"least lead {by_lead}."
    )


def plain(text: str) -> str:
    """For the terminal, where a space is a space."""
    return text.replace("\u00a0", " ")


def _lead(record: Provocation) -> str:
    observed, figures = record.observed, record.figures
    guard = observed.guard
    searched = (
        f"The search was around the other {figures.provoked.n}, with {observed.settings.effort} "
        "forward passes an example for each search."
        if figures.sets
        else ""
    )
    unseen = f"A failure must also get past {clean(guard)}. " if guard is not None else ""
    return f"{as_they_are_words(observed, figures)} {unseen}{searched}".rstrip()


def as_they_are_words(observed: AsTheyAre, figures: FiguresAsTheyAre) -> str:
    """Both networks on the examples as they are."""
    return (
        f"{clean(observed.subject.model)} on {clean(observed.subject.data)}. Float is right on "
        f"{rate_text(figures.right)}, by {observed.delta:g} logits or more of "
        f"{figures.led.k}; of these {clean(observed.numerics.name)} gets {figures.failing.k} wrong "
        "as they are."
    )


def _cards(record: Provocation) -> list[tuple[object, str, str]]:
    """Rates, their titles and the kind that colours them."""
    found: list[tuple[object, str, str]] = []
    for one in record.figures.sets:
        found.append((one.provoked, f"Made to fail within {one.within}", "worst"))
        found.append((_row(one, RANDOM).found, f"At random within {one.within}", "random"))
    return found


def _row(one: SetFigures, method: str) -> MethodFigures:
    return next(row for row in one.methods if row.method == method)


def _failures(record: Provocation) -> list[tuple[str, int, str, str, Failure]]:
    """Of the examples with the most lead in float: id, what is wanted, set, search and failure."""
    wanted = {one.id: one.wanted for one in record.observed.parents}
    worst = worst_failures(record.observed)
    return [(name, wanted[name], *worst[name]) for name in record.figures.most_led[:SHOWN]]
