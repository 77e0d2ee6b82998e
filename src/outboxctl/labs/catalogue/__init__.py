"""Every lab, one file each; those with a number are the document's."""

from outboxctl.labs.catalogue.apply_then_drop import ApplyThenDrop
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
from outboxctl.labs.catalogue.es_429 import Es429
from outboxctl.labs.catalogue.es_bulk_partial import EsBulkPartial
from outboxctl.labs.catalogue.es_mapping_conflict import EsMappingConflict
from outboxctl.labs.catalogue.es_write_block import EsWriteBlock
from outboxctl.labs.catalogue.kill_and_heal import KillAndHeal
from outboxctl.labs.catalogue.outage_and_backoff import OutageAndBackoff
from outboxctl.labs.catalogue.outage_hold import OutageHold
from outboxctl.labs.catalogue.oversized_event import OversizedEvent
from outboxctl.labs.catalogue.poison_event import PoisonEvent
from outboxctl.labs.catalogue.rebuild_under_load import RebuildUnderLoad
from outboxctl.labs.catalogue.slow_sink import SlowSink
from outboxctl.labs.catalogue.stale_event import StaleEvent
from outboxctl.labs.catalogue.thundering_herd import ThunderingHerd
from outboxctl.labs.catalogue.two_workers import TwoWorkers
from outboxctl.labs.catalogue.zombie_worker import ZombieWorker
from outboxctl.labs.lab import Lab

ALL: tuple[type[Lab], ...] = (
    ApplyThenDrop,
    AttemptsExhausted,
    AuditedReplay,
    BadOp,
    ClockSkew,
    Daemon,
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
