"""The verdict as JUnit XML, which CI systems show beside the other tests."""

from xml.etree import ElementTree

from bitcliff.record import Record
from bitcliff.report.formatting import clean
from bitcliff.verdict import Judgement, Verdict


def render_junit(record: Record, verdict: Verdict) -> str:
    """One test case for each policy judged; one more where only the run as a whole is inconclusive.

    A fail is a `<failure>`. Inconclusive is an `<error>`: JUnit's word for a test that could not
    come to an answer. `<skipped>` would be shown as harmless and let the build pass, which an
    inconclusive run must never do.
    """
    cases = list(verdict.judgements)
    if all(case.status == "pass" for case in cases) and verdict.status != "pass":
        # Coverage, for one, is no policy's fault, yet the build must not go green on it.
        cases.append(Judgement("whole run", verdict.status, None, None, None, verdict.sentence))
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(case.status == "fail" for case in cases)),
        "errors": str(sum(case.status == "inconclusive" for case in cases)),
        "skipped": "0",
    }
    root = ElementTree.Element("testsuites", {"name": "bitcliff", **counts})
    suite = ElementTree.SubElement(root, "testsuite", {"name": "bitcliff", **counts, "time": "0"})
    subject = f"{clean(record.subject.model)} on {clean(record.subject.data)}"
    for case in cases:
        _add_case(suite, subject, case)
    ElementTree.SubElement(suite, "system-out").text = clean(verdict.sentence, 1000)
    ElementTree.indent(root)
    text: str = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _add_case(suite: ElementTree.Element, subject: str, case: Judgement) -> None:
    attributes = {"classname": f"bitcliff: {subject}", "name": clean(case.policy), "time": "0"}
    element = ElementTree.SubElement(suite, "testcase", attributes)
    sentence = clean(case.sentence, 1000)
    if case.status == "fail":
        ElementTree.SubElement(
            element, "failure", {"type": "drop", "message": sentence}
        ).text = sentence
    elif case.status == "inconclusive":
        ElementTree.SubElement(
            element, "error", {"type": "inconclusive", "message": sentence}
        ).text = sentence
