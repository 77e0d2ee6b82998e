"""JUnit XML, as CI systems show it.

FAIL is a failure. INCONCLUSIVE is `skipped`: it is shown with its reason, but does not fail a build whose
servers lack what a lab needs; the exit code is 5 all the same. An interrupted lab is an error.
"""

import re
from collections import Counter
from xml.etree.ElementTree import Element, SubElement, tostring

from outboxctl.drills.labs.model import LabRun, LabVerdict, Record

FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, Char


def xml(run: LabRun) -> str:
    """One suite, a case a lab."""
    cases = [_case(record) for record in run.records]
    count = Counter(child.tag for case in cases for child in case)
    suite = Element(
        "testsuite",
        name="outboxctl labs",
        tests=str(len(cases)),
        failures=str(count["failure"]),
        errors=str(count["error"]),
        skipped=str(count["skipped"]),
        time=f"{run.seconds:.3f}",
        timestamp=run.started_at,
    )
    suite.extend(cases)
    suites = Element("testsuites")
    suites.append(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(suites, encoding="unicode") + "\n"


def _case(record: Record) -> Element:
    case = Element("testcase", classname="outboxctl.labs", name=record.lab, time=f"{record.seconds:.3f}")
    if tag := _tag(record):
        unmet = [
            f"{each.phase}: {each.name}: expected {each.expected}, seen {each.seen}" for each in record.unmet
        ]
        SubElement(case, tag, message=_legal(record.why)).text = _legal("\n".join(unmet))
    SubElement(case, "system-out").text = _legal("\n".join(f"{o.at:8.3f}  {o.text}" for o in record.timeline))
    return case


def _tag(record: Record) -> str | None:
    if record.verdict is LabVerdict.FAIL:
        return "failure"
    if record.interrupted:
        return "error"
    return "skipped" if record.verdict is LabVerdict.INCONCLUSIVE else None


def _legal(text: str) -> str:
    return FORBIDDEN.sub("\ufffd", text)
