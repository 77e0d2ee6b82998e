"""From claimed events to what is sent: pure, no I/O.

The document follows the source row, not the event: an event only says that the row changed, and the row
that was read after the claim is sent. So a late, duplicated or replayed event is harmless.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import le
from types import MappingProxyType
from typing import Any

from outboxctl.core.delivery.claim import Claimed
from outboxctl.core.delivery.deletes import DeliveredDelete
from outboxctl.core.produce import MAX_VERSION
from outboxctl.domain.failures import DONE, Classification, Noop, Reason, Verdict
from outboxctl.domain.lifecycle import OPS, PROJECTION
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import MAX_ID_BYTES, Projection
from outboxctl.sink.delivery.bulk import BulkAction, as_action

PART = "+"  # in the id of a part of an event
# Not sent: the time was over before, or the document had no room in the batch. The attempt is given back.
UNSENT = Classification(Verdict.RETRY, Reason.TIMEOUT, error="not sent", unsent=True)


@dataclass
class Prepared:
    """Events `decided` without the sink, and for each entity its newest event and the action to send.

    `newest` and `actions` are in the same order. `coalesced` are the entities' other events. `aliases` are
    the indexes of events, where a column chooses these: there a document may have an entity in each.
    """

    decided: list[tuple[Claimed, Classification]] = field(default_factory=list)
    actions: list[BulkAction] = field(default_factory=list)
    newest: list[Claimed] = field(default_factory=list)
    coalesced: list[Claimed] = field(default_factory=list)
    aliases: Mapping[str, str] = field(default_factory=dict)

    def entity(self, event: Claimed) -> tuple[str, str]:
        """Which document of which index."""
        return event.document_id, self.aliases.get(event.id, "")


def prepare(batch: Sequence[Claimed], aliases: Mapping[str, str] = MappingProxyType({})) -> Prepared:
    """Decide what can be decided without the sink; several events of one entity are sent once."""
    if batch and not aliases and _are_writes(*zip(*batch, strict=True)):  # the hot path
        return Prepared(actions=[as_action((e[1], e[5], e[6], "", "")) for e in batch], newest=[*batch])
    prepared = Prepared(aliases=aliases)
    newest: dict[tuple[str, str], Claimed] = {}
    for event in batch:
        if finding := _refusal(event) or _invisible(event):
            prepared.decided.append((event, finding))
        elif (first := newest.setdefault(prepared.entity(event), event)) is not event:
            older, newer = sorted((event, first), key=lambda each: each.event_version or 0)
            newest[prepared.entity(event)] = newer  # all have the document of one read
            prepared.coalesced.append(older)
    prepared.newest = list(newest.values())
    prepared.actions = [_action(event)._replace(alias=alias) for (_, alias), event in newest.items()]
    return prepared


def judge(
    prepared: Prepared, findings: Sequence[Classification | None]
) -> list[tuple[Claimed, Classification]]:
    """Every event of the batch with its finding; coalesced events get that of their entity."""
    judged = [
        (event, finding if finding is DONE and event.document is not None else _own(event, finding or UNSENT))
        for event, finding in zip(prepared.newest, findings, strict=True)
    ]
    return prepared.decided + judged + _coalesced(prepared, findings)


def deleted(
    prepared: Prepared,
    findings: Sequence[Classification | None],
    claimed: Sequence[Claimed],
    projection: Projection | None = None,
) -> dict[str, DeliveredDelete]:
    """Return the deletes that the index has answered, by event id, except those that met a newer version.

    `claimed` are the events before they were read: they have whole keys, of which an `_id` may have a hash.
    """
    found = {
        event.id: action
        for event, action, finding in zip(prepared.newest, prepared.actions, findings, strict=True)
        if action.document is None and finding and finding.verdict is Verdict.DONE
        if finding.noop is not Noop.SUPERSEDED
    }
    name, prefix = (projection.name, projection.id_prefix) if projection else (PROJECTION, "")
    ids = {event.id: prefix + event.document_id for event in claimed} if found else {}
    return {
        id_: DeliveredDelete(name, ids[id_.partition(PART)[0]], action.version, action.alias)
        for id_, action in found.items()
    }


def _coalesced(
    prepared: Prepared, findings: Sequence[Classification | None]
) -> list[tuple[Claimed, Classification]]:
    if not prepared.coalesced:
        return []
    done = Classification(Verdict.DONE, noop=Noop.COALESCED)
    sent = zip(prepared.actions, findings, strict=True)
    by_entity = {(action.id, action.alias): finding or UNSENT for action, finding in sent}
    pairs = [(event, by_entity[prepared.entity(event)]) for event in prepared.coalesced]
    return [(event, done if finding.verdict is Verdict.DONE else finding) for event, finding in pairs]


def _own(event: Claimed, finding: Classification) -> Classification:
    gone = event.op == "upsert" and event.document is None
    if gone and finding.verdict is Verdict.DONE and finding.noop is not Noop.SUPERSEDED:
        return Classification(Verdict.DONE, noop=Noop.SOURCE_MISSING)
    return finding


def _action(newest: Claimed) -> BulkAction:
    if newest.document is not None and newest.source_version is not None:
        return BulkAction(newest.document_id, newest.source_version, newest.document)
    return BulkAction(newest.document_id, newest.event_version or 0, None)


def _are_writes(
    _: object,
    ids: Sequence[str],
    ops: Sequence[str],
    versions: Sequence[Any],
    _attempts: object,
    sources: Sequence[Any],
    documents: Sequence[str | None],
    _follow: object,
) -> bool:
    """Whether all events of a batch, by column, are ordinary, each of another document that is there."""
    if None in documents or None in versions or None in sources:
        return False
    return (
        len({*ids}) == len(ids)
        and {*ops}.issubset(OPS)
        and all(map(str.isascii, ids))
        and max(map(len, ids)) <= MAX_ID_BYTES
        and all(map(le, versions, sources))
        and min(versions) >= 0
        and max(sources) <= MAX_VERSION
    )


def _refusal(event: Claimed) -> Classification | None:
    if event.op not in OPS:
        return never(f"ValueError: Unknown outbox op: {event.op!r}")
    if not _in_range(event.event_version):
        return never(f"event_version is not in 0..2^63-1: {event.event_version}")
    if event.document is not None and not _in_range(event.source_version):
        return never(f"the source row's event_version is not in 0..2^63-1: {event.source_version}")
    if len(event.document_id.encode()) > MAX_ID_BYTES:
        return never(f"the document id is over {MAX_ID_BYTES} bytes: {event.document_id}")
    return None


def _in_range(version: int | None) -> bool:
    return version is not None and 0 <= version <= MAX_VERSION


def never(text: str) -> Classification:
    """What cannot be delivered, as the event itself says."""
    return Classification(Verdict.FAIL, Reason.DETERMINISTIC_EXCEPTION, error=brief(text), unsent=True)


def _invisible(event: Claimed) -> Classification | None:
    if event.source_version is None or event.event_version is None or event.document is None:
        return None
    if event.source_version >= event.event_version:
        return None
    text = f"the source row is at version {event.source_version}, the event at {event.event_version}"
    return Classification(Verdict.RETRY, Reason.SOURCE_NOT_VISIBLE, error=text, unsent=True)
