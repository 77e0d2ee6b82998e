"""The pages of a whole run, each made from its report alone."""

from pathlib import Path

from outboxctl.labs.evidence.model import Report


def write(path: Path, report: Report) -> None:
    """Write them into the run's folder."""
