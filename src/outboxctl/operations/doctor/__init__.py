"""Examining both ends and the space between: what is wrong, why it matters, what mends it.

Facts (frozen dataclasses read by `core.examine` and `sink.examine`) go through rules, each a pure
function of a fact and the settings.
"""

from outboxctl.operations.doctor.examine import catalogue, examine
from outboxctl.operations.doctor.model import DoctorReport, End, Finding, FindingSeverity

__all__ = ["DoctorReport", "End", "Finding", "FindingSeverity", "catalogue", "examine"]
