"""What the shell offers after Tab: reasons from the table of failures, ids from the database.

An error, and an answer later than PATIENCE, ends in an empty list, silently: the shell waits meanwhile.
The scripts that the shells run evaluate what they are offered, so only plain words are: an entity type
called `$(reboot)` has to be typed by hand.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING

import typer

from outboxctl.cli.guards import reading
from outboxctl.cli.options import settings
from outboxctl.domain.failures import NO_REASON, Reason

if TYPE_CHECKING:
    from outboxctl.settings import Settings

PATIENCE = 0.7  # seconds for the database; loading the command takes a few tenths more
PLAIN = re.compile(r"[\w.@+-]+", re.ASCII)


def reasons(incomplete: str) -> list[str]:
    """Every failure reason, and the word for events without one."""
    return [str(reason) for reason in (*Reason, NO_REASON) if reason.startswith(incomplete)]


def words(incomplete: str) -> list[str]:
    """Every word that `explain` knows."""
    from outboxctl.operations.explain import names

    return [name for some in names().values() for name in some if name.startswith(incomplete)]


def faults(incomplete: str) -> list[str]:
    """Every fault of the proxy."""
    from outboxctl.cli.chaos.proxy_run import KNOWN

    return [name for name in KNOWN if name.startswith(incomplete)]


def _from_database(name: str) -> Callable[[typer.Context, str], list[str]]:
    """What that function of `core.stats.completion` returns within PATIENCE."""

    def offer(ctx: typer.Context, incomplete: str) -> list[str]:
        values: list[str] = []
        with suppress(Exception):
            from outboxctl.core.stats import completion

            read, configured = (
                getattr(completion, name),
                settings(database_url=ctx.params.get("database_url")),
            )
            # A thread that is late dies with the process. It neither loads modules nor reads settings: at the
            # end of the process pydantic's Rust code would print a panic.
            reader = Thread(target=_read, args=(read, configured, incomplete, values), daemon=True)
            reader.start()
            reader.join(PATIENCE)
        return [value for value in values if PLAIN.fullmatch(value)]

    return offer


def _read(read: Callable[..., list[str]], configured: "Settings", incomplete: str, values: list[str]) -> None:
    with suppress(Exception), reading(configured) as connection:
        values += read(connection, incomplete)


failed_ids, entity_types, projections, tables, fingerprints, audit_ids, replays = map(
    _from_database,
    ("failed_ids", "entity_types", "projections", "tables", "fingerprints", "audit_ids", "replays"),
)
