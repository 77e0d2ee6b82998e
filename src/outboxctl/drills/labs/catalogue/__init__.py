"""Every lab, by subject."""

from outboxctl.drills.labs.catalogue.audited_replay import AuditedReplay
from outboxctl.drills.labs.catalogue.crash_and_outage import KillAndHeal, OutageAndBackoff, ZombieWorker
from outboxctl.drills.labs.catalogue.daemon import DaemonLab
from outboxctl.drills.labs.catalogue.failed_events import AttemptsExhausted, BadOp

# The six of the lab document, by their numbers.
CORE = (KillAndHeal, OutageAndBackoff, BadOp, AttemptsExhausted, AuditedReplay, DaemonLab)
LABS = (*CORE, ZombieWorker)
