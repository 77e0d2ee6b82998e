"""Evidence: a folder a run, with everything a reader needs who was not there."""

from outboxctl.drills.labs.evidence.folder import EvidenceFolder, load, mark_interrupted, newest

__all__ = ["EvidenceFolder", "load", "mark_interrupted", "newest"]
