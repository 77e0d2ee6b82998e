"""A write block of one index: `index.blocks.write`, or that of a full disk; no other block is touched."""

from outboxctl.domain.errors import RefusedError, UnreachableError, UsageError
from outboxctl.domain.failures import Answer
from outboxctl.sink.inspect.indices import named
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.reply import NOT_FOUND
from outboxctl.sink.transport.request import HINT, ask, demand, failure

WRITE, DISK = "write", "read_only_allow_delete"  # the engine sets the second where a disk is full


def write_index(client: Client, name: str) -> str:
    """The index that writes to `name` go to. UsageError where there is none, UnreachableError."""
    try:
        answer = named(client, name)
    except (RefusedError, UnreachableError) as error:
        raise UnreachableError(f"the index {name} cannot be looked at: {error}", hint=HINT) from error
    if answer.writes_to is None:
        raise UsageError(f"{name} names no index that takes writes", hint="`outboxctl doctor` tells why")
    return answer.writes_to.name


def blocked(client: Client, index: str, block: str = WRITE) -> bool:
    """Whether writes are blocked by this very setting."""
    answer = demand(client, "GET", index, "_settings", flat_settings=True, local=True)
    return any(facts["settings"].get(f"index.blocks.{block}") == "true" for facts in answer.values())


def set_block(client: Client, index: str, *, on: bool, block: str = WRITE) -> None:
    """Set or lift it, and look that it is so; an index that is gone needs no lifting."""
    setting = {f"index.blocks.{block}": True if on else None}
    answer = ask(client, "PUT", index, "_settings", body=setting)
    if isinstance(answer, Answer):
        if answer.status == NOT_FOUND and not on:
            return
        raise failure(client, answer)
    if blocked(client, index, block) is not on:
        raise UnreachableError(f"the sink took the setting of {index} and did not keep it")
