"""Names of indexes and aliases that lead to one index."""

from collections.abc import Collection, Iterator, Mapping

from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.reply import NOT_FOUND
from outboxctl.sink.transport.request import request

FORBIDDEN = 403


def leads_to(client: Client, names: Collection[str]) -> dict[str, set[str]]:
    """The indexes behind each of these names; none for one that is not there, or not this login's.

    Raises as `request`.
    """
    return {name: _behind(client, name) for name in names}


def meeting(behind: Mapping[str, set[str]], name: str) -> Iterator[tuple[str, str]]:
    """Another of the names and an index, for each index that both lead to."""
    for other in sorted(behind.keys() - {name}):
        yield from ((other, index) for index in sorted(behind.get(name, set()) & behind[other]))


def _behind(client: Client, name: str) -> set[str]:
    return set(request(client, "GET", name, "_alias", absent=(FORBIDDEN, NOT_FOUND)) or ())
