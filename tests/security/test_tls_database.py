"""TLS to PostgreSQL: each wrong paper is named with what to set in the URL."""

import json
import re
from pathlib import Path
from ssl import SSLContext
from urllib.parse import quote, urlsplit

import pytest

from operations.doctor.ward import Ward
from outboxctl.core.database import Database
from outboxctl.core.opening import tls_error
from outboxctl.domain.errors import ExitCode, UntrustedError, UsageError
from outboxctl.operations.doctor.model import End
from processes import Cli
from tls import HOST, Door, Papers

STRANGE = "certificate verify failed"


def _at(url: str, port: int, **options: str) -> str:
    """The same database through a door; the server is verified unless said otherwise."""
    parts = urlsplit(url)
    given = {"sslmode": "verify-full"} | options
    query = "&".join(f"{name}={quote(value)}" for name, value in given.items())
    login = parts.netloc.rpartition("@")[0]
    return f"postgresql://{login}@{HOST}:{port}{parts.path}?{query}"


def _behind(url: str, context: SSLContext) -> Door:
    parts = urlsplit(url)
    return Door((str(parts.hostname), parts.port or 5432), context, postgres=True)


def test_each_bad_certificate_is_named(url: str, alone: Ward, papers: Papers, others: Papers) -> None:
    ca, own, foreign = papers.ca, papers.issue("worker"), others.issue("eve")
    cases: list[tuple[SSLContext, str, tuple[str, str] | None, str]] = [
        (papers.server(), others.ca, None, STRANGE),
        (papers.server(host="db.example"), ca, None, "does not match host name"),
        (papers.server(asks=ca), ca, None, "alert (certificate required|handshake failure)"),
        (papers.server(asks=ca), ca, foreign, "alert unknown ca"),
    ]
    for context, root, pair, what in cases:
        with _behind(url, context).open() as door:
            client = {"sslcert": pair[0], "sslkey": pair[1]} if pair else {}
            there = _at(url, door.port, sslrootcert=root, **client)
            with pytest.raises(UntrustedError, match=what) as caught, Database(there).begin():
                pass
            assert "sslrootcert" in caught.value.hint
            assert "\n" not in str(caught.value)
            alone.monkeypatch.setenv("DATABASE_URL", there)
            found = alone.one("database-tls", End.DATABASE)
            assert re.search(what, found.what)
            assert "sslrootcert" in found.mend
    with _behind(url, papers.server(asks=ca)).open() as door:
        right = _at(url, door.port, sslrootcert=ca, sslcert=own[0], sslkey=own[1])
        with Database(right).begin() as connection:
            assert connection.exec_driver_sql("SELECT 1").scalar() == 1
        alone.monkeypatch.setenv("DATABASE_URL", right)
        assert "database-tls" not in alone.ids(End.DATABASE)


def test_a_server_without_tls_is_named(url: str) -> None:
    port = urlsplit(url).port or 5432
    with (
        pytest.raises(UntrustedError, match="does not support SSL") as caught,
        Database(_at(url, port)).begin(),
    ):
        pass
    assert "DATABASE_URL" in caught.value.hint


@pytest.mark.no_servers
def test_a_name_that_sounds_like_tls_says_nothing_of_it() -> None:
    refused = Exception('FATAL:  password authentication failed for user "fingerprint"')
    assert tls_error(refused, "db") is None
    other = Exception('server certificate for "a" does not match host name "b"')
    assert "does not match" in str(tls_error(other, "db"))


@pytest.mark.no_servers
def test_files_that_are_of_no_use_are_refused_before_connecting(papers: Papers, tmp_path: Path) -> None:
    (cert, key), (_, other) = papers.issue("worker"), papers.issue("other")
    junk, open_key = tmp_path / "junk.pem", tmp_path / "open.key"
    junk.write_text("junk")
    open_key.write_bytes(Path(key).read_bytes())
    open_key.chmod(0o644)
    cases = [
        ({"sslrootcert": "/no/such.pem"}, "sslrootcert in DATABASE_URL: /no/such.pem", "No such file"),
        ({"sslrootcert": str(junk)}, "sslrootcert", "no certificate in PEM form"),
        ({"sslcert": str(junk), "sslkey": key}, "sslcert", "no certificate in PEM form"),
        ({"sslcert": cert, "sslkey": str(junk)}, "sslkey", "no private key in PEM form"),
        ({"sslcert": cert, "sslkey": other}, "sslkey", "key values mismatch"),
        ({"sslcert": cert, "sslkey": papers.encrypted(key)}, "sslkey", "encrypted"),
        ({"sslcert": cert, "sslkey": str(open_key)}, "sslkey", "others may read it"),
        ({"sslcert": cert, "sslkey": papers.encrypted(key), "sslpassword": "no"}, "sslkey", "PEM lib"),
    ]
    for options, name, why in cases:
        with pytest.raises(UsageError, match=why) as caught:
            Database(_at("postgresql://u:hunter2@h/d", 1, **options))
        assert name in str(caught.value)
        assert "hunter2" not in str(caught.value)
    Database(_at("postgresql://u@h/d", 1, sslcert=cert, sslkey=papers.encrypted(key), sslpassword="hunter2"))


def test_commands_say_it_in_one_line_and_show_the_files_but_no_secret(
    cli: Cli, url: str, papers: Papers, others: Papers
) -> None:
    with _behind(url, papers.server()).open() as door:
        there = _at(url, door.port, sslrootcert=others.ca)
        for command in (["status"], ["worker", "--drain"]):
            done = cli(*command, env={"DATABASE_URL": there})
            assert done.returncode == ExitCode.UNREACHABLE
            (line,) = done.stderr.strip().splitlines()
            assert STRANGE in line
            assert "sslrootcert" in line
    gone = _at(url, 1, sslrootcert="/no/such.pem", sslkey="/its/path", sslpassword="hunter2")
    done = cli("status", env={"DATABASE_URL": gone})
    assert done.returncode == ExitCode.USAGE
    assert "sslrootcert in DATABASE_URL: /no/such.pem" in done.stderr
    found = json.loads(cli("doctor", "--json", env={"DATABASE_URL": gone}).stdout)["findings"]
    assert "database-unusable" in {each["id"] for each in found}
    shown = cli.ok("config", "show", "--json", env={"DATABASE_URL": gone})
    assert "sslrootcert=/no/such.pem&sslkey=/its/path&sslpassword=***" in shown
    assert "hunter2" not in shown
