"""The parameters of a connection to PostgreSQL, by libpq's names, and the addresses that they name."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from outboxctl.domain.errors import UsageError
from outboxctl.net.urls import check_database_url
from outboxctl.settings import variable_of

# Connecting is bounded, and a dead peer detected within half a minute; a value in the URL takes precedence.
DEFAULTS: dict[str, str] = {
    "connect_timeout": "5",
    "application_name": "outboxctl",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
    "client_encoding": "utf8",
}
ADDRESS = ("host", "hostaddr", "port")
VARIABLES = {"host": "PGHOST", "hostaddr": "PGHOSTADDR", "port": "PGPORT"}
ANY, WRITABLE = "target_session_attrs", {"read-write", "primary"}


@dataclass(frozen=True)
class ServerAddress:
    """One server of a URL; what the URL does not say is empty."""

    host: str = ""
    hostaddr: str = ""
    port: str = ""

    def __str__(self) -> str:
        """`host:port`."""
        return f"{self.host or self.hostaddr or 'local socket'}:{self.port or 5432}"


def parameters(url: str) -> dict[str, Any]:
    """The parameters that libpq reads in a URL, by libpq's names. UsageError where it cannot read it."""
    try:
        values = conninfo_to_dict(check_database_url(url))
    except (psycopg.Error, ValueError):
        # libpq's message repeats parts of the URL, the password among them.
        raise UsageError(
            f"bad setting {variable_of('database_url')}: PostgreSQL's library cannot read this URL",
            hint="expected postgresql://user:password@host:5432/name, special characters percent-encoded,"
            " parameters spelt as libpq's",
        ) from None
    if len(addresses(values)) > 1:
        # Of several servers the first may be a standby, and we need one that takes writes.
        values.setdefault(ANY, "read-write")
    return values


def addresses(values: Mapping[str, Any]) -> list[ServerAddress]:
    """The servers that these parameters name, in their order; at least one.

    UsageError where there are not as many ports as hosts.
    """
    hosts, numeric, ports = (
        str(values.get(name) or os.environ.get(VARIABLES[name]) or "").split(",") for name in ADDRESS
    )
    number = max(len(hosts), len(numeric))
    given = [each * number if len(each) == 1 else each for each in (hosts, numeric, ports)]
    if {len(each) for each in given} != {number}:
        counts = f"{len(hosts)} hosts, {len(numeric)} addresses (hostaddr) and {len(ports)} ports"
        raise UsageError(
            f"bad setting {variable_of('database_url')}: it names {counts}",
            hint="give each host its port: host1:5432,host2:5432",
        )
    return [ServerAddress(*each) for each in zip(*given, strict=True)]


def at(values: Mapping[str, Any], *servers: ServerAddress) -> dict[str, Any]:
    """The parameters with these servers, in this order."""
    named = {name: ",".join(getattr(each, name) for each in servers) for name in ADDRESS}
    rest = {name: value for name, value in values.items() if name not in ADDRESS}
    return rest | {name: value for name, value in named.items() if value.strip(",")}


def wants_primary(values: Mapping[str, Any]) -> bool:
    """Whether of several servers the one that takes writes is to be found."""
    return len(addresses(values)) > 1 and values.get(ANY) in WRITABLE


def describe(values: Mapping[str, Any]) -> str:
    """`host:port/name` for messages, each host with its port; no user, no password."""
    return f"{','.join(map(str, addresses(values)))}/{values.get('dbname', '')}"
