"""Every command of the tree, and how each that reads is run on the rows of `haunt`."""

import uuid
from collections.abc import Iterator
from typing import Any

import typer

from acceptance import lab
from outboxctl.cli.app import app

EVENTS = {
    status: uuid.UUID(f"5f0e1d2c-3b4a-4958-8776-65544332211{number}")
    for number, status in enumerate(("failed", "pending", "processing"))
}
EVENT = EVENTS["failed"]
# Which event's whole id a command must show, however narrow the terminal.
SHOWN = {
    "failed discard": EVENT,
    "failed show": EVENT,
    "oldest": EVENTS["pending"],
    "replay": EVENT,
    "status": EVENTS["pending"],
    "stuck": EVENTS["processing"],
}
# A title, a colour, markup, a closing tag that was never opened, a right-to-left override, an Arabic letter
# mark, a control of C1.
EVIL = "\x1b]0;evil\x07\x1b[31m[red][/x]\u202e\u061c\x9b"
SHORT = "\x1b[31m[/x]\u202eevil"
RAW = ("\x1b]0;", "\x07", "\x1b[31m[", "\u202e", "\u061c", "\x9b")

WHO = ("--by", "alice", "--reason", "because")
READING = {
    "audit": (),
    "chaos list": (),
    "check": (),
    "config show": (),
    "db check": (),
    "db current": (),
    "db downgrade": ("--dry-run",),
    "db mark": ("test", *WHO, "--dry-run"),
    "db notify status": (),
    "doctor": (),
    "failed discard": (*WHO, "--id", str(EVENT), "--dry-run"),
    "failed list": (),
    "failed show": (str(EVENT),),
    "lab list": (),
    "lab show": ("bad-op",),
    "oldest": (),
    "projection list": (),
    "prune": ("--older-than", "1d", "--dry-run"),
    "rebuild": (*WHO, "--dry-run"),
    "replay": (*WHO, "--dry-run"),
    "report": (),
    "services status": (),
    "sink roles": (),
    "status": (),
    "stuck": (),
    "verify": (),
}
# Commands that change something, start something or print what is no report: no `--json` is asked of them.
OTHERS = {
    "alerts rules": "prints YAML",
    "explain": "reads no rows",
    "chaos block": "breaks the index",
    "chaos db terminate": "breaks sessions",
    "chaos es pause": "breaks the sink",
    "chaos es start": "mends the sink",
    "chaos es stop": "breaks the sink",
    "chaos proxy": "runs until it is told to stop",
    "chaos undo": "mends what is broken",
    "chaos worker kill": "breaks workers",
    "chaos worker pause": "breaks workers",
    "db notify off": "changes the schema",
    "db notify on": "changes the schema",
    "db roles": "prints SQL",
    "db sql": "prints SQL",
    "db trigger": "prints SQL",
    "db upgrade": "changes the schema",
    "demo": "starts services",
    "inject bad-op": "writes events",
    "inject event": "writes events",
    "inject duplicate": "writes events",
    "inject load": "writes events",
    "inject oversized": "writes events",
    "inject poison": "writes events",
    "inject stale": "writes events",
    "lab report": "reads what a run has left",
    "lab run": "starts services",
    "projection apply": "changes the schema",
    "projection drop": "changes the schema",
    "projection init": "needs tables to begin with: tests/projections",
    "projection plan": "needs a declaration of tables: tests/projections",
    "projection preview": "needs a projection in force: tests/projections",
    "projection show": "needs a projection in force: tests/projections",
    "projection sql": "prints SQL",
    "services down": "ends services",
    "replay undo": "takes an act back",
    "services up": "starts services",
    "top": "full-screen; `status --json` and `failed list --json` say the same",
    "worker": "runs until it is told to stop",
}

HAUNT = (
    """
    UPDATE search_outbox_events SET error_reason = evil, error = evil, last_replayed_by = evil,
        last_replayed_reason = evil, owner = CASE status WHEN 'processing' THEN evil END,
        lease_until = CASE status WHEN 'processing' THEN now() - interval '1 hour' END
    FROM (SELECT %(evil)s::text AS evil) AS given
    """,
    """
    INSERT INTO outbox_operator_audit (at, action, operator, reason, filters, affected, event_ids)
    SELECT now(), 'replay', evil, evil, jsonb_build_object('entity_type', evil), 1, ARRAY[%(id)s]::uuid[]
    FROM (SELECT %(evil)s::text AS evil) AS given
    """,
    """
    INSERT INTO outbox_workers
    SELECT gen_random_uuid(), evil, evil, 1, evil, now(), now(), 0, 'count', false, 0, 0
    FROM (SELECT %(evil)s::text AS evil) AS given
    """,
)


def leaves() -> Iterator[tuple[str, Any]]:
    """Path and command of everything that can be run."""
    yield from _walk("", typer.main.get_command(app))


def _walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", {})
    if not children or (command.invoke_without_command and not command.no_args_is_help and path):
        yield path, command
    for name, child in children.items():
        yield from _walk(f"{path} {name}".strip(), child)


def haunt(sql: lab.Sql) -> None:
    """Rows with something hostile in every column of text that a command may show."""
    entity = uuid.uuid4()
    lab.source(sql, entity, kind=EVIL, text=EVIL, snippet=EVIL)
    for status, wanted in EVENTS.items():
        made = lab.event(sql, entity, op=SHORT, kind=EVIL, status=status, created="2024-01-01")
        sql.execute("UPDATE search_outbox_events SET id = %s WHERE id = %s", [wanted, made])
    for statement in HAUNT:
        sql.execute(statement, {"evil": EVIL, "id": EVENT})
