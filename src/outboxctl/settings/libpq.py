"""What libpq adds to a connection by itself: secrets of the caller's that a URL does not hold.

Source: PostgreSQL's chapter on libpq ("Parameter Key Words", "Environment Variables", "The Password File").
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

PASSWORDS = ("PGPASSWORD", "PGPASSFILE")  # what is used where the URL has no password
OTHERS = ("PGSERVICE", "PGSSLKEY", "PGSSLCERT")
FILES = ("service", "servicefile", "passfile")  # parameters that lead to a file of the caller's


def secrets(url: str) -> Iterator[str]:
    """In words, each secret of the caller's that a connection to this URL may show to its server."""
    given = _parameters(url)
    password = bool(given.get("password"))
    for name in (*(() if password else PASSWORDS), *OTHERS):
        if os.environ.get(name):
            yield f"{name} in the environment"
    for name in FILES:
        if given.get(name):
            yield f"what `{name}` in the URL stands for"
    if not password and _in_password_file(given):
        yield "a password in ~/.pgpass, not bound to the host it goes to,"


def _parameters(url: str) -> Mapping[str, Any]:
    """What libpq reads in it; nothing, so that each secret counts, where it can read nothing."""
    from psycopg import ProgrammingError  # noqa: PLC0415 - takes a moment, and only `.env` needs it
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415 - the same

    with suppress(ProgrammingError):
        return conninfo_to_dict(url)
    return {}


def _in_password_file(given: Mapping[str, Any]) -> bool:
    """Whether ~/.pgpass may give a password to a host that it does not name.

    Its lines name hosts, so it needs no rule of ours but for two cases: a line for any host, and
    `hostaddr`, which is connected to while `host` is looked up.
    """
    with suppress(OSError, RuntimeError):
        lines = (Path.home() / ".pgpass").read_text(errors="replace").splitlines()
        return any(line.startswith("*:") for line in lines) or bool(lines and given.get("hostaddr"))
    return False
