"""The cluster: whether indexes make themselves, and what this user may do with an index."""

from dataclasses import dataclass

from outboxctl.domain.failures import Answer
from outboxctl.sink.roles import GRANTS, READS
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.request import ask, refused, require_answer


def auto_create_index(client: Client) -> str:
    """`action.auto_create_index` as the server has it. Raises RefusedError or UnreachableError."""
    settings = require_answer(
        client, "GET", "_cluster", "settings", include_defaults=True, filter_path="*.action.auto_create_index"
    )
    for level in ("transient", "persistent", "defaults"):
        if value := settings.get(level, {}).get("action", {}).get("auto_create_index"):
            return str(value)
    return "true"


OPERATOR = ("manage",)
# Security is off, or the product has none: then there is no such API, and nothing is lacking.
NO_SUCH_API = frozenset({400, 404, 405})


@dataclass(frozen=True)
class SinkRights:
    """Privileges on `index` that are lacking, by what they are for."""

    index: str
    worker: list[str]
    reader: list[str]
    operator: list[str]


def rights(client: Client, index: str, *, projected: bool = False) -> SinkRights:
    """Ask the security API; `projected`: for the index of a projection, whose documents a worker lists.

    Raises RefusedError or UnreachableError.
    """
    (grant,) = [each for each in GRANTS if each.role == "worker"]
    worker = (*grant.index, *grant.projected) if projected else grant.index
    reader = [privilege for privilege in READS if privilege not in worker]
    lacking = set(_lacking(client, index, (*worker, *reader, *OPERATOR)))
    return SinkRights(index, *([p for p in some if p in lacking] for some in (worker, reader, OPERATOR)))


def _lacking(client: Client, name: str, privileges: tuple[str, ...]) -> list[str]:
    wanted = [{"names": [name], "privileges": list(privileges)}]
    answer = ask(client, "POST", "_security", "user", "_has_privileges", body={"index": wanted})
    if isinstance(answer, Answer):
        if answer.status not in NO_SUCH_API:
            raise refused(answer)
        return []
    held = answer.get("index", {}).get(name, {})
    return [p for p in privileges if held.get(p) is False]
