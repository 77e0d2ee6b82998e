"""Names of indexes and aliases that lead to one index."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from outboxctl.domain.failures import Answer
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.request import ask, require_accepted

AT_ONCE = 15  # names in a request: an engine takes a first line of 4,096 bytes


def leads_to(client: Client, names: Collection[str]) -> dict[str, set[str]]:
    """The indexes behind each of these names, if any; raises as require_accepted."""
    found: dict[str, set[str]] = {name: set() for name in names}
    for some in _parts(sorted(found)):
        for index, body in _bodies(client, some).items():
            for name in {index, *body.get("aliases", {})} & found.keys():
                found[name].add(index)
    return found


def _bodies(client: Client, names: Sequence[str]) -> Mapping[str, Any]:
    """What is there. An engine may answer 404 all the same where one of the names is not, or is an alias."""
    answer = ask(client, "GET", ",".join(names), "_alias", ignore_unavailable=True)
    if not isinstance(answer, Answer):
        return dict(answer)
    if answer.status != HTTPStatus.NOT_FOUND:
        return dict(require_accepted(client, "GET", ",".join(names), "_alias", ignore_unavailable=True))
    there = [name for name in names if require_accepted(client, "HEAD", name, local=True)]
    bodies = (require_accepted(client, "GET", name, local=True).items() for name in there)
    return {index: body for each in bodies for index, body in each}


def meeting(behind: Mapping[str, set[str]], name: str) -> Iterator[tuple[str, str]]:
    """Another of the names and an index, for each index that both lead to."""
    for other in sorted(behind.keys() - {name}):
        yield from ((other, index) for index in sorted(behind[name] & behind[other]))


def _parts(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), AT_ONCE):
        yield names[start : start + AT_ONCE]
