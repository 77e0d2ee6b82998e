"""Reading the document of one event that was claimed without it: the claim with it has failed."""

from outboxctl.core.database import Database
from outboxctl.core.delivery.claim import Claimed
from outboxctl.core.documents import source_rows
from outboxctl.domain.clock import Deadline
from outboxctl.domain.errors import CutOffError, LimitError
from outboxctl.domain.failures import Classification, Reason, Verdict
from outboxctl.domain.printable import brief
from outboxctl.worker.prepare import UNSENT


def read(database: Database, event: Claimed, *, deadline: Deadline) -> tuple[Claimed, Classification]:
    """The event with its document; where that cannot be read, the event as it is, and its finding.

    A document beyond a limit of the server fails. One that takes longer than until `deadline` is retried,
    and its attempt counts: at another time the server may be faster.
    """
    entity_type, _, entity_id = event.document_id.rpartition(":")
    seconds = deadline.seconds_left()
    if seconds <= 0:  # the claim itself was slow, the document may be small
        return event, UNSENT
    try:
        with database.begin() as connection:
            row = source_rows.one(connection, (entity_type, entity_id), seconds=seconds)
    except LimitError as error:
        return event, _bad(Verdict.FAIL, str(error))
    except CutOffError as error:
        return event, _bad(Verdict.RETRY, str(error))
    if deadline.seconds_left() <= 0:
        return event, _bad(Verdict.RETRY, "it takes longer than the lease (OUTBOX_LEASE_SECONDS) allows")
    return event._replace(source_version=row.version, document=row.document), UNSENT


def _bad(verdict: Verdict, why: str) -> Classification:
    text = brief(f"the document cannot be read from its source row: {why}")
    return Classification(verdict, Reason.BAD_DOCUMENT, error=text)
