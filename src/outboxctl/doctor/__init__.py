"""Examining both ends and the space between: what is wrong, why it matters, what mends it.

Facts (frozen dataclasses read by `core.examine` and `sink.examine`) go through rules, each a pure
function of a fact and the settings.
"""

from outboxctl.doctor.examine import catalogue, examine
from outboxctl.doctor.model import End, Finding, Report, Severity

__all__ = ["End", "Finding", "Report", "Severity", "catalogue", "examine"]
