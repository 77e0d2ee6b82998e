"""What an index must be like to be compared: a single one."""

from dataclasses import dataclass
from typing import Any

from outboxctl.domain.errors import UsageError
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.request import request

WINDOW = 10_000  # the engine's default


@dataclass(frozen=True)
class IndexShape:
    """A concrete index, and what keeps its bodies from being compared.

    `window`: hits that one search may ask for.
    """

    index: str
    uuid: str
    shards: int
    no_content: str | None
    window: int


def shape(client: Client, name: str) -> IndexShape:
    """Look at an index or alias.

    Raises UnreachableError if it is not there, UsageError if an alias stands for several indexes.
    """
    answer = request(client, "GET", name, flat_settings=True, local=True)
    if len(answer) != 1:
        several = ", ".join(sorted(answer)[:5])
        hint = "name one: `outboxctl --elastic-index NAME …`"
        raise UsageError(f"{name} stands for several indexes ({several})", hint=hint)
    ((index, about),) = answer.items()
    mapping, settings = about["mappings"], about["settings"]
    return IndexShape(
        index,
        settings["index.uuid"],
        int(settings["index.number_of_shards"]),
        _no_content(mapping, settings),
        int(settings.get("index.max_result_window", WINDOW)),
    )


def _no_content(mapping: dict[str, Any], settings: dict[str, Any]) -> str | None:
    """Why `_source` is not what was sent, None if it is.

    Synthetic sources are made again from the fields: dates and numbers may come back in another form.
    """
    source = mapping.get("_source", {})
    mode = source.get("mode") or settings.get("index.mapping.source.mode", "stored")
    if mode == "synthetic" or settings.get("index.mode") in {"logsdb", "time_series"}:
        return "its _source is synthetic"
    if mode == "disabled" or str(source.get("enabled", True)).lower() == "false":
        return "its _source is disabled"
    return "its _source leaves fields out" if source.get("includes") or source.get("excludes") else None


def too_deep(what: str) -> UsageError:
    """The error for JSON that is nested deeper than Python goes: nearly a thousand levels."""
    return UsageError(
        f"{what} is nested too deeply to be compared by content",
        hint="compare versions alone: --versions-only",
    )
