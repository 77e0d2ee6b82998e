"""What this user or API key may do with the index, where the cluster has security."""

from dataclasses import dataclass

from outboxctl.domain.failures import Answer
from outboxctl.sink.inspect.question import refused
from outboxctl.sink.roles import READS, WRITES
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.request import ask

OPERATOR = ("manage",)
# Security is off, or the product has none: then there is no such API, and nothing is lacking.
NO_SUCH_API = frozenset({400, 404, 405})


@dataclass(frozen=True)
class SinkRights:
    """Index privileges that are lacking, by what they are for."""

    worker: list[str]
    reader: list[str]
    operator: list[str]


def rights(client: Client, name: str) -> SinkRights:
    """Ask the security API. Raises RefusedError or UnreachableError."""
    wanted = [{"names": [name], "privileges": [*WRITES, *READS, *OPERATOR]}]
    found = ask(client, "POST", "_security", "user", "_has_privileges", body={"index": wanted})
    if isinstance(found, Answer):
        if found.status not in NO_SUCH_API:
            raise refused(found)
        return SinkRights([], [], [])
    held = found.get("index", {}).get(name, {})
    lacking = [[p for p in some if held.get(p) is False] for some in (WRITES, READS, OPERATOR)]
    return SinkRights(*lacking)
