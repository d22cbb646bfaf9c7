"""Which least width is safe, on the page and in the terminal."""

from bitcliff.questions.least_widths.plot import least_widths_plot
from bitcliff.questions.least_widths.record import KEY, AtMean, Cut, LeastWidths
from bitcliff.record import Record
from bitcliff.report.filters import of_with_interval
from bitcliff.report.formatting import count_text, mean_text, noun, rate_interval
from bitcliff.report.section import Section


def least_widths_section(record: Record, found: LeastWidths) -> Section:
    """The finding, the curves, a sentence for each further mean, and a row for each least width."""
    deepest, labelled = _deepest(found), record.subject.labelled
    data = {
        "labelled": labelled,
        "sentences": [_sentence(record, at) for at in found.means if at is not deepest],
        "plot": least_widths_plot(found, title=_sentence(record, deepest), labelled=labelled),
        "rows": [_row(at, cut) for at in found.means for cut in at.cuts],
    }
    return Section(KEY, "Which least width is safe?", _in_short(record, found), data)


def least_widths_line(record: Record) -> str:
    """For the terminal; empty where it was not asked."""
    found = record.answer(KEY, LeastWidths)
    return f"Least width: {_in_short(record, found)}" if found is not None and found.means else ""


def _in_short(record: Record, found: LeastWidths) -> str:
    deepest = _deepest(found)
    others = [f"{mean_text(at.mean_bits)}: {_safe(at)}" for at in found.means if at is not deepest]
    more = f" At other means, safe from: {'; '.join(others)}." if others else ""
    return f"{_sentence(record, deepest)}{more}"


def _deepest(found: LeastWidths) -> AtMean:
    """The mean of which most is lost with all options; of equal ones that with most bits."""
    return max(found.means, key=lambda at: (at.cuts[0].lost.k, at.mean_bits))


def _safe(at: AtMean) -> str:
    return "none" if at.safe is None else f"{at.safe} bits"


def _sentence(record: Record, at: AtMean) -> str:
    mean = f"at a mean of {mean_text(at.mean_bits)} bits"
    labelled, limit = record.subject.labelled, record.settings.max_drop
    lost, what = ("lost", "right answers") if labelled else ("changed", "answers")
    number = next((n for n, cut in enumerate(at.cuts) if cut.least == at.safe), None)
    if number is None:
        last = at.cuts[-1]
        return (
            f"No least width is safe {mean}: with {last.least} bits or more at every layer"
            f"{_even(last)}, {_counted(last, f'{what} are {lost}')}."
        )
    safe = at.cuts[number]
    start = (
        f"Safe from {safe.least} bits up{_even(safe)}, as far as was found, {mean}: "
        f"{'' if number else 'with all options, '}{_counted(safe, f'{what} are {lost}')}"
        f"{f', of {limit:g} % allowed' if safe.lost.k else ''}"
    )
    if number:
        before = at.cuts[number - 1]
        start += f"; with {before.least} or more, {_counted(before)}"
    few = safe.lost.high is None or 100 * safe.lost.high > limit
    sure = f" Too few {noun(record)} to be sure that at most {limit:g} % are {lost}." if few else ""
    return f"{start}.{sure}"


def _even(cut: Cut) -> str:
    return " (the even allocation only)" if cut.only_even else ""


def _counted(cut: Cut, what: str = "") -> str:
    counted = f"{cut.lost.k} of {cut.lost.n} {what}".rstrip()
    return f"{counted} ({rate_interval(cut.lost)})" if cut.lost.n else counted


def _row(at: AtMean, cut: Cut) -> list[str]:
    return [
        mean_text(at.mean_bits),
        f"{cut.least}{' (even only)' * cut.only_even}",
        of_with_interval(cut.lost),
        count_text(cut.searched),
        count_text(cut.passes),
    ]
