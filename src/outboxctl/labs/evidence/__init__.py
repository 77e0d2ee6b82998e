"""Evidence: a folder a run, with everything a reader needs who was not there."""

from outboxctl.labs.evidence.folder import Folder, load, mark_interrupted, newest

__all__ = ["Folder", "load", "mark_interrupted", "newest"]
