"""Every command of the tree, and how each that reads is run on the rows of `haunt`."""

import uuid
from collections.abc import Iterator
from pathlib import Path
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
    "check": (),
    "config": (),
    "db check": (),
    "db current": (),
    "doctor": (),
    "failed discard": (*WHO, "--id", str(EVENT), "--dry-run"),
    "failed list": (),
    "failed show": (str(EVENT),),
    "lab list": (),
    "oldest": (),
    "projection list": (),
    "prune": ("--older-than", "1d", "--dry-run"),
    "rebuild": (*WHO, "--dry-run"),
    "replay": (*WHO, "--dry-run"),
    "report": (),
    "services status": (),
    "index rebuilds": (),
    "status": (),
    "stuck": (),
    "verify": (),
}
# `lab run --against` can be somebody's guest: its own tests say where it may.
OWN_SERVICES = {"services up", "services down", "demo", "lab run"}
# They break something: never in prod, whatever is said.
BREAKING = {*("chaos es stop", "chaos es start", "chaos kill", "chaos proxy")}
MENDING = {"chaos undo"}  # what was allowed to be broken
# What else reads only: it prints SQL or YAML, or needs what the tests of projections make.
PRINTING = {
    *("alerts", "db sql", "db trigger", "explain", "lab report", "roles"),
    *("projection init", "projection plan", "projection preview", "projection show", "projection sql"),
}
ACT = "10000000-0000-0000-0000-000000000000"
# With arguments that would change something.
CHANGING: dict[str, tuple[str, ...]] = {
    "db drop": (),
    "db mark": ("test", *WHO),
    "db notify": ("on",),
    "db upgrade": (),
    "failed discard": (*WHO, "--limit", "10"),
    "inject bad-op": (),
    "inject event": (),
    "inject load": ("--count", "1"),
    "projection apply": (str(Path(__file__).parents[1] / "projections" / "example.toml"), *WHO),
    "projection drop": ("product", *WHO),
    "prune": ("--older-than", "1d"),
    "rebuild": WHO,
    "replay": WHO,
    "failed undo": (ACT, *WHO),
    "index abort": (),
    "index cleanup": (),
    "index rollback": (),
    "verify": ("--repair", *WHO),
    "worker": ("--drain",),
}
OTHERS = (OWN_SERVICES | BREAKING | MENDING | PRINTING | set(CHANGING)) - set(READING)

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
