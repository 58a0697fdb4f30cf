"""JUnit XML: counts that add up, and valid whatever a run is called."""

from dataclasses import replace
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from lossacc_mlflow.pipeline import judge
from lossacc_mlflow.records import Diagnosis, Finding, Level
from lossacc_mlflow.render import render_junit
from tests.builders import falling, make_run


def _parse(*diagnoses: Diagnosis, failing: tuple[Level, ...] = ("error", "warning")) -> ET.Element:
    text = render_junit(diagnoses, failing=failing)
    assert text.isascii()
    return ET.fromstring(text.encode())  # noqa: S314  (what was just written)


def _overfitting() -> Diagnosis:
    rising = [*falling(15, 2.0, 0.3), *(0.3 + 0.0125 * i for i in range(1, 26))]
    return judge(make_run({"train_loss": falling(40, 2.0, 0.02), "val_loss": rising}))


def test_a_suite_a_run_and_a_case_a_rule() -> None:
    diagnosis = _overfitting()
    root = _parse(diagnosis, judge(make_run()))
    over, empty = root.findall("testsuite")
    assert [case.get("name", "")[:6] for case in over.findall("testcase")] == [f.code for f in diagnosis.findings]
    for suite in (over, empty):
        for count, tag in (("tests", "testcase"), ("failures", "testcase/failure"), ("skipped", "testcase/skipped")):
            assert suite.get(count) == str(len(suite.findall(tag)))
    for count in ("tests", "failures", "skipped", "errors"):
        assert root.get(count) == str(sum(int(suite.get(count, "")) for suite in (over, empty)))
    failure = over.find("testcase[@name='FIT001 Loss overfitting']/failure")
    assert failure is not None
    found = diagnosis.finding("FIT001")
    assert (failure.get("message"), failure.get("type")) == (found.message, "warning")
    assert found.advice in (failure.text or "")
    assert "validation_rise_relative" in (failure.text or "")
    verdict = over.find("properties/property[@name='verdict']")
    assert verdict is not None
    assert verdict.get("value") == "overfitting"


def test_what_is_passed_over_passes_and_says_so() -> None:
    root = _parse(_overfitting(), failing=())
    assert root.get("failures") == "0"
    assert root.findall(".//failure") == []
    said = root.find(".//testcase[@name='FIT001 Loss overfitting']/system-out")
    assert said is not None
    assert said.text
    assert _parse(_overfitting(), failing=("error",)).get("failures") == "0"


def test_no_run_at_all() -> None:
    assert _parse().get("tests") == "0"


@given(st.text(st.characters(codec=None)), st.text(st.characters(codec=None)))
def test_hostile_names_and_messages(name: str, message: str) -> None:
    diagnosis = judge(make_run())
    found = Finding("FIT001", name, "error", "flagged", message, advice=message)
    root = _parse(replace(diagnosis, run=replace(diagnosis.run, name=name, run_id=name), findings=(found,)))
    assert len(root.findall("testsuite/testcase/failure")) == 1


def test_what_xml_cannot_hold_is_replaced_and_the_rest_kept() -> None:
    run = replace(make_run(), name="\x00\x1b[31m]]> <b>&\"' ü \ud800 \ufffe 😀")
    (suite,) = _parse(judge(run)).findall("testsuite")
    assert suite.get("name") == "\ufffd\ufffd[31m]]> <b>&\"' ü \ufffd \ufffd 😀"
