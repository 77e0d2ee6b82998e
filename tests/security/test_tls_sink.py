"""TLS to the sink: it works with the right papers, and each wrong one is named with what to set."""

import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from operations.doctor.ward import Ward
from outboxctl.domain.errors import UsageError
from outboxctl.domain.failures import Reason
from outboxctl.operations.doctor.model import End
from outboxctl.settings import load
from outboxctl.sink.index.index_setup import ensure
from outboxctl.sink.opening import OpeningSink
from outboxctl.sink.transport.open import connect
from processes import Cli
from servers import Servers
from tls import HOST, Front, Papers, basic

if TYPE_CHECKING:
    from ssl import SSLContext

Set = Callable[..., None]
STRANGE = "certificate verify failed"


@pytest.fixture
def given(alone: Ward) -> Set:
    """Sets settings; None takes one away."""

    def put(**settings: str | None) -> None:
        for name, value in settings.items():
            if value is None:
                alone.monkeypatch.delenv(name, raising=False)
            else:
                alone.monkeypatch.setenv(name, value)

    return put


def _told(ward: Ward, what: str = STRANGE) -> None:
    """The doctor and the worker's probe say what OpenSSL says, in one line, and name the settings."""
    found = ward.one("sink-tls", End.SINK)
    assert re.search(what, found.what), found.what
    assert "ELASTIC_CA_CERTS" in found.mend
    finding = OpeningSink(load(), connections=1, timeout=2).ping()
    assert finding
    assert finding.reason is Reason.TLS, finding
    assert re.search(what, finding.error), finding.error
    assert "\n" not in finding.error
    assert "ELASTIC_CA_CERTS" in finding.error


def test_each_bad_certificate_is_named(
    alone: Ward, given: Set, servers: Servers, papers: Papers, others: Papers
) -> None:
    ca, own = papers.ca, papers.issue("worker")
    mutual = {"ELASTIC_CLIENT_CERT": own[0], "ELASTIC_CLIENT_KEY": own[1]}
    foreign = others.issue("eve")
    eve = {"ELASTIC_CLIENT_CERT": foreign[0], "ELASTIC_CLIENT_KEY": foreign[1]}
    cases: list[tuple[SSLContext, dict[str, str | None], str]] = [
        (papers.server(), {"ELASTIC_CA_CERTS": others.ca}, STRANGE),
        (papers.server(), {"ELASTIC_CA_CERTS": None}, STRANGE),
        (papers.server(days=(-3, -1)), {}, "has expired"),
        (papers.server(host="search.example"), {}, "mismatch"),
        (papers.server(asks=ca), {}, "(?i)alert (certificate required|handshake failure)|EOF occurred"),
        (papers.server(asks=ca), {**eve}, "(?i)alert unknown ca|EOF occurred"),
    ]
    for context, settings, what in cases:
        with Front(servers.sink, context).open() as front:
            given(ELASTIC_CA_CERTS=ca, ELASTIC_URL=front.url)
            given(**dict.fromkeys(mutual))
            given(**settings)
            _told(alone, what)


def test_a_self_signed_certificate_is_named_and_then_trusted(
    alone: Ward, given: Set, servers: Servers, papers: Papers
) -> None:
    alone_standing = papers.self_signed()
    with Front(servers.sink, papers.of(*alone_standing)).open() as front:
        given(ELASTIC_URL=front.url)
        _told(alone, "self-signed")
        given(ELASTIC_CA_CERTS=alone_standing[0])
        assert "sink-tls" not in alone.ids(End.SINK)


def test_http_where_tls_is_spoken_says_what_to_write(given: Set, servers: Servers, papers: Papers) -> None:
    with Front(servers.sink, papers.server()).open() as front:
        given(ELASTIC_URL=front.url.replace("https:", "http:"))
        finding = OpeningSink(load(), connections=1, timeout=2).ping()
        assert finding
        assert "if it speaks TLS, write https:// into ELASTIC_URL" in finding.error


def test_only_the_named_ca_is_trusted(
    alone: Ward, given: Set, servers: Servers, papers: Papers, others: Papers
) -> None:
    """Not the system's beside it, as the client would."""
    with Front(servers.sink, papers.server()).open() as front:
        given(ELASTIC_URL=front.url, ELASTIC_CA_CERTS=others.ca, SSL_CERT_FILE=papers.ca)
        _told(alone)
        given(ELASTIC_CA_CERTS=None)
        assert "sink-tls" not in alone.ids(End.SINK)


def _file(folder: Path, text: str) -> str:
    path = folder / "file.pem"
    path.write_text(text)
    return str(path)


def test_basic_authentication_whose_password_changes_in_its_file(
    given: Set, servers: Servers, papers: Papers, index: str, tmp_path: Path
) -> None:
    password = tmp_path / "password"
    password.write_text("pä:ss\n")
    front = Front(servers.sink, papers.server(), lets_in={basic("worker", "pä:ss")})
    with front.open():
        given(ELASTIC_URL=front.url, ELASTIC_CA_CERTS=papers.ca, ELASTIC_INDEX=index)
        given(ELASTIC_USERNAME="worker", ELASTIC_PASSWORD_FILE=str(password))
        sink = OpeningSink(load(), connections=1)
        assert sink.ping() is None
        front.lets_in = {basic("worker", "new")}
        for _ in range(2):
            refused = sink.ping()
            assert refused
            assert refused.reason is Reason.AUTH
        password.write_text("new")
        sink.ping()  # is refused, and reads the file
        assert sink.ping() is None


@pytest.mark.no_servers
def test_files_that_are_of_no_use_are_refused_before_anything_is_sent(
    given: Set, papers: Papers, tmp_path: Path
) -> None:
    (cert, key), (_, other) = papers.issue("worker"), papers.issue("other")
    locked = papers.encrypted(key)
    damaged = "-----BEGIN CERTIFICATE-----\nabcd\n-----END CERTIFICATE-----\n"
    cases: list[tuple[dict[str, str | None], str, str]] = [
        ({"ELASTIC_CA_CERTS": "/no/such.pem"}, "ELASTIC_CA_CERTS: /no/such.pem", "No such file"),
        ({"ELASTIC_CA_CERTS": str(tmp_path)}, "ELASTIC_CA_CERTS", "a directory"),
        ({"ELASTIC_CA_CERTS": _file(tmp_path, "junk")}, "ELASTIC_CA_CERTS", "no certificate in PEM form"),
        ({"ELASTIC_CLIENT_CERT": key, "ELASTIC_CLIENT_KEY": key}, "ELASTIC_CLIENT_CERT", "no certificate in"),
        ({"ELASTIC_CLIENT_CERT": cert}, "ELASTIC_CLIENT_KEY", "no private key in PEM form"),
        ({"ELASTIC_CLIENT_KEY": key}, "ELASTIC_CLIENT_CERT is not", "is set"),
        ({"ELASTIC_CLIENT_CERT": cert, "ELASTIC_CLIENT_KEY": other}, "ELASTIC_CLIENT_KEY", "key values"),
        ({"ELASTIC_CLIENT_CERT": cert, "ELASTIC_CLIENT_KEY": locked}, "ELASTIC_CLIENT_KEY", "encrypted"),
    ]
    for settings, name, why in cases:
        given(ELASTIC_URL=f"https://{HOST}:9", ELASTIC_CA_CERTS=None)
        given(ELASTIC_CLIENT_CERT=None, ELASTIC_CLIENT_KEY=None)
        given(**settings)
        with pytest.raises(UsageError, match=why) as caught:
            OpeningSink(load(), connections=1)
        assert name in str(caught.value)
    given(ELASTIC_CA_CERTS=_file(tmp_path, damaged), ELASTIC_CLIENT_KEY=None)
    with pytest.raises(UsageError, match="PEM lib"):
        OpeningSink(load(), connections=1)


def test_a_command_says_it_in_one_line(cli: Cli, servers: Servers, papers: Papers, others: Papers) -> None:
    with Front(servers.sink, papers.server()).open() as front:
        env = {"ELASTIC_URL": front.url, "ELASTIC_CA_CERTS": others.ca}
        done = cli("verify", env=env)
        assert done.returncode == 3
        (line,) = done.stderr.strip().splitlines()[-1:]
        assert STRANGE in line
        assert "ELASTIC_CA_CERTS" in line
        assert cli("verify", env=env | {"ELASTIC_CA_CERTS": "/no/such.pem"}).returncode == 2


def test_a_client_certificate_in_one_file_with_its_key(
    alone: Ward, given: Set, servers: Servers, papers: Papers, index: str
) -> None:
    cert, key = papers.issue("worker")
    both = Path(papers.folder, "both.pem")
    both.write_text(Path(cert).read_text() + Path(key).read_text())
    with Front(servers.sink, papers.server(asks=papers.ca)).open() as front:
        given(ELASTIC_URL=front.url, ELASTIC_CA_CERTS=papers.ca, ELASTIC_CLIENT_CERT=str(both))
        with closing(connect(load())) as client:
            ensure(client, index)
        assert "sink-tls" not in alone.ids(End.SINK)
