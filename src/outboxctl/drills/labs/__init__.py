"""Labs: experiments with a verdict and evidence. What a lab is written with is named here."""

from outboxctl.drills.labs.context import LabContext
from outboxctl.drills.labs.lab import Lab

__all__ = ["Lab", "LabContext"]
