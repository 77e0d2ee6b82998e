"""`doctor`: examines the database, the sink and the settings; findings with the commands that mend them.

Facts (frozen dataclasses, read by `core.inspect` and `sink.inspect`) go through rules: a rule is a pure
function of a fact and the settings, and its docstring is what the report says about why it matters.
"""

from outboxctl.operations.doctor.examination import catalogue, examine
from outboxctl.operations.doctor.model import DoctorReport, End, Finding, FindingSeverity

__all__ = ["DoctorReport", "End", "Finding", "FindingSeverity", "catalogue", "examine"]
