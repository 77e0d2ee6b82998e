"""The settings of a worker that runs: how much, how often, how long."""

import os
import socket
from enum import StrEnum
from typing import Annotated

from pydantic import Field, field_validator

from outboxctl.domain.clock import LOCK_SECONDS
from outboxctl.domain.printable import CONTROL
from outboxctl.settings.connections import ConnectionSettings, setting

Seconds = Annotated[float, Field(gt=0, le=10 * 365 * 86_400, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Port = Annotated[int, Field(ge=1, le=65_535)]
DELIVERY_SHARE = 0.75  # of the lease: a request must have ended by then, and leave time to settle


class OutagePolicy(StrEnum):
    """What an outage of the sink does to attempts: `count` burns them, `hold` gives them back."""

    COUNT = "count"
    HOLD = "hold"


class NotifyPolicy(StrEnum):
    """Whether a worker listens for new events: `auto` where the database notifies, `off` never."""

    AUTO = "auto"
    OFF = "off"


class WorkerSettings(ConnectionSettings):
    """The connections, and how a worker uses them."""

    worker_id: str = setting(
        "OUTBOX_WORKER_ID",
        lambda: f"{socket.gethostname()[:80]}:{os.getpid()}",
        "name of this worker, for people; never the fence",
        min_length=1,
        max_length=120,
    )
    metrics_port: Port = setting("OUTBOX_METRICS_PORT", 9108, "port of /metrics, /healthz and /readyz")
    metrics_host: str = setting("OUTBOX_METRICS_HOST", "127.0.0.1", "address they listen on", min_length=1)
    bulk_size: Count = setting("OUTBOX_BULK_SIZE", 1_000, "events per claim and per bulk request", le=10_000)
    max_batch_bytes: int = setting(
        "OUTBOX_MAX_BATCH_BYTES",
        8_000_000,
        "bytes of documents in one batch; a larger document goes alone",
        ge=1,
        le=1_000_000_000,
    )
    concurrency: Count = setting("OUTBOX_CONCURRENCY", 3, "batches in flight in one worker", le=64)
    poll_interval_seconds: Seconds = setting(
        "OUTBOX_POLL_INTERVAL_SECONDS", 1.0, "the longest idle wait between claims"
    )
    notify: NotifyPolicy = setting(
        "OUTBOX_NOTIFY",
        NotifyPolicy.AUTO,
        "`auto`: listen for new events where `db notify on` was run; `off`: only poll",
    )
    lease_seconds: Seconds = setting(
        "OUTBOX_LEASE_SECONDS", 30.0, "how long a claim belongs to its worker; at least 1", ge=1
    )
    late_write_seconds: Seconds = setting(
        "OUTBOX_LATE_WRITE_SECONDS",
        600.0,
        "for how long a write may be held up on its way to the index: deletes are sent again until then",
    )
    reclaim_interval_seconds: Seconds = setting(
        "OUTBOX_RECLAIM_INTERVAL_SECONDS", 5.0, "how often stuck events are looked for"
    )
    max_processing_seconds: Seconds = setting(
        "OUTBOX_MAX_PROCESSING_SECONDS", 600.0, "processing longer than this is stuck"
    )
    # Outlives six minutes of outage: docs/adr/0030-outages.md.
    max_attempts: Count = setting("OUTBOX_MAX_ATTEMPTS", 30, "attempts before an event fails for good")
    base_backoff_seconds: Seconds = setting(
        "OUTBOX_BASE_BACKOFF_SECONDS", 0.5, "the first step of the backoff; it doubles, jittered"
    )
    max_backoff_seconds: Seconds = setting("OUTBOX_MAX_BACKOFF_SECONDS", 30.0, "the longest step")
    outage_policy: OutagePolicy = setting(
        "OUTBOX_OUTAGE_POLICY",
        OutagePolicy.COUNT,
        "`count`: an outage burns attempts; `hold`: gives them back, and probes. Unset: `hold` for declared "
        "projections, `count` for search_index",
    )
    shutdown_grace_seconds: Seconds = setting(
        "OUTBOX_SHUTDOWN_GRACE_SECONDS", 25.0, "how long SIGTERM lets batches in flight end"
    )
    sla_oldest_age_seconds: Seconds = setting(
        "OUTBOX_SLA_OLDEST_AGE_SECONDS",
        300.0,
        "`check` and readiness: events are due and nothing succeeded for this long",
    )
    read_only: bool = setting("OUTBOX_READ_ONLY", False, "refuse every command that would change something")

    @field_validator("worker_id", "metrics_host")
    @classmethod
    def _printable(cls, value: str) -> str:
        if CONTROL.search(value) or not value.strip():
            raise ValueError("blank, or holds control characters")
        return value

    @property
    def last_delete_seconds(self) -> float:
        """Seconds after its delivery when a delete is sent last: a late read, a lease, and the way there."""
        return self.lease_seconds + self.late_write_seconds

    @property
    def delivery_seconds(self) -> float:
        """Seconds that one request to the sink may take: three quarters of the lease."""
        return self.lease_seconds * DELIVERY_SHARE

    @property
    def transaction_seconds(self) -> float:
        """Seconds until a worker's transaction is cut off: its server may never answer."""
        return max(5.0, min(self.lease_seconds, 30.0))

    def holds(self, projection: str) -> bool:
        """Whether an outage gives attempts back to events of a projection; search_index has an empty name."""
        unset = "outage_policy" not in self.model_fields_set
        return self.outage_policy is OutagePolicy.HOLD or (bool(projection) and unset)

    @property
    def lock_seconds(self) -> float:
        """Seconds that a worker's statement waits for a lock; its other claims' leases run meanwhile."""
        return min(LOCK_SECONDS, self.lease_seconds / 4)
