"""Every lab, one file each; those with a number are the document's."""

from outboxctl.drills.labs.catalogue.apply_then_drop import ApplyThenDrop
from outboxctl.drills.labs.catalogue.attempts_exhausted import AttemptsExhausted
from outboxctl.drills.labs.catalogue.audited_replay import AuditedReplay
from outboxctl.drills.labs.catalogue.bad_op import BadOp
from outboxctl.drills.labs.catalogue.clock_skew import ClockSkew
from outboxctl.drills.labs.catalogue.daemon import DaemonLab
from outboxctl.drills.labs.catalogue.db_readonly import DbReadonly
from outboxctl.drills.labs.catalogue.db_restart import DbRestart
from outboxctl.drills.labs.catalogue.db_terminate import DbTerminate
from outboxctl.drills.labs.catalogue.delete_then_stale import DeleteThenStale
from outboxctl.drills.labs.catalogue.duplicate_delivery import DuplicateDelivery
from outboxctl.drills.labs.catalogue.es_429 import Es429
from outboxctl.drills.labs.catalogue.es_bulk_partial import EsBulkPartial
from outboxctl.drills.labs.catalogue.es_mapping_conflict import EsMappingConflict
from outboxctl.drills.labs.catalogue.es_write_block import EsWriteBlock
from outboxctl.drills.labs.catalogue.kill_and_heal import KillAndHeal
from outboxctl.drills.labs.catalogue.outage_and_backoff import OutageAndBackoff
from outboxctl.drills.labs.catalogue.outage_hold import OutageHold
from outboxctl.drills.labs.catalogue.oversized_event import OversizedEvent
from outboxctl.drills.labs.catalogue.poison_event import PoisonEvent
from outboxctl.drills.labs.catalogue.rebuild_under_load import RebuildUnderLoad
from outboxctl.drills.labs.catalogue.slow_sink import SlowSink
from outboxctl.drills.labs.catalogue.stale_event import StaleEvent
from outboxctl.drills.labs.catalogue.thundering_herd import ThunderingHerd
from outboxctl.drills.labs.catalogue.two_workers import TwoWorkers
from outboxctl.drills.labs.catalogue.zombie_worker import ZombieWorker
from outboxctl.drills.labs.lab import Lab

ALL: tuple[type[Lab], ...] = (
    ApplyThenDrop,
    AttemptsExhausted,
    AuditedReplay,
    BadOp,
    ClockSkew,
    DaemonLab,
    DbReadonly,
    DbRestart,
    DbTerminate,
    DeleteThenStale,
    DuplicateDelivery,
    Es429,
    EsBulkPartial,
    EsMappingConflict,
    EsWriteBlock,
    KillAndHeal,
    OutageAndBackoff,
    OutageHold,
    OversizedEvent,
    PoisonEvent,
    RebuildUnderLoad,
    SlowSink,
    StaleEvent,
    ThunderingHerd,
    TwoWorkers,
    ZombieWorker,
)
# Labs that take longest begin first, so that a run of all ends soonest.
LABS = tuple(sorted(ALL, key=lambda lab: -lab.seconds - lab.engine_start))
CORE = tuple(sorted((lab for lab in LABS if lab.number), key=lambda lab: lab.number or 0))
