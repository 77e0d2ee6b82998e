"""A sink whose client is loaded and opened when it is first used: no claim needs it."""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from outboxctl.domain.clock import Deadline
from outboxctl.domain.failures import Classification, Reason
from outboxctl.settings import Settings
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.result import Delivery
from outboxctl.sink.transport.credentials import security

if TYPE_CHECKING:
    from outboxctl.sink.delivery.deliver import ElasticSink


class OpeningSink:
    """The sink of the settings; options as those of `outboxctl.sink.transport.open.connect`.

    Raises UsageError at once for settings that no client can be made of: with the first batch it would cost
    that batch its attempts. Where the sink refuses the login, secrets that came from files are read again:
    whoever changes a password need not start a worker again.
    """

    def __init__(self, settings: Settings, *, connections: int, timeout: float | None = None) -> None:
        security(settings)
        self._settings, self._connections, self._timeout = settings, connections, timeout
        self._lock = threading.Lock()  # the first thread that needs the sink opens it for all
        self._opened: ElasticSink | None = None

    def ping(self) -> Classification | None:
        """None if the sink answers and the index is there, else what is wrong."""
        finding = self._sink().ping()
        self._renew(finding)
        return finding

    def deliver(self, actions: Sequence[BulkAction], *, deadline: Deadline) -> Delivery:
        """As `ElasticSink.deliver`."""
        delivery = self._sink().deliver(actions, deadline=deadline)
        self._renew(delivery.findings[0] if delivery.findings else None)  # a refused login is that of all
        return delivery

    def _renew(self, finding: Classification | None) -> None:
        if finding and finding.reason is Reason.AUTH:
            with self._lock:
                fresh = self._settings.renewed()
                if fresh is not self._settings:
                    self._settings, self._opened = fresh, None

    def _sink(self) -> "ElasticSink":
        with self._lock:
            self._opened = self._opened or self._open()
            return self._opened

    def _open(self) -> "ElasticSink":
        from outboxctl.sink.delivery.deliver import ElasticSink  # noqa: PLC0415
        from outboxctl.sink.transport.open import connect  # noqa: PLC0415 - slow to load

        client = connect(self._settings, connections=self._connections, timeout=self._timeout)
        return ElasticSink(client, self._settings.elastic_index)
