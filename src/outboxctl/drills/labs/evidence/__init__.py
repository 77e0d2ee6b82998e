"""Evidence: a folder for each run, from which a reader can judge it later."""

from outboxctl.drills.labs.evidence.folder import EvidenceFolder, load, newest

__all__ = ["EvidenceFolder", "load", "newest"]
