"""What an index is: the one look at a name, for deliveries, operations and examinations alike."""

import re
from dataclasses import dataclass, field
from typing import Any

from outboxctl.domain.errors import UsageError
from outboxctl.domain.failures import Answer
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.reply import NOT_FOUND
from outboxctl.sink.transport.request import ask, failure

Json = dict[str, Any]
WINDOW = 10_000  # the engine's default
BLOCKS = ("write", "read_only", "read_only_allow_delete")
PIPELINES, NO_PIPELINE = ("default_pipeline", "final_pipeline"), "_none"  # as the engine calls none
DURATION = re.compile(r"(-?\d+(?:\.\d+)?)(d|h|m|s|ms|micros|nanos)?")
UNITS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "micros": 1e-6, "nanos": 1e-9}


@dataclass(frozen=True)
class Index:
    """A concrete index as the engine describes it."""

    name: str
    aliases: Json = field(default_factory=dict)  # its own, each with filter and routing
    settings: Json = field(default_factory=dict)  # by flat names
    mapping: Json = field(default_factory=dict)
    stream: str = ""  # the data stream that it is a part of

    def setting(self, name: str, default: Any = "") -> str:
        """`index.NAME` as the engine writes it."""
        return str(self.settings.get(f"index.{name}", default))

    @property
    def uuid(self) -> str:
        """Another one for each index that was ever created."""
        return str(self.settings["index.uuid"])

    @property
    def shards(self) -> int:
        """Its primary shards."""
        return int(self.settings["index.number_of_shards"])

    @property
    def partitioned(self) -> bool:
        """Whether an id has several shards."""
        return int(self.setting("routing_partition_size", 1)) > 1

    @property
    def window(self) -> int:
        """Hits that one search may ask for."""
        return int(self.setting("max_result_window", WINDOW))

    @property
    def wanted_copies(self) -> int:
        """Active copies of a shard without which it takes no write."""
        wanted = self.setting("write.wait_for_active_shards", 1)
        return 1 + int(self.setting("number_of_replicas", 0)) if wanted == "all" else int(wanted)

    @property
    def blocks(self) -> list[str]:
        """The names of the settings that refuse writes."""
        return [block for block in BLOCKS if self.setting(f"blocks.{block}") == "true"]

    @property
    def closed(self) -> bool:
        """Whether it takes no request for documents."""
        return self.setting("verified_before_close") == "true"

    @property
    def pipelines(self) -> dict[str, str]:
        """The ingest pipelines that every document passes, by the setting that names each."""
        names = {setting: self.setting(setting, NO_PIPELINE) for setting in PIPELINES}
        return {setting: name for setting, name in names.items() if name != NO_PIPELINE}

    @property
    def no_content(self) -> str | None:
        """Why `_source` is not what was sent, None if it is.

        Synthetic sources are made again from the fields: dates and numbers may come back in another form.
        """
        source = self.mapping.get("_source", {})
        mode = source.get("mode") or self.setting("mapping.source.mode", "stored")
        if mode == "synthetic" or self.setting("mode") in {"logsdb", "time_series"}:
            return "its _source is synthetic"
        if mode == "disabled" or str(source.get("enabled", True)).lower() == "false":
            return "its _source is disabled"
        return "its _source leaves fields out" if source.get("includes") or source.get("excludes") else None


@dataclass(frozen=True)
class Named:
    """What a name stands for: nothing, an index, or (`alias`) the indexes behind an alias."""

    name: str
    indexes: list[Index] = field(default_factory=list)

    @property
    def alias(self) -> bool:
        """Whether the name is an alias."""
        return bool(self.indexes) and not self.concrete

    @property
    def concrete(self) -> bool:
        """Whether the name is that of the index itself."""
        return self.index == self.name

    @property
    def first(self) -> Index:
        """The only index, where there is one; without name, settings and mapping where there is none."""
        return self.indexes[0] if self.indexes else Index("")

    @property
    def index(self) -> str | None:
        """Its name; None where there is none."""
        return self.first.name or None

    @property
    def writes_to(self) -> Index | None:
        """Where writes go: the index of an alias that says so, else the only one unless that says no."""
        if self.concrete:
            return self.first
        flags = [each.aliases.get(self.name, {}).get("is_write_index") for each in self.indexes]
        chosen = [each for each, flag in zip(self.indexes, flags, strict=True) if flag]
        return next(iter(chosen or (self.indexes if flags == [None] else [])), None)


def described(client: Client, name: str, **options: Any) -> Named | Answer:
    """What the engine says of a name, by options as of `ask`; an Answer for one that is not there, too.

    With `local=True` a node answers from its own copy of the cluster's state: its leader may hang.
    """
    answer = ask(client, "GET", name, flat_settings=True, **options)
    if isinstance(answer, Answer):
        return answer
    return Named(
        name,
        [
            Index(
                index,
                about.get("aliases", {}),
                about.get("settings", {}),
                about.get("mappings", {}),
                str(about.get("data_stream", "")),
            )
            for index, about in sorted(answer.items())
        ],
    )


def uuids(client: Client, name: str, seconds: float) -> str:
    """The uuids of the indexes that a name leads to; empty where they are not known now."""
    found = described(client, name, seconds=seconds, filter_path="*.settings")
    return "" if isinstance(found, Answer) else ",".join(each.uuid for each in found.indexes)


def look(client: Client, name: str) -> Named:
    """The same, without indexes where there are none. Raises as `request`."""
    found = described(client, name, local=True)
    if not isinstance(found, Answer):
        return found
    if found.status == NOT_FOUND:
        return Named(name)
    raise failure(found)


def look_for_one(client: Client, name: str, *, besides: str | None = None) -> Named:
    """The same for a name that stands for one index at most, `besides` put aside; else UsageError."""
    indexes = [each for each in look(client, name).indexes if each.name != besides]
    if len(indexes) > 1:
        listed = ", ".join(each.name for each in indexes)[:300]
        raise UsageError(
            f"{name} leads to {len(indexes)} indexes: {listed}",
            hint="name one: `outboxctl --elastic-index NAME …`, or take the others out of the alias",
        )
    if any(each.stream for each in indexes):
        raise UsageError(f"{name} is a data stream: it takes no updates", hint="use an index behind an alias")
    return Named(name, indexes)


def one(client: Client, name: str) -> Index:
    """The one index of this name or behind it. Raises as `look_for_one`, and UnreachableError for none."""
    found = look_for_one(client, name)
    if not found.indexes:
        raise failure(Answer(NOT_FOUND, "index_not_found_exception", f"no such index [{name}]", request=True))
    return found.first


def seconds(text: str) -> float | None:
    """A duration as the server writes it (`1h`, `500ms`, `-1`) in seconds; None for anything else."""
    match = DURATION.fullmatch(text.strip())
    return float(match[1]) * UNITS[match[2] or "ms"] if match else None
