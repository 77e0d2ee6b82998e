"""The write block of an index, set and lifted."""

from contextlib import closing

from outboxctl.domain.errors import UsageError
from outboxctl.drills.faults.ledger import Ledger, undone_by
from outboxctl.drills.faults.records import Fault, PlannedFault
from outboxctl.drills.services.model import Say
from outboxctl.net.urls import without_credentials
from outboxctl.settings import Settings
from outboxctl.sink.index import block as blocks
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.open import connect

BLOCKED = "write-block"


def block(settings: Settings, name: str = blocks.WRITE) -> PlannedFault:
    """The index that ELASTIC_INDEX writes to, blocked by `index.blocks.NAME`.

    UsageError if there is none, or this block already.
    """
    with _client(settings) as client:
        index = blocks.write_index(client, settings.elastic_index)
        if blocks.blocked(client, index, name):
            hint = "`outboxctl chaos unblock` lifts our own block"
            raise UsageError(f"{index} is blocked already", hint=hint)
    facts = _facts(settings, index) | ({} if name == blocks.WRITE else {"block": name})
    why = " (as if a disk were full)" if name == blocks.DISK else ""
    fault = Fault(BLOCKED, f"the index {index} at {facts['sink']} takes no writes{why}", facts)
    return PlannedFault(fault, lambda: _set(settings, index, name, on=True))


def unblock(ledger: Ledger, settings: Settings, *, force: bool) -> tuple[str, list[Fault]]:
    """Lift the blocks of `block`, or with `force` any of `index.blocks.write`.

    Returns the index and what was undone. UsageError for such a block of somebody else without `force`.
    """
    with _client(settings) as client:
        index = blocks.write_index(client, settings.elastic_index)
        blocked = blocks.blocked(client, index)
    recorded = ledger.matching(BLOCKED, _facts(settings, index))
    own = [each for each in recorded if _name(each) == blocks.WRITE]
    if blocked and not own and not force:
        hint = "add --force if you know who set it; `outboxctl doctor` shows more"
        raise UsageError(f"the write block of {index} is not ours", hint=hint)
    undone = [each for each in recorded if ledger.undo(each)]
    if blocked and not any(each in undone for each in own):
        _set(settings, index, blocks.WRITE, on=False)
    return index, undone


@undone_by(BLOCKED)
def _undo(fault: Fault, settings: Settings, _: Say) -> None:
    index, sink = fault.facts["index"], fault.facts["sink"]
    if (here := _facts(settings, index)["sink"]) != sink:
        raise UsageError(f"it is at {sink}, but ELASTIC_URL is {here}", hint=f"set ELASTIC_URL to {sink}")
    _set(settings, index, _name(fault), on=False)


def _name(fault: Fault) -> str:
    return str(fault.facts.get("block", blocks.WRITE))


def _set(settings: Settings, index: str, name: str, *, on: bool) -> None:
    with _client(settings) as client:
        blocks.set_block(client, index, on=on, block=name)


def _facts(settings: Settings, index: str) -> dict[str, str]:
    return {"sink": ",".join(map(without_credentials, settings.sink_urls)), "index": index}


def _client(settings: Settings) -> closing[Client]:
    return closing(connect(settings, connections=1, timeout=10))
