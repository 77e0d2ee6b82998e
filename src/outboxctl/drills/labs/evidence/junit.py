"""JUnit XML, as CI systems show it.

FAIL is a failure. INCONCLUSIVE is `skipped`: it is shown with its reason, but does not fail a build whose
servers lack what a lab needs; the exit code is 5 all the same. An interrupted lab is an error.
"""

import re
from collections import Counter
from xml.etree.ElementTree import Element, SubElement, tostring

from outboxctl.drills.labs.evidence.model import LabReport, RunReport
from outboxctl.drills.labs.model import LabVerdict

FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, Char


def xml(report: RunReport) -> str:
    """One suite, a case a lab."""
    cases = [_case(lab) for lab in report.labs]
    count = Counter(child.tag for case in cases for child in case)
    suite = Element(
        "testsuite",
        name="outboxctl labs",
        tests=str(len(cases)),
        failures=str(count["failure"]),
        errors=str(count["error"]),
        skipped=str(count["skipped"]),
        time=f"{report.seconds:.3f}",
        timestamp=report.started_at,
    )
    properties = SubElement(suite, "properties")
    for name, value in report.versions.items():
        SubElement(properties, "property", name=_legal(name), value=_legal(value))
    suite.extend(cases)
    suites = Element("testsuites")
    suites.append(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(suites, encoding="unicode") + "\n"


def _case(lab: LabReport) -> Element:
    record = lab.record
    case = Element("testcase", classname="outboxctl.labs", name=lab.name, time=f"{record.seconds:.3f}")
    tag = _tag(lab)
    if tag:
        SubElement(case, tag, message=_legal(record.why)).text = _legal(_unmet(lab))
    SubElement(case, "system-out").text = _legal("\n".join(f"{o.at:8.3f}  {o.text}" for o in record.timeline))
    return case


def _tag(lab: LabReport) -> str | None:
    if lab.record.verdict is LabVerdict.FAIL:
        return "failure"
    if lab.record.interrupted:
        return "error"
    return "skipped" if lab.record.verdict is LabVerdict.INCONCLUSIVE else None


def _unmet(lab: LabReport) -> str:
    return "\n".join(
        f"{check.phase}: {check.name.en}: expected {check.expected}, seen {check.seen}" for check in lab.unmet
    )


def _legal(text: str) -> str:
    return FORBIDDEN.sub("\ufffd", text)
