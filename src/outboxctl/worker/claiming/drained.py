"""When a drain is over: once nothing is left that can be sent."""

from outboxctl.core.projections import in_force
from outboxctl.core.schema.names import SOURCE
from outboxctl.core.stats import snapshot
from outboxctl.domain.errors import UnreachableError
from outboxctl.worker.context import WorkerContext
from outboxctl.worker.flow.control import FlowControl


class Drained:
    """What a lane that could claim nothing asks, at the database; any thread may.

    UnreachableError where events are due that cannot be sent, and no batch in progress may change that.
    """

    def __init__(self, context: WorkerContext, flow: FlowControl) -> None:
        self._settings, self._database = context.settings, context.database
        self._in_flight, self._flow = context.in_flight, flow

    def none_left(self) -> bool:
        """Whether a claim that found nothing was the last one. UnreachableError as the class says."""
        self._refuse_held()
        if not (out := self._flow.out()):
            return True
        with self._database.begin() as connection:
            due = sorted(name for name in out if snapshot.due_of(connection, name))
        for name in [] if self._in_flight.leases() else due:
            if why := out[name]:
                waiting = f"events of {name or SOURCE} are due, and none can be sent"
                raise UnreachableError(why, hint=waiting)
        return not due

    def nothing_due(self) -> bool:
        """Whether nothing is due while nothing may be claimed. UnreachableError as the class says."""
        self._refuse_held()
        return not self.anything_due()

    def anything_due(self) -> bool:
        """Whether an event of any projection is due."""
        with self._database.begin() as connection:
            return snapshot.anything_due(connection)

    def _refuse_held(self) -> None:
        """UnreachableError where the sink is away, and events wait for it that an outage holds.

        Where only declared projections hold, their events that were tried have a retry: they wait as well.
        """
        reason = self._flow.why_away
        if reason is None or self._in_flight.leases():
            return
        with self._database.begin() as connection:
            names = ["", *(projection.name for projection in in_force.declared(connection))]
            holding, held = filter(self._settings.holds, names), None if self._flow.holds else str(reason)
            due = any(snapshot.due_of(connection, name, held=held) for name in holding)
        if due:
            raise UnreachableError("the sink is unreachable and events are due", hint="check ELASTIC_URL")
