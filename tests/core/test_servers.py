"""Several servers in one URL: the one that takes writes is used, whatever the others do."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from outboxctl.core import conninfo, primaries
from outboxctl.core.conninfo import ServerAddress
from outboxctl.core.database import Database
from outboxctl.core.primaries import Primary, Sessions
from outboxctl.core.schema import namespaces
from outboxctl.domain.errors import UnreachableError, UsageError
from outboxctl.drills.services import fresh_port

OLD, NEW = ServerAddress("old", "", "1"), ServerAddress("new", "", "2")
URL = "postgresql://old:1,new:2/x"


class Silent:
    """A server whose machine takes connections, and which never answers: a frozen one."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.taken: list[socket.socket] = []
        threading.Thread(target=self._take, daemon=True).start()

    def close(self) -> None:
        """End it and its connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        for each in (self._listener, *self.taken):
            each.close()

    def _take(self) -> None:
        with suppress(OSError):
            while True:
                self.taken.append(self._listener.accept()[0])


@pytest.fixture
def silent() -> Iterator[Silent]:
    """A frozen server."""
    with closing(Silent()) as server:
        yield server


def after(url: str, *ports: int) -> str:
    """The URL with servers of this machine before its own."""
    user, at, host = urlsplit(url).netloc.rpartition("@")
    return url.replace(f"{user}{at}{host}", f"{user}{at}{','.join(f'127.0.0.1:{p}' for p in ports)},{host}")


@contextmanager
def opened(url: str) -> Iterator[Database]:
    """Sessions by this URL."""
    with closing(Database(url, connections=5)) as db:
        yield db


@pytest.mark.slow(reason="waits for a server that is silent")
def test_a_frozen_first_server_is_waited_for_once_and_not_by_every_session(url: str, silent: Silent) -> None:
    with opened(after(url, silent.port)) as db:
        for _ in range(5):
            with db.begin() as connection:
                assert connection.exec_driver_sql("SELECT 1").scalar() == 1
            db.renew_connections()
    assert len(silent.taken) == 1


def test_each_message_names_the_server_that_failed(url: str, silent: Silent) -> None:
    port, other = urlsplit(url).port, fresh_port()
    with opened(after(url, other)) as db:
        assert db.name.startswith(f"127.0.0.1:{other},127.0.0.1:{port}/")
        with pytest.raises(UsageError) as failed, db.begin() as connection:
            connection.exec_driver_sql("SELECT FROM not_there")
        assert f"127.0.0.1:{port}/" in str(failed.value)
        assert str(other) not in str(failed.value)
    hosts = f"127.0.0.1:{other},127.0.0.1:{silent.port}"
    nobody = f"postgresql://somebody:not-to-be-said@{hosts}/x?connect_timeout=2"
    with opened(nobody) as db, pytest.raises(UnreachableError) as away, db.begin():
        pass
    text = str(away.value)
    assert f"port: '{other}'" in text
    assert "Connection refused" in text
    assert f"port: '{silent.port}'" in text
    assert away.value.public == (
        "no server takes writes: connection refused: no server listens there; no answer in time"
    )
    assert "not-to-be-said" not in text


def test_a_server_that_reads_only_is_passed_over_and_said_to_be(url: str) -> None:
    """By another name for the same server, whose sessions are read-only."""
    reading = after(url, fresh_port()) + "?options=-cdefault_transaction_read_only%3Don"
    with opened(reading) as db, pytest.raises(UnreachableError, match="read-only") as refused, db.begin():
        pass
    assert "the server is read-only" in refused.value.public
    with opened(after(url, fresh_port()) + "?target_session_attrs=any") as db, db.begin() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1


def test_schemas_are_made_at_the_server_that_takes_writes(url: str) -> None:
    several = after(url, fresh_port())
    own = namespaces.create_schema(several, "inside")
    assert conninfo.addresses(conninfo.parameters(own)) == conninfo.addresses(conninfo.parameters(several))
    namespaces.drop_schema(several, "inside")


def test_a_url_with_fewer_ports_than_hosts_is_refused() -> None:
    with pytest.raises(UsageError, match="3 hosts, 1 addresses"):
        conninfo.parameters("postgresql:///x?host=a,b,c&port=1,2")
    assert conninfo.describe(conninfo.parameters("postgresql://u:p@a,b:2,[::1]:3/x")) == "a:5432,b:2,::1:3/x"


class Scripted:
    """Sessions to servers that answer as a script says; a server that is not in it is away."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sessions = Sessions(URL)
        self.roles: dict[ServerAddress, Primary] = {}
        self.asked: list[ServerAddress] = []
        monkeypatch.setattr(primaries, "connected", self._connected)
        monkeypatch.setattr(primaries, "_primary", lambda session, _: session.primary)

    def are(self, *roles: Primary) -> None:
        """The servers that take writes from now on."""
        self.roles = {role.address: role for role in roles}

    def at(self) -> ServerAddress:
        """Where a new session goes."""
        return self.sessions.open().primary.address  # type: ignore[attr-defined,no-any-return]

    def _connected(self, values: dict[str, Any]) -> "Session":
        for address in conninfo.addresses(values):
            self.asked.append(address)
            if address in self.roles:
                return Session(self.roles[address])
        raise psycopg.OperationalError("nobody")


class Session:
    """A session at a server."""

    def __init__(self, primary: Primary) -> None:
        self.primary = primary
        self.closed = False

    def close(self) -> None:
        """End it."""
        self.closed = True

    def fileno(self) -> int:
        """As that of one which is closed."""
        raise OSError


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    """A URL with OLD and NEW."""
    return Scripted(monkeypatch)


def test_the_higher_timeline_is_used_and_the_lower_one_never_again(scripted: Scripted) -> None:
    old, new = Primary(OLD, "1", 1), Primary(NEW, "1", 2)
    scripted.are(old)
    assert scripted.at() == OLD
    scripted.are(old, new)
    (move,) = scripted.sessions.look()
    assert (str(move.left), str(move.now)) == ("old:1 (timeline 1)", "new:2 (timeline 2)")
    assert scripted.at() == NEW
    scripted.are(old)
    assert scripted.sessions.look() == []
    with pytest.raises(
        UnreachableError, match=r"old:1 \(timeline 1\) was left behind by a failover to new:2"
    ) as left:
        scripted.at()
    assert left.value.public == primaries.LEFT_BEHIND


def test_a_process_that_starts_while_there_are_two_primaries_takes_the_newer(scripted: Scripted) -> None:
    scripted.are(Primary(OLD, "1", 1), Primary(NEW, "1", 2))
    assert scripted.at() == NEW


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (Primary(OLD), Primary(NEW)),
        (Primary(OLD, "1", 4), Primary(NEW, "1", 4)),
        (Primary(OLD, "1", 9), Primary(NEW, "2", 4)),
    ],
    ids=["hidden", "the-same", "another-history"],
)
def test_without_a_reason_to_leave_the_server_in_use_stays(
    scripted: Scripted, old: Primary, new: Primary
) -> None:
    scripted.are(new)
    assert scripted.at() == NEW
    scripted.are(old, new)
    assert scripted.sessions.look() == []
    assert scripted.at() == NEW
    scripted.are(old)
    assert scripted.at() == OLD, "once a session there fails"
