"""The write block of an index, set and lifted."""

from contextlib import closing

from outboxctl.domain.errors import UsageError
from outboxctl.drills.faults.ledger import undone_by
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
            raise UsageError(f"{index} is blocked already", hint="see `outboxctl chaos list`")
    facts = _facts(settings, index) | {"block": name}
    why = " (as if a disk were full)" if name == blocks.DISK else ""
    fault = Fault(BLOCKED, f"the index {index} at {facts['sink']} takes no writes{why}", facts)
    return PlannedFault(fault, lambda: _set(settings, index, name, on=True))


@undone_by(BLOCKED)
def _undo(fault: Fault, settings: Settings, _: Say) -> None:
    index, sink = fault.facts["index"], fault.facts["sink"]
    if (here := _facts(settings, index)["sink"]) != sink:
        raise UsageError(f"it is at {sink}, but ELASTIC_URL is {here}", hint=f"set ELASTIC_URL to {sink}")
    _set(settings, index, fault.facts["block"], on=False)


def _set(settings: Settings, index: str, name: str, *, on: bool) -> None:
    with _client(settings) as client:
        blocks.set_block(client, index, on=on, block=name)


def _facts(settings: Settings, index: str) -> dict[str, str]:
    return {"sink": ",".join(map(without_credentials, settings.sink_urls)), "index": index}


def _client(settings: Settings) -> closing[Client]:
    return closing(connect(settings, connections=1, timeout=10))
