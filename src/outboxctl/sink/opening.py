"""The sink of a worker: a client that is opened when it is first used, and the indexes that it writes to."""

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from outboxctl.domain.clock import Deadline
from outboxctl.domain.errors import OutboxctlError
from outboxctl.domain.failures import Classification, Reason
from outboxctl.domain.projection import Projection, Routing
from outboxctl.settings import Settings
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.deliver import ElasticSink
from outboxctl.sink.delivery.parted import PartedSink
from outboxctl.sink.delivery.result import Delivery, IndexedSink, Place, Sink
from outboxctl.sink.delivery.routed import sink_for
from outboxctl.sink.index import alias, index_setup, view
from outboxctl.sink.index.named import uuids
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.open import connect, nodes_of


class OpeningSink:
    """The sink of the settings; options as those of `outboxctl.sink.transport.open.connect`.

    Raises UsageError at once for settings that no client can be made of: with the first batch it would cost
    that batch its attempts. Where the sink refuses the login, secrets that came from files are read again,
    and AWS credentials from wherever they are: whoever changes a password need not start a worker again.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        connections: int,
        timeout: float | None = None,
        say: Callable[[str], object] = lambda _: None,
    ) -> None:
        nodes_of(settings)
        self._settings = settings
        self._open = partial(connect, connections=connections, timeout=timeout, say=say)
        self._lock = threading.Lock()  # the first thread that needs the sink opens it for all
        self._client: Client | None = None
        self._sinks: dict[IndexSink, Sink] = {}

    def ping(self) -> Classification | None:
        """None if the sink answers and the index is there, else what is wrong."""
        finding = ElasticSink(self.client(), self._settings.elastic_index).ping()
        self.renew(finding)
        return finding

    def renew(self, finding: Classification | None) -> None:
        """Read the secrets again where the login is refused."""
        if finding and finding.reason is Reason.AUTH:
            with self._lock:
                fresh = self._settings.renewed()
                if fresh is not self._settings or fresh.aws_service:
                    self._settings, self._client, self._sinks = fresh, None, {}

    def of(self, part: "IndexSink") -> Sink:
        """The sink of one index, which remembers what it has met."""
        client = self.client()
        with self._lock:
            if part not in self._sinks:
                self._sinks[part] = sink_for(client, part.index, pipeline=part.pipeline, routing=part.routing)
            return self._sinks[part]

    def client(self) -> Client:
        """The client, opened by now."""
        with self._lock:
            self._client = self._client or self._open(self._settings)
            return self._client


@dataclass(frozen=True)
class IndexSink:
    """The part of a sink that is one index or alias."""

    sink: OpeningSink
    index: str
    pipeline: str = ""
    routing: Routing = Routing.NONE

    def deliver(self, actions: Sequence[BulkAction], *, deadline: Deadline) -> Delivery:
        """As `ElasticSink.deliver`."""
        delivery = self.sink.of(self).deliver(actions, deadline=deadline)
        self.sink.renew(delivery.findings[0] if delivery.findings else None)  # a refused login is that of all
        return delivery

    def ids(self, place: Place | None, size: int) -> tuple[list[str], Place | None]:
        """As `sink.index.view.ids`."""
        return view.ids(self.sink.client(), self.index, place, size)

    def holds(self, seconds: float) -> str:
        """As `sink.index.named.uuids`."""
        return uuids(self.sink.client(), self.index, seconds)

    def make(self, body: str, projection: str) -> str:
        """As `MadeSink.make`; an index that is there, and not this projection's, is not used."""
        whole, client = json.loads(body), self.sink.client()
        try:
            index_setup.ensure(client, self.index, **whole)
            own = self.index in alias.written(client, self.index, projection)
        except OutboxctlError as error:
            return str(error)
        return "" if own else f"it is there, and does not say that it is one of {projection}"


def sink_of(sink: OpeningSink, projection: Projection) -> IndexedSink:
    """The part of a sink that is a projection's: its index, or each that a column of it chooses."""

    def one(name: str) -> IndexSink:
        return IndexSink(sink, name, projection.pipeline, projection.routed)

    def aliases() -> set[str]:
        return alias.written(sink.client(), projection.everywhere, projection.name)

    return PartedSink(projection.everywhere, one, aliases) if projection.parted else one(projection.index)
