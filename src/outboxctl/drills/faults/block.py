"""The write block of an index, set and lifted."""

from contextlib import contextmanager
from typing import TYPE_CHECKING

from outboxctl.domain.errors import UsageError
from outboxctl.drills.faults.ledger import Ledger, undone_by
from outboxctl.drills.faults.planned import PlannedFault
from outboxctl.drills.faults.records import Fault
from outboxctl.net.urls import without_credentials
from outboxctl.sink.index import block as blocks
from outboxctl.sink.transport.open import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outboxctl.drills.services.model import Say
    from outboxctl.settings import Settings
    from outboxctl.sink.transport.client import Client

BLOCKED = "write-block"


def block(settings: "Settings") -> PlannedFault:
    """The index that ELASTIC_INDEX writes to, blocked. UsageError if there is none, or it is already."""
    with _client(settings) as client:
        index = blocks.write_index(client, settings.elastic_index)
        if blocks.blocked(client, index):
            raise UsageError(
                f"{index} is blocked already", hint="`outboxctl chaos unblock` lifts our own block"
            )
    where = _where(settings)
    fault = Fault(BLOCKED, f"the index {index} at {where} takes no writes", {"sink": where, "index": index})
    return PlannedFault(fault, lambda: _set(settings, index, on=True))


def unblock(ledger: Ledger, settings: "Settings", *, force: bool) -> tuple[str, list[Fault]]:
    """Lift our own block, or with `force` whosesoever it is; returns the index and what was undone.

    UsageError where the block is not ours.
    """
    with _client(settings) as client:
        index = blocks.write_index(client, settings.elastic_index)
        blocked = blocks.blocked(client, index)
    at = {"sink": _where(settings), "index": index}
    ours = [each for each in ledger.faults() if each.kind == BLOCKED and each.facts == at]
    if blocked and not ours and not force:
        hint = "add --force if you know whose it is; `outboxctl doctor` tells more"
        raise UsageError(f"the write block of {index} is not ours", hint=hint)
    undone = [each for each in ours if ledger.undo(each)]
    if blocked and not undone:
        _set(settings, index, on=False)
    return index, undone


@undone_by(BLOCKED)
def _undo(fault: Fault, settings: "Settings", _: "Say") -> None:
    there, here = fault.facts["sink"], _where(settings)
    if there != here:
        raise UsageError(f"it is at {there}, but ELASTIC_URL is {here}", hint=f"set ELASTIC_URL to {there}")
    _set(settings, fault.facts["index"], on=False)


def _set(settings: "Settings", index: str, *, on: bool) -> None:
    with _client(settings) as client:
        blocks.set_block(client, index, on=on)


def _where(settings: "Settings") -> str:
    return ",".join(map(without_credentials, settings.sink_urls))


@contextmanager
def _client(settings: "Settings") -> "Iterator[Client]":
    client = connect(settings, connections=1, timeout=10)
    try:
        yield client
    finally:
        client.close()
