"""Asking shards whether they take writes, by a request without an event."""

from collections.abc import Sequence

from outboxctl.domain.clock import Deadline
from outboxctl.sink.delivery.bisect import Findings
from outboxctl.sink.delivery.bulk import PROBE
from outboxctl.sink.delivery.result import Sink


def probe_shards(sink: Sink, routings: Sequence[str], deadline: Deadline, *, longest: float) -> Findings:
    """The finding of the shard of each routing, in one request; None each where no time is left.

    The request may take `longest` seconds, and no longer than until `deadline`.
    """
    seconds = min(longest, deadline.seconds_left())
    if seconds <= 0:
        return [None] * len(routings)
    probes = [PROBE._replace(routing=routing) for routing in routings]
    return sink.deliver(probes, deadline=Deadline.within(seconds)).findings
