"""What a rebuild or a rollback would do; nothing is changed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

from outboxctl.core.database import Connection
from outboxctl.core.documents.source import DocumentSource
from outboxctl.core.documents.table import TableSource
from outboxctl.core.operator import rebuilds
from outboxctl.core.operator.rebuilds import Rebuild, RebuildPhase
from outboxctl.core.projections.document_sql import require_supported
from outboxctl.core.projections.fields import fields
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import SURROGATE
from outboxctl.domain.projection import Projection
from outboxctl.operations.projection import mapping as mapping_of
from outboxctl.operations.rebuild.source import Part
from outboxctl.sink.engines import DENSE
from outboxctl.sink.index import alias, lifecycle
from outboxctl.sink.index.index_setup import MAPPING
from outboxctl.sink.index.named import Named, look_for_one
from outboxctl.sink.inspect.product import vectors
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.request import must_list

PARTS = {"mappings", "settings"}  # of the body that creates an index
SEARCH_INDEX = (TableSource(),)


@dataclass(frozen=True)
class RebuildPlan:
    """What would be done; `entities` are in the database.

    `under_way`: the interrupted one that goes on. `aliases` move with the index.
    """

    action: str
    alias: str
    old_index: str | None
    new_index: str
    concrete: bool
    entities: int
    aliases: list[str]
    under_way: Rebuild | None = None
    body: dict[str, Any] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """The plan in a few words, for a question."""
        if self.under_way:
            return f"go on with the {self.action} of {self.alias} (phase {self.under_way.phase})"
        if self.action == "rollback":
            return f"roll {self.alias} back from {self.old_index} to {self.new_index}"
        return f"rebuild {self.alias} as {self.new_index} with {self.entities:,} documents"


def plan(
    connection: Connection,
    client: Client,
    name: str,
    *,
    mapping: str | None = None,
    sources: Sequence[DocumentSource] = SEARCH_INDEX,
) -> RebuildPlan:
    """A new index for `name`, or the interrupted rebuild that goes on; `sources` are all that have it.

    `mapping` is `keep`, `default` or a file; None: that of the old index, and of a projection as it is
    declared. Raises UsageError if `name` is not one index, or if the interrupted rebuild has made its index
    with another one, ReadRefusedError for a declaration of a former version.
    """
    for each in sources:
        require_supported(each.projection)
    must_list(client)
    open_row = rebuilds.active_rebuild(connection, name)
    home = look_for_one(client, name, besides=open_row.unfinished if open_row else None)
    entities = sum(each.count(connection) for each in sources)
    usual = "default" if sources[0].projection.name and not open_row else "keep"
    mappings, settings = _chosen(connection, client, mapping or usual, sources)
    if open_row:
        going_on = _going_on(open_row, home, sources, entities)
        if _other(open_row, mappings, settings):
            raise UsageError(
                f"a rebuild of {name} was interrupted: its new index has its mapping already",
                hint="`outboxctl rebuild` goes on with it, `outboxctl index abort` ends it",
            )
        return going_on
    old_index, new_index = alias.new_names(client, home)
    names = ", ".join(each.projection.name for each in sources)
    if names and home.index is None and mappings is None:
        raise UsageError(
            f"the index {name} of the projection {names} is not there, so its mapping is not known",
            hint="leave --mapping keep out",
        )
    body, aliases = lifecycle.body(home, mappings, settings) | _owner(sources), sorted(home.first.aliases)
    return RebuildPlan(
        "rebuild",
        name,
        old_index,
        new_index,
        home.concrete,
        entities,
        aliases,
        body=body,
    )


def _chosen(
    connection: Connection, client: Client, choice: str, sources: Sequence[DocumentSource]
) -> tuple[Part, Part]:
    """The mappings and settings of the new index, None where those of the old index are kept."""
    if choice == "keep":
        return None, None
    if choice != "default":
        return body_of(choice)
    if not sources[0].projection.name:
        return MAPPING, None
    return _declared(connection, client, [each.projection for each in sources])


def _declared(connection: Connection, client: Client, projections: Sequence[Projection]) -> tuple[Part, Part]:
    """The mappings that columns of the views and files of the declarations give, and the files' settings."""
    engine = vectors(client) if any(each.vectors for each in projections) else DENSE
    bodies = [mapping_of.in_force(fields(connection, each.document), each, engine) for each in projections]
    mappings = mapping_of.together(*bodies)["mappings"]
    given = [json.loads(each.mapping or "{}").get("settings", {}) for each in projections]
    needed = mapping_of.vector_settings(mappings["properties"], engine)
    return mappings, needed | reduce(mapping_of.joined, map(lifecycle.flat, given)) or None


def _owner(sources: Sequence[DocumentSource]) -> dict[str, Any]:
    """What the row says of its sources."""
    names, stamps = zip(*((each.projection.name, each.projection.stamp) for each in sources), strict=True)
    return {"projection": ",".join(names), "definition": ",".join(stamps)} if names != ("",) else {}


def _check_sources(row: Rebuild, sources: Sequence[DocumentSource], home: Named) -> None:
    """Raise UsageError where an interrupted rebuild was one of something else, or declared otherwise.

    What is in use already is made right by what is in force.
    """
    begun, names = row.projections, [each.projection.name for each in sources]
    in_use = home.index == row.new_index
    if begun != names and not (in_use and {*begun} & {*names}):
        was = f"of the projection {', '.join(begun)}" if begun != [""] else "of search_index"
        raise UsageError(
            f"the interrupted rebuild of {row.alias} is {was}",
            hint="`outboxctl index abort` ends it",
        )
    if not in_use and row.body.get("definition", "") != _owner(sources).get("definition", ""):
        raise UsageError(
            f"the projection {', '.join(names)} was applied anew since the rebuild of {row.alias}"
            " was interrupted",
            hint="`outboxctl index abort` ends it, then begin another",
        )


def plan_rollback(
    connection: Connection,
    client: Client,
    name: str,
    *,
    sources: Sequence[DocumentSource] = SEARCH_INDEX,
) -> RebuildPlan:
    """Back to the index that is kept, or the interrupted rollback that goes on.

    Raises UsageError if there is none, or a rebuild is under way.
    """
    open_row = rebuilds.active_rebuild(connection, name)
    entities = sum(each.count(connection) for each in sources)
    if open_row and open_row.action == "rollback":
        return _going_on(open_row, look_for_one(client, name), sources, entities)
    if open_row:
        raise UsageError(
            f"a rebuild of {name} is under way: it is not rolled back but ended",
            hint="`outboxctl index abort`, or `outboxctl rebuild` to go on with it",
        )
    must_list(client)
    home, last = look_for_one(client, name), last_done(connection, name)
    if last is None or last.kept_index is None or home.index != last.new_index:
        raise UsageError(f"there is no kept index to which {name} could be rolled back")
    kept = look_for_one(client, last.kept_index)
    if kept.index is None:
        raise UsageError(f"{last.kept_index}, which was kept, is not there any more")
    names = sorted(home.first.aliases)
    facts = (home.index, kept.index, False, entities, names)
    return RebuildPlan("rollback", name, *facts, body=_owner(sources))


def last_done(connection: Connection, name: str) -> Rebuild | None:
    """The rebuild or rollback that made the index in use."""
    rows = rebuilds.recent(connection, name, limit=100)
    return next((row for row in rows if row.phase == RebuildPhase.DONE), None)


def _other(row: Rebuild, mappings: Part, settings: Part) -> bool:
    """Whether these are another body than that of the interrupted rebuild."""
    if row.action != "rebuild":
        return bool(mappings or settings)
    request, body = lifecycle.flat(settings or {}), row.body
    if mappings is not None and mappings != body["mappings"]:
        return True
    return request != {name: body["settings"].get(name) for name in request}


def _going_on(row: Rebuild, home: Named, sources: Sequence[DocumentSource], entities: int) -> RebuildPlan:
    _check_sources(row, sources, home)
    names = (row.action, row.alias, row.old_index, row.new_index, row.concrete)
    return RebuildPlan(*names, entities, sorted(home.first.aliases), row)


def body_of(path: str) -> tuple[Part, Part]:
    """The `mappings` and `settings` of a JSON file that holds one or both, as to create an index.

    Raises UsageError for anything else.
    """
    body = _read(path)
    if not isinstance(body, dict) or not body or body.keys() - PARTS:
        hint = 'it holds {"mappings": {…}, "settings": {…}}, or one of the two'
        raise UsageError(f"--mapping {path}: not the body of an index", hint=hint)
    if not all(isinstance(part, dict) for part in body.values()):
        raise UsageError(f"--mapping {path}: mappings and settings are objects")
    if not isinstance(body.get("mappings", {}).get("_meta", {}), dict):
        raise UsageError(f"--mapping {path}: _meta of mappings is no object")
    return body.get("mappings"), body.get("settings")


def _read(path: str) -> Any:
    try:
        body = json.loads(Path(path).read_text(encoding="utf-8"))
        written = json.dumps(body, ensure_ascii=False, allow_nan=False)
    except OSError as error:
        hint = "give keep, default or the name of a JSON file"
        raise UsageError(f"--mapping {path}: {error.strerror or 'cannot be read'}", hint=hint) from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--mapping {path}: not JSON: {error}") from None
    if "\\u0000" in written or SURROGATE.search(written):
        raise UsageError(f"--mapping {path}: holds a NUL or half a character, which no database keeps")
    return body
