"""Findings as JUnit XML, which every build server shows as tests."""

import re
from collections.abc import Collection, Sequence
from xml.etree import ElementTree as ET

from lossacc_mlflow.records import Diagnosis, Finding, Level
from lossacc_mlflow.wording import number

__all__ = ["render_junit"]

_OUTCOMES = {"failures": "failure", "errors": "error", "skipped": "skipped"}
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, not even escaped."""


def render_junit(diagnoses: Sequence[Diagnosis], *, failing: Collection[Level] = ("error", "warning")) -> str:
    """Write diagnoses as JUnit XML: a test suite for each run, a test case for each rule.

    Parameters
    ----------
    diagnoses : sequence of Diagnosis
    failing : collection of {"error", "warning", "note"}
        Levels whose flagged findings are failures. Others pass, with their message as output; a rule that is not
        applicable is skipped.

    Returns
    -------
    str
        ASCII only, without a final line break. Characters that XML cannot hold become U+FFFD.
    """
    suites = [_suite(diagnosis, failing) for diagnosis in diagnoses]
    root = ET.Element("testsuites", name="lossacc")
    for name in ("tests", *_OUTCOMES):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in suites)))
    root.extend(suites)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="us-ascii").decode()}'


def _suite(diagnosis: Diagnosis, failing: Collection[Level]) -> ET.Element:
    suite = ET.Element("testsuite", name=_text(diagnosis.run_name or diagnosis.run_id))
    properties = ET.SubElement(suite, "properties")
    for name in ("run_id", "verdict", "discrepancy", "headline"):
        ET.SubElement(properties, "property", name=name, value=_text(getattr(diagnosis, name)))
    for finding in diagnosis.findings:
        suite.append(_case(diagnosis.run_id, finding, failing))
    suite.set("tests", str(len(diagnosis.findings)))
    for name, outcome in _OUTCOMES.items():
        suite.set(name, str(len(suite.findall(f"testcase/{outcome}"))))
    return suite


def _case(run_id: str, finding: Finding, failing: Collection[Level]) -> ET.Element:
    case = ET.Element("testcase", classname=_text(run_id), name=_text(f"{finding.code} {finding.title}"))
    if finding.status == "not_applicable":
        ET.SubElement(case, "skipped", message=_text(finding.message))
    elif finding.status == "flagged" and finding.level in failing:
        failure = ET.SubElement(case, "failure", message=_text(finding.message), type=finding.level)
        failure.text = _text(_in_full(finding))
    elif finding.status == "flagged":
        ET.SubElement(case, "system-out").text = _text(_in_full(finding))
    return case


def _in_full(finding: Finding) -> str:
    """Message, evidence and advice, a line each."""
    evidence = [
        f"{e.name} = {number(e.value)}" + ("" if e.threshold is None else f" (threshold {number(e.threshold)})")
        for e in finding.evidence
    ]
    return "\n".join(line for line in (finding.message, *evidence, finding.advice) if line)


def _text(value: str) -> str:
    return _NOT_XML.sub("\ufffd", value)
