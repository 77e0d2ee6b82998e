"""Every lab, one file each; those with a number are the document's."""

from outboxctl.labs.catalogue.attempts_exhausted import AttemptsExhausted
from outboxctl.labs.catalogue.audited_replay import AuditedReplay
from outboxctl.labs.catalogue.bad_op import BadOp
from outboxctl.labs.catalogue.clock_skew import ClockSkew
from outboxctl.labs.catalogue.daemon import Daemon
from outboxctl.labs.catalogue.db_readonly import DbReadonly
from outboxctl.labs.catalogue.db_restart import DbRestart
from outboxctl.labs.catalogue.db_terminate import DbTerminate
from outboxctl.labs.catalogue.delete_then_stale import DeleteThenStale
from outboxctl.labs.catalogue.duplicate_delivery import DuplicateDelivery
from outboxctl.labs.catalogue.kill_and_heal import KillAndHeal
from outboxctl.labs.catalogue.outage_and_backoff import OutageAndBackoff
from outboxctl.labs.catalogue.poison_event import PoisonEvent
from outboxctl.labs.catalogue.rebuild_under_load import RebuildUnderLoad
from outboxctl.labs.catalogue.stale_event import StaleEvent
from outboxctl.labs.catalogue.two_workers import TwoWorkers
from outboxctl.labs.catalogue.zombie_worker import ZombieWorker
from outboxctl.labs.lab import Lab

# Labs that take longest begin first, so that a run of all ends soonest.
LABS: tuple[type[Lab], ...] = (
    OutageAndBackoff,
    Daemon,
    KillAndHeal,
    PoisonEvent,
    ZombieWorker,
    DbRestart,
    ClockSkew,
    DuplicateDelivery,
    TwoWorkers,
    DeleteThenStale,
    RebuildUnderLoad,
    DbReadonly,
    DbTerminate,
    AttemptsExhausted,
    AuditedReplay,
    StaleEvent,
    BadOp,
)
CORE = tuple(sorted((lab for lab in LABS if lab.number), key=lambda lab: lab.number or 0))
