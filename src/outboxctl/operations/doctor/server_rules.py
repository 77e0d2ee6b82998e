"""Rules for the PostgreSQL server and the marker of its database."""

from collections.abc import Iterator

from outboxctl.core.inspect.server import ServerFacts
from outboxctl.operations.doctor.model import ERROR, Case, RuleGroup
from outboxctl.operations.doctor.remedies import export
from outboxctl.settings import Settings, variable_of

OLDEST_POSTGRES = 130_000  # gen_random_uuid() and pg_current_xact_id() are built in from 13 on

SERVER = RuleGroup("server")
MARKER = RuleGroup("environment marker")


@SERVER.rule("postgres-too-old", ERROR)
def too_old(server: ServerFacts, _: Settings) -> Iterator[Case]:
    """The schema and the worker's statements need PostgreSQL 13 or newer."""
    if server.number < OLDEST_POSTGRES:
        yield f"The server is PostgreSQL {server.version}.", "pg_upgrade  # to PostgreSQL 13 or newer"


@SERVER.rule("database-read-only", ERROR)
def read_only(server: ServerFacts, _: Settings) -> Iterator[Case]:
    """Claiming an event writes its row: here no worker can start, and no command can change anything."""
    if server.standby:
        mend = "export DATABASE_URL=…  # name the primary; of several hosts the one that takes writes is used"
        yield "The server is a standby.", mend
    elif server.read_only:
        name = "default_transaction_read_only"
        mend = f"SET {name} = off; {_setting(server, name, 'off')}"
        yield "default_transaction_read_only is on for this database or role.", mend


@SERVER.rule("isolation-level", ERROR)
def isolation(server: ServerFacts, _: Settings) -> Iterator[Case]:
    """The worker's statements are written for read committed.

    Under a stricter level, workers that meet at a row end each other's transactions.
    """
    if server.isolation != "read committed":
        mend = _setting(server, "default_transaction_isolation", "'read committed'")
        yield f"default_transaction_isolation is {server.isolation}.", mend


@MARKER.rule("environment-contradicted", ERROR)
def contradicted(marked: str | None, settings: Settings) -> Iterator[Case]:
    """Every other command refuses to work here (exit 2)."""
    if settings.environment and marked and marked != settings.environment:
        other = f"`outboxctl db mark {settings.environment} --by YOU --reason WHY`"
        mend = export("OUTBOX_ENV", marked) + f"  # or point DATABASE_URL to the right database, or {other}"
        name = variable_of("environment", settings.environment)
        yield f"{name} is {settings.environment}, the database is marked {marked}.", mend


def _setting(server: ServerFacts, name: str, value: str) -> str:
    """The statement whose setting wins over that of the role, and over that of the database."""
    return f"ALTER ROLE {server.role} IN DATABASE {server.database} SET {name} = {value};"
