"""junit.xml: what a CI system reads from it."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from bitcliff.record import Record
from bitcliff.report.junit import render_junit
from bitcliff.verdict import judge
from tests.a_record import with_conditions
from tests.report.example_record import Variant, example_record


def suite(record: Record, max_drop: float = 2.0) -> ElementTree.Element:
    text = render_junit(record, judge(record, max_drop))
    root = ElementTree.fromstring(text.encode())
    assert root.tag == "testsuites"
    (found,) = root.findall("testsuite")
    cases = found.findall("testcase")
    for element in (root, found):
        assert int(element.attrib["tests"]) == len(cases)
        assert int(element.attrib["failures"]) == len(found.findall("testcase/failure"))
        assert int(element.attrib["errors"]) == len(found.findall("testcase/error"))
    assert all({"classname", "name", "time"} <= set(case.attrib) for case in cases)
    return found


def test_one_case_a_judged_policy() -> None:
    found = suite(example_record())
    assert len(found.findall("testcase")) == 9
    # The static ones are shown on ten examples: too few to tell.
    assert (found.attrib["failures"], found.attrib["errors"]) == ("6", "3")
    failure = found.find("testcase[@name='worst-7']/failure")
    assert failure is not None
    assert "drops by 50.0 percentage points" in failure.attrib["message"]


def test_inconclusive_is_an_error_and_never_skipped() -> None:
    found = suite(example_record(Variant(cliff=False)))
    assert found.attrib["failures"] == "0"
    assert found.attrib["errors"] == "9"
    assert found.find(".//skipped") is None


def test_pass_is_green() -> None:
    found = suite(example_record(Variant(cliff=False, n=160)), max_drop=5.0)
    assert (found.attrib["failures"], found.attrib["errors"]) == ("0", "0")
    assert found.attrib["tests"] == "9"


def test_incomplete_coverage_alone_is_not_green() -> None:
    found = suite(example_record(Variant(cliff=False, n=160, complete=False)), max_drop=5.0)
    error = found.find("testcase[@name='whole run']/error")
    assert error is not None
    assert "could not be tested" in error.attrib["message"]


def test_nothing_to_judge_is_not_green() -> None:
    record = with_conditions(example_record(), lambda _one: False)
    assert suite(record).attrib["errors"] == "1"


@pytest.mark.parametrize("failures", [False, True])
def test_hostile_names_stay_text(failures: bool) -> None:
    record = example_record(Variant(hostile=True, failures=failures))
    policy = record.policies[-1].model_copy(update={"name": "worst-\x00\x1b]]><b>&\ud800"})
    figures = record.figures.model_copy(update={"policies": [policy]})
    record = replace(record, figures=figures)
    case = suite(record).find("testcase")
    assert case is not None
    assert case.attrib["name"] == "worst-\ufffd\ufffd]]><b>&\ufffd"
    assert "<script>" in case.attrib["classname"]
