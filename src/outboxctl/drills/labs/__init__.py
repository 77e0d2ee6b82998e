"""Labs: experiments with a verdict and evidence. What a lab is written with is named here."""

from outboxctl.drills.labs.context import Lab, LabContext, Steps
from outboxctl.drills.labs.model import LabPhase

OBSERVE, RECOVER, CHECK = LabPhase.OBSERVE, LabPhase.RECOVER, LabPhase.CHECK

__all__ = ["CHECK", "OBSERVE", "RECOVER", "Lab", "LabContext", "Steps"]
