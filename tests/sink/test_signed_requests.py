"""Requests to AWS are signed so that AWS, by botocore's own code, finds the same signature."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

from fakes import fake_sink
from outboxctl.domain import redaction
from outboxctl.domain.errors import UsageError
from outboxctl.domain.failures import Answer
from outboxctl.domain.redaction import redact
from outboxctl.settings import load
from outboxctl.sink.opening import OpeningSink
from outboxctl.sink.transport.aws import Signer
from outboxctl.sink.transport.open import connect
from outboxctl.sink.transport.reply import SinkReply, body_of
from outboxctl.sink.transport.request import ask
from processes import Cli, Worker, eventually
from servers import Servers
from signed import INVALID, MISMATCH, SECRET, Aws
from tls import Front

WHO = ("--by", "alice", "--reason", "why", "--yes")
ROLE = "x-amz-security-token:FwoGZXIvYXdz"  # none that the environment holds
TOKEN = "IQoJb3JpZ2luX2VjEIv//////////wEaCXVzLXdlc3Q="


@contextmanager
def _front(aws: Aws, sink: str) -> Iterator[Front]:
    with Front(sink, check=aws.check).open() as front:
        yield front


@pytest.mark.no_servers
@pytest.mark.parametrize(
    ("path", "params"),
    [
        (["a"], {}),
        (["a,b", "_alias"], {"expand_wildcards": "all"}),
        (["products-*"], {"filter_path": "errors,items.*.error"}),
        (['"%25 %C3/\\+~:@&=é', "_doc", "a/b?c#d"], {"routing": 'x&y=z +"%2B~é', "v": ""}),
        (["a"], {"b": "2", "a": "1", "B": "0", "a-b": "", "a.b": ","}),
    ],
)
@pytest.mark.parametrize("body", [None, {"text": "ä\n" * 10}, b'{"delete":{"_id":"1"}}\n'])
def test_aws_spells_every_request_as_we_signed_it(
    monkeypatch: pytest.MonkeyPatch, path: list[str], params: dict[str, Any], body: Any
) -> None:
    aws = Aws()
    for name, value in aws.environment(AWS_SESSION_TOKEN=TOKEN).items():
        monkeypatch.setenv(name, value)
    with fake_sink() as sink, _front(aws, sink.url) as one, _front(aws, sink.url) as other:
        for prefix in ("", "/behind/a%20path"):  # of two nodes, each is told of its own Host
            with closing(connect(load(elastic_url=f"{one.url}{prefix},{other.url}{prefix}"))) as client:
                for _ in range(2):
                    ask(client, "POST" if body else "GET", *path, body=body, **params)
        assert one.asked
        assert other.asked
        assert one.refused + other.refused == []


def test_every_command_and_the_worker_are_let_in(
    cli: Cli, servers: Servers, sql: psycopg.Connection, engine: Elasticsearch, index: str
) -> None:
    aws = Aws()
    with _front(aws, servers.sink) as front:
        ours = Cli(cli.env | aws.environment() | {"ELASTIC_URL": front.url}, cli.cwd)
        ours.ok("inject", "load", "--count", "300", "--rate", "0")
        ours.ok("worker", "--drain")
        ours.ok("verify")
        ours.ok("rebuild", *WHO)
        ours.ok("status")
        assert json.loads(ours.ok("doctor", "--only", "sink", "--json"))["findings"] == []
        assert "wJalr" not in ours.ok("config", "show")
        assert front.refused == []
    engine.indices.refresh(index=index)
    rows = sql.execute("SELECT count(*) FROM search_index").fetchall()[0][0]
    assert engine.count(index=index)["count"] == rows > 0


SKEWED = "the clock of this machine is wrong"
REFUSALS: list[Any] = [
    pytest.param({"AWS_SECRET_ACCESS_KEY": "other/secret"}, {}, "check the secret key", id="secret"),
    pytest.param({"AWS_ACCESS_KEY_ID": "AKIOTHER"}, {}, "AWS does not know this access key", id="key"),
    pytest.param({"AWS_SESSION_TOKEN": TOKEN[::-1]}, {}, INVALID, id="token"),
    pytest.param({"AWS_REGION": "us-east-1"}, {}, "AWS_REGION must be that of the domain", id="region"),
    pytest.param({"OUTBOX_AWS_SERVICE": ""}, {}, "set OUTBOX_AWS_SERVICE=es", id="unsigned"),
    pytest.param({"OUTBOX_AWS_SERVICE": "aoss"}, {}, "aoss for a Serverless collection", id="service"),
    pytest.param({}, {"clock": timedelta(minutes=6)}, SKEWED, id="slow clock"),
    pytest.param({}, {"clock": timedelta(minutes=-6)}, SKEWED, id="fast clock"),
    pytest.param({}, {"denies": True}, "allow es:ESHttp* on the domain", id="policy"),
    pytest.param({"AWS_ACCESS_KEY_ID": ""}, {}, "there are no AWS credentials", id="none"),
    pytest.param({"AWS_PROFILE": "gone"}, {}, "(gone) could not be found", id="profile"),
]


@pytest.mark.parametrize(("given", "account", "said"), REFUSALS)
def test_a_refusal_is_auth_and_says_what_to_check(
    cli: Cli, servers: Servers, sql: psycopg.Connection, given: dict[str, str], account: Any, said: str
) -> None:
    aws = Aws()
    ours = Cli(cli.env | aws.environment(AWS_SESSION_TOKEN=TOKEN) | given, cli.cwd)
    for name, value in account.items():
        setattr(aws, name, value)
    ours.ok("inject", "load", "--count", "3", "--rate", "0")
    with _front(aws, servers.sink) as front:
        ours.env["ELASTIC_URL"] = front.url
        done = ours("worker", "--drain", env={"OUTBOX_MAX_ATTEMPTS": "1"})
        doctor = ours("doctor", "--only", "sink")
    failed = sql.execute("SELECT DISTINCT error_reason, error FROM search_outbox_events").fetchall()
    assert [reason for reason, _ in failed] == ["auth"]
    assert said in failed[0][1]
    assert said in " ".join(doctor.stdout.split())
    everything = f"{failed}{done.stdout}{done.stderr}{doctor.stdout}{doctor.stderr}"
    assert TOKEN not in everything
    assert "other/secret" not in everything


def test_credentials_that_expire_or_are_replaced_are_read_again_by_a_worker_that_runs(
    cli: Cli, servers: Servers, worker: Callable[..., Worker], sql: psycopg.Connection
) -> None:
    aws = Aws()
    env = aws.environment() | {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    keys, config = cli.cwd / "keys", cli.cwd / "config"
    config.write_text(f"[default]\ncredential_process = cat {keys}\n")
    # botocore renews in time: ten minutes before the end it asks for each request.
    _hand_out(aws, keys, "ASIA1", lasts=timedelta(minutes=1))

    def all_done() -> bool:
        return sql.execute("SELECT 1 FROM search_outbox_events WHERE status <> 'done'").rowcount == 0

    with _front(aws, servers.sink) as front:
        running = worker(**env | {"AWS_CONFIG_FILE": str(config), "ELASTIC_URL": front.url})
        cli.ok("inject", "load", "--count", "5", "--rate", "0")
        eventually(all_done, what="the first key")
        _hand_out(aws, keys, "ASIA2", lasts=timedelta(days=1))
        cli.ok("inject", "load", "--count", "5", "--rate", "0")
        eventually(lambda: aws.used == "ASIA2", what="the second key")
        del aws.keys["ASIA1"]
        cli.ok("inject", "load", "--count", "5", "--rate", "0")
        eventually(all_done, what="a key that ended")
        assert front.refused == []
        _hand_out(aws, keys, "ASIA3", lasts=timedelta(days=1))
        del aws.keys["ASIA2"]
        cli.ok("inject", "load", "--count", "5", "--rate", "0")
        eventually(all_done, what="a key that was taken away")
        assert front.refused
        running.end()


def _hand_out(aws: Aws, file: Any, key: str, *, lasts: timedelta) -> None:
    aws.keys[key] = (f"secret of {key}", TOKEN)
    named = {"Version": 1, "AccessKeyId": key, "SecretAccessKey": f"secret of {key}", "SessionToken": TOKEN}
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(named | {"Expiration": f"{datetime.now(UTC) + lasts:%Y-%m-%dT%H:%M:%SZ}"}))
    os.replace(fresh, file)


@pytest.mark.no_servers
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"elastic_api_key": "abc"}, "a user or an API key too"),
        ({"elastic_username": "u", "elastic_password": "p"}, "a user or an API key too"),
        ({"elastic_url": "https://u:p@one"}, "a user or an API key too"),
        ({"sink_nodes": "discovered"}, "OUTBOX_SINK_NODES"),
        ({"aws_region": ""}, "no region"),
    ],
)
def test_what_contradicts_a_signature_is_refused_before_an_event_is_claimed(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], said: str
) -> None:
    for name, value in Aws().environment().items():
        monkeypatch.setenv(name, "" if name.lower() in given else value)
    with pytest.raises(UsageError, match=said):
        OpeningSink(load(**given), connections=1)


@pytest.mark.no_servers
def test_without_botocore_the_command_to_install_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.config", None)
    with pytest.raises(UsageError) as raised:
        OpeningSink(load(aws_service="es"), connections=1)
    assert raised.value.hint == "pip install 'outboxctl[aws]'"


@pytest.mark.no_servers
def test_the_session_token_of_a_role_is_not_shown_where_aws_quotes_the_request() -> None:
    quoted = (
        f"{MISMATCH}\n\nThe Canonical String for this request should have been\n'GET\n/\n\nhost:x\n{ROLE}"
    )
    answer = body_of(SinkReply(403, {}, json.dumps({"message": quoted}).encode()))
    assert ROLE not in answer.text
    assert "check the secret key" in answer.text


@pytest.mark.no_servers
def test_what_signs_is_hidden_wherever_it_was_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text(
        f"[default]\naws_access_key_id=A\naws_secret_access_key={SECRET}\naws_session_token={TOKEN}\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(redaction, "_known", ())
    Signer("es", "eu-central-2")("GET", "https://domain.example/", None)
    assert redact(f"{SECRET} {TOKEN}") == "*** ***"


@pytest.mark.no_servers
@pytest.mark.parametrize("name", ["message", "Message"])
def test_the_words_of_a_refusal_are_read_under_either_name(name: str) -> None:
    said = "User: anonymous is not authorized to perform: es:ESHttpGet"
    answer = body_of(SinkReply(403, {}, json.dumps({name: said}).encode()))
    assert answer.text == f"{said} (the request was not signed: set OUTBOX_AWS_SERVICE=es)"


@pytest.mark.no_servers
def test_a_key_that_is_not_found_is_no_answer_of_the_sink(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (Aws().environment() | {"AWS_ACCESS_KEY_ID": ""}).items():
        monkeypatch.setenv(name, value)
    with fake_sink() as sink, closing(connect(load(elastic_url=sink.url))) as client:
        answer = ask(client, "HEAD", "x")
    assert isinstance(answer, Answer)
    assert (answer.kind, answer.unsent) == ("no_credentials", True)
