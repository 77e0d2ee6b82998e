"""The index: what stands behind its name, and how each index there is set and mapped."""

import re
from dataclasses import dataclass, field
from typing import Any

from outboxctl.sink.inspect.copies import Copies, copies
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.reply import NOT_FOUND
from outboxctl.sink.transport.request import request

DURATION = re.compile(r"(-?\d+(?:\.\d+)?)(d|h|m|s|ms|micros|nanos)?")
UNITS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "micros": 1e-6, "nanos": 1e-9}
PIPELINES, NO_PIPELINE = ("default_pipeline", "final_pipeline"), "_none"  # as the engine calls none
DEFAULT_GC_DELETES = 60.0  # seconds, of the engine


@dataclass(frozen=True)
class IndexFacts:
    """One index. Durations in seconds; `refresh` is None where the engine's default is left alone.

    `blocks` are the names of the settings that refuse writes. `mapping` is as the server shows it.
    `pipelines` are the ingest pipelines that every document passes, by the setting that names each.
    `wanted_copies`: active copies of a shard without which it takes no write.
    """

    name: str
    gc_deletes: float
    refresh: float | None
    replicas: int
    durability: str
    blocks: list[str]
    closed: bool
    mapping: dict[str, Any]
    pipelines: dict[str, str]
    wanted_copies: int = 1


@dataclass(frozen=True)
class Named:
    """What a name of an index stands for: nothing, an index (`alias` False), or an alias of `indexes`.

    `writes_to` is where writes go, None where they are refused. `health`: green, yellow or red.
    `data_nodes`: of the whole cluster. `copies` of the shards, by index.
    """

    name: str
    alias: bool
    indexes: list[IndexFacts]
    writes_to: IndexFacts | None
    health: str
    data_nodes: int
    copies: dict[str, Copies] = field(default_factory=dict)


def named(client: Client, name: str) -> Named:
    """Look the name up. Raises as `request`."""
    answer = request(client, "GET", name, absent=(NOT_FOUND,), flat_settings=True, local=True)
    if answer is None:
        return Named(name, alias=False, indexes=[], writes_to=None, health="red", data_nodes=0)
    alias = name not in answer
    indexes = [_index(each, facts) for each, facts in sorted(answer.items())]
    written = writers(name, answer) if alias else [name]
    writes_to = next((each for each in indexes if [each.name] == written), None)
    health = request(client, "GET", "_cluster", "health", name, level="shards")
    nodes = int(health.get("number_of_data_nodes", 1))
    shards = {each: copies(client, each, facts) for each, facts in health.get("indices", {}).items()}
    return Named(name, alias, indexes, writes_to, str(health.get("status")), nodes, shards)


def writers(name: str, held: dict[str, Any]) -> list[str]:
    """The index that an alias writes to, of those that it names: the one that says so, else the only one.

    None where that one says no.
    """
    flags = {each: facts["aliases"].get(name, {}).get("is_write_index") for each, facts in held.items()}
    chosen = [each for each, flag in flags.items() if flag]
    return chosen or [each for each, flag in flags.items() if flag is None and len(flags) == 1]


def _index(name: str, facts: dict[str, Any]) -> IndexFacts:
    settings = facts.get("settings", {})
    refresh = settings.get("index.refresh_interval")
    blocks = ("write", "read_only", "read_only_allow_delete")
    return IndexFacts(
        name,
        seconds(settings.get("index.gc_deletes", "")) or DEFAULT_GC_DELETES,
        None if refresh is None else seconds(refresh),
        int(settings.get("index.number_of_replicas", 0)),
        str(settings.get("index.translog.durability", "request")).lower(),
        [block for block in blocks if settings.get(f"index.blocks.{block}") == "true"],
        settings.get("index.verified_before_close") == "true",
        facts.get("mappings", {}),
        _pipelines(settings),
        _wanted_copies(settings),
    )


def _wanted_copies(settings: dict[str, Any]) -> int:
    wanted = str(settings.get("index.write.wait_for_active_shards", 1))
    replicas = int(settings.get("index.number_of_replicas", 0))
    return 1 + replicas if wanted == "all" else int(wanted)


def _pipelines(settings: dict[str, Any]) -> dict[str, str]:
    names = {setting: str(settings.get(f"index.{setting}", NO_PIPELINE)) for setting in PIPELINES}
    return {setting: name for setting, name in names.items() if name != NO_PIPELINE}


def seconds(text: str) -> float | None:
    """A duration as the server writes it (`1h`, `500ms`, `-1`) in seconds; None for anything else."""
    match = DURATION.fullmatch(text.strip())
    return float(match[1]) * UNITS[match[2] or "ms"] if match else None
