"""A PostgreSQL that takes nobody without a certificate; the wheel's was built without OpenSSL."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from outboxctl.drills import services
from outboxctl.drills.services import place
from tls import HOST, Papers

CONFIG = """
listen_addresses = '127.0.0.1'
fsync = off
shared_buffers = 16MB
ssl = on
ssl_ca_file = 'ca.pem'
"""
WHO = """
local all postgres trust
hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-full
"""


@dataclass(frozen=True)
class TlsPostgres:
    """`admin` leads in by its socket; everybody else needs the certificate of his name, and a password."""

    admin: str
    port: int
    papers: Papers

    def url(self, user: str, password: str) -> str:
        """Of the database `outbox`, verified by both sides."""
        cert, key = self.papers.issue(user)
        files = f"sslrootcert={quote(self.papers.ca)}&sslcert={quote(cert)}&sslkey={quote(key)}"
        return f"postgresql://{user}:{password}@{HOST}:{self.port}/outbox?sslmode=verify-full&{files}"

    def run(self, statement: str) -> None:
        """As the superuser."""
        with psycopg.connect(self.admin, autocommit=True) as connection:
            connection.execute(statement.encode())


def programs() -> Path | None:
    """The newest PostgreSQL of the system's packages, which are built with OpenSSL."""
    found = Path("/usr/lib/postgresql").glob("[0-9]*/bin/initdb")
    return max((path.parent for path in found), key=lambda path: int(path.parent.name), default=None)


@contextmanager
def tls_postgres(papers: Papers) -> Iterator[TlsPostgres]:
    """A fresh server."""
    with tempfile.TemporaryDirectory(prefix="outboxctl-") as folder:
        home, port = Path(folder), services.fresh_port()
        place.own(home)
        _run("initdb", "-D", str(home / "data"), "-U", "postgres", "--auth=trust", "--no-sync")
        _furnish(home / "data", papers)
        options = f"-p {port} -k {home}"
        log = str(home / "log")
        _run("pg_ctl", "start", "-D", str(home / "data"), "--wait", "--log", log, "--options", options)
        try:
            yield TlsPostgres(f"postgresql://postgres@/postgres?host={folder}&port={port}", port, papers)
        finally:
            _run("pg_ctl", "stop", "-D", str(home / "data"), "--mode", "immediate")


def _furnish(data: Path, papers: Papers) -> None:
    certificate, key = papers.issue(HOST)
    for source, name in ((certificate, "server.crt"), (key, "server.key"), (papers.ca, "ca.pem")):
        shutil.copy(source, data / name)
        (data / name).chmod(0o600)
        place.own(data / name)
    with (data / "postgresql.conf").open("a") as config:
        config.write(CONFIG)
    (data / "pg_hba.conf").write_text(WHO)


def _run(program: str, *arguments: str) -> None:
    folder = programs()
    assert folder
    who: dict[str, Any] = place.account()
    command = [str(folder / program), *arguments]
    subprocess.run(command, check=True, cwd="/", timeout=60, stdout=subprocess.DEVNULL, **who)
