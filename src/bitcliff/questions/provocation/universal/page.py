"""What `bitcliff provoke --universal` found: a page in the house style, and lines of text."""

from bitcliff.questions.provocation.page import as_they_are_words, plain
from bitcliff.questions.provocation.record import CONTROL, RANDOM
from bitcliff.questions.provocation.statistics import judged
from bitcliff.questions.provocation.universal.plot import classes_plot
from bitcliff.questions.provocation.universal.record import (
    METHODS,
    SEARCHES,
    ClassFigures,
    Found,
    Universal,
)
from bitcliff.questions.provocation.universal.statistics import (
    ALPHA,
    accused,
    held_out,
    strongest,
)
from bitcliff.questions.provocation.universal.store import UNIVERSAL
from bitcliff.report.differing import differing
from bitcliff.report.formatting import class_name, clean, percent, rate_interval, rate_text
from bitcliff.report.html import render_measurement

SHOWN = 6


def render_universal(record: Universal) -> str:
    """The whole page as text, everything from the record escaped; the same record, same bytes."""
    observed, figures = record.observed, record.figures
    return render_measurement(
        "questions/provocation/universal/page.html.j2",
        record,
        UNIVERSAL.version,
        {
            "kind": "fail" if accused(figures) else "inconclusive",
            "title": finding(record),
            "lead": _lead(record),
            "cards": _cards(record),
            "triggers": _triggers(record),
            "remedies": _remedies(record),
            "differing": differing,
            "methods": METHODS,
            "strongest": strongest,
            "percent": percent,
            "set_words": {scan.within: scan.words for scan in observed.scans},
            "false_rate": f"{100 * ALPHA:g}",
            "controls": control_words(record),
            "plot": classes_plot(record),
        },
    )


def finding(record: Universal) -> str:
    """In a sentence, without a full stop."""
    name, found = clean(record.observed.numerics.name), accused(record.figures)
    if not found:
        count = len({one.target for scan in record.figures.scans for one in scan.classes})
        return f"No trigger was found that turns {name} to one of {count} classes above all others"
    within, one = found[0]
    share = one.turned[strongest(one.turned)]
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return (
        f"One trigger turns {name} to {_class(record, one)} on {share.k} of {share.n} held-out "
        f"examples, where float decides as before ({within}{more})"
    )


def _class(record: Universal, one: ClassFigures) -> str:
    return f"class {class_name(record.observed.subject, one.target).removeprefix('class ')}"


def universal_lines(record: Universal, limit: float | None = None) -> list[str]:
    """The finding, and a line for each class and set, as text."""
    lines = [f"{finding(record)}.", _lead(record), control_words(record), ""]
    names = [*SEARCHES, RANDOM, CONTROL]
    lines.append(f"{'within':<14}{'class':<14}" + "".join(f"{name:>16}" for name in names))
    for scan in record.figures.scans:
        for one in scan.classes:
            shares = [f"{one.turned[name].k} of {one.turned[name].n}" for name in names]
            row = "".join(f"{share:>16}" for share in shares)
            mark = "  accused" if one.accused else ""
            label = clean(class_name(record.observed.subject, one.target), 12)
            lines.append(f"{scan.within:<14}{label:<14}{row}{mark}")
    for remedy in record.figures.remedies:
        name, again = remedy.name or "nothing changed", remedy.again or remedy.before
        lines.append(
            f"{name:<18} right {plain(rate_text(remedy.right))}; turned by the trigger "
            f"{plain(rate_text(remedy.before))}, searched anew {plain(rate_text(again))}"
        )
    return lines if limit is None else [*lines, verdict_line(record, limit)]


def verdict_line(record: Universal, limit: float) -> str:
    """Against the most that one trigger may turn, per cent."""
    provoked, status = record.figures.provoked, judged(record.figures.provoked, limit)
    return (
        f"{status.capitalize()}: turned by one trigger {plain(rate_text(provoked))} "
        f"({plain(rate_interval(provoked))} for all classes together), allowed {limit:g} %."
    )


def control_words(record: Universal) -> str:
    """What the control says of the search."""
    found = record.figures.control
    if found.k:
        return (
            f"Warning: the same search turns {found.k} of {found.n} also where nothing is "
            "quantized: delta is too small to tell a format from rounding in float."
        )
    return f"The same search against float nudged by a millionth turns none of {found.n}."


def _lead(record: Universal) -> str:
    observed = record.observed
    return (
        f"{as_they_are_words(observed, record.figures)} Triggers were searched on "
        f"{len(observed.half)} of the others, with {observed.settings.effort} forward passes each "
        f"for a class and search, and are judged on {len(held_out(observed))} more."
    )


def _cards(record: Universal) -> list[tuple[object, str, str]]:
    """Rates, their titles and the kind that colours them."""
    found: list[tuple[object, str, str]] = []
    for scan in record.figures.scans:
        most = max(scan.classes, key=lambda one: one.low)
        share = most.turned[strongest(most.turned)]
        told = f"Turned to {_class(record, most)} within {scan.within}"
        found.append((share, told, "worst" if most.accused else "static"))
        found.append((most.turned[RANDOM], "... by the best random trigger", "random"))
    return found


def _triggers(record: Universal) -> list[tuple[str, ClassFigures, str, Found]]:
    """Those of classes that are accused, else of the class that is turned to most: set, class,
    search, trigger."""
    chosen = accused(record.figures)[:SHOWN]
    if not chosen:
        every = [(scan.within, one) for scan in record.figures.scans for one in scan.classes]
        chosen = [max(every, key=lambda one: one[1].low)]
    known = {
        (scan.within, one.target): one for scan in record.observed.scans for one in scan.classes
    }
    found = []
    for within, one in chosen:
        method = strongest(one.turned)
        found.append((within, one, method, known[within, one.target].found[method]))
    return found


def _remedies(record: Universal) -> list[tuple[str, object]]:
    """What was done, and its figures."""
    tried = record.observed.remedies
    if tried is None:
        return []
    words = {"": "the format as it is"} | {one.name: one.words for one in tried.tried}
    return [(words[one.name], one) for one in record.figures.remedies]
