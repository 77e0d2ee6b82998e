"""What a rebuild, a rollback or a cleanup would do: read, not done."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from outboxctl.core.documents import source_rows
from outboxctl.core.operator import rebuilds
from outboxctl.core.operator.rebuilds import Rebuild, RebuildPhase
from outboxctl.domain.errors import UsageError
from outboxctl.sink.index import alias, lifecycle

if TYPE_CHECKING:
    from outboxctl.core.database import Connection
    from outboxctl.sink.transport.client import Client

Part = dict[str, Any] | None
LONGEST_NAME = 255  # bytes, of an index


@dataclass(frozen=True)
class RebuildPlan:
    """What would be done. `documents` are in the old index, `entities` in the database.

    `under_way`: the interrupted one that goes on. `aliases` move with the index.
    """

    action: str
    alias: str
    old_index: str | None
    new_index: str
    concrete: bool
    documents: int | None
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
    connection: "Connection",
    client: "Client",
    name: str,
    *,
    mappings: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
) -> RebuildPlan:
    """A new index for `name`, or the interrupted rebuild that goes on.

    `mappings` and `settings` change what is kept of the old index. UsageError if `name` is not one
    index, or if they are given to a rebuild whose index is there already.
    """
    open_row = rebuilds.active_rebuild(connection, name)
    home = alias.look(client, name, besides=open_row.unfinished if open_row else None)
    entities = source_rows.count(connection)
    if open_row:
        if _other(open_row, mappings, settings):
            raise UsageError(
                f"a rebuild of {name} was interrupted: its new index has its mapping already",
                hint="`outboxctl rebuild` goes on with it, `outboxctl rebuild --abort` ends it",
            )
        return _of(open_row, home, entities)
    old_index, new_index = alias.new_names(client, home)
    if len(new_index.encode()) > LONGEST_NAME:
        raise UsageError(f"{new_index} is too long for an index name", hint="choose a shorter ELASTIC_INDEX")
    body = lifecycle.body(home, mappings, settings)
    names = sorted(home.aliases)
    return RebuildPlan(
        "rebuild", name, old_index, new_index, home.concrete, home.documents, entities, names, body=body
    )


def plan_rollback(connection: "Connection", client: "Client", name: str) -> RebuildPlan:
    """Back to the index that is kept, or the interrupted rollback that goes on.

    UsageError if there is none, or a rebuild is under way.
    """
    open_row = rebuilds.active_rebuild(connection, name)
    if open_row and open_row.action == "rollback":
        return _of(open_row, alias.look(client, name), source_rows.count(connection))
    if open_row:
        raise UsageError(
            f"a rebuild of {name} is under way: it is not rolled back but ended",
            hint="`outboxctl rebuild --abort`, or `outboxctl rebuild` to go on with it",
        )
    home, last = alias.look(client, name), last_done(connection, name)
    if last is None or last.kept_index is None or home.index != last.new_index:
        raise UsageError(f"there is no kept index to which {name} could be rolled back")
    kept = alias.look(client, last.kept_index)
    if kept.index is None:
        raise UsageError(f"{last.kept_index}, which was kept, is not there any more")
    names = sorted(home.aliases)
    entities = source_rows.count(connection)
    return RebuildPlan("rollback", name, home.index, kept.index, False, home.documents, entities, names)


def last_done(connection: "Connection", name: str) -> Rebuild | None:
    """The rebuild or rollback that made the index in use."""
    rows = rebuilds.recent(connection, name, limit=100)
    return next((row for row in rows if row.phase == RebuildPhase.DONE), None)


def _other(row: Rebuild, mappings: Part, settings: Part) -> bool:
    """Whether another body is asked for than that of the interrupted one."""
    if row.action != "rebuild":
        return bool(mappings or settings)
    asked = lifecycle.flat(settings or {})
    return (mappings is not None and mappings != row.body["mappings"]) or asked != {
        name: row.body["settings"].get(name) for name in asked
    }


def _of(row: Rebuild, home: alias.Home, entities: int) -> RebuildPlan:
    names = sorted(home.aliases)
    return RebuildPlan(
        row.action,
        row.alias,
        row.old_index,
        row.new_index,
        row.concrete,
        home.documents,
        entities,
        names,
        row,
    )
