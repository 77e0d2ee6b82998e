"""A database whose encoding is not UTF8: a text that it cannot store costs nobody a delivery."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from fakes import FakeSink, ProxyFault, Script
from outboxctl.core.schema.encoding import SINGLE_BYTE, storable
from outboxctl.core.sql import text
from outboxctl.drills import services
from processes import Cli, environment
from servers import Servers
from sink.rows.bench import DONE, Bench, bench_in, end

LONG = "café → 価格 " * 200


@pytest.fixture(params=["LATIN1", "EUC_JP", "SQL_ASCII"])
def elsewhere(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Bench]:
    with bench_in(request.param, servers) as bench:
        yield bench


@pytest.mark.parametrize("status", [400, 429], ids=["failed", "retried"])
def test_an_error_that_it_cannot_store_is_stored_escaped(
    elsewhere: Bench, sink: FakeSink, status: int
) -> None:
    *neighbours, bad = elsewhere.put(20)
    answer = status, {"type": "document_parsing_exception" if status == 400 else "other", "reason": LONG}
    sink.script = Script.always(ProxyFault(items={bad.document: answer}.get))
    elsewhere.to(sink)
    assert {elsewhere.end(put) for put in neighbours} == {DONE}
    expected = ("fail", "mapping") if status == 400 else ("retry", "rate_limited")
    assert elsewhere.end(bad) == end(*expected, "count")
    row = elsewhere.sql.execute("SELECT error FROM search_outbox_events WHERE id = %s", [bad.event])
    said = str(row.fetchone())
    assert "caf" in said
    assert len(said) < 8 * 1_000


def test_what_the_encoding_has_stays() -> None:
    assert storable(LONG, "UTF8") == storable(LONG, "SQL_ASCII") == LONG
    assert storable("café → €…", "LATIN1") == "café \\u2192 \\u20ac\\u2026"
    assert storable("café → €…", "WIN1252") == "café \\u2192 €…"
    assert storable("café", "EUC_JP") == "caf\\xe9"


@pytest.mark.parametrize("encoding", sorted(SINGLE_BYTE))
def test_the_server_takes_whatever_python_converts(servers: Servers, encoding: str) -> None:
    """Also where it has another opinion of a byte: what it cannot convert, it refuses."""
    text = storable("".join(map(chr, [*range(0xA0, 0xD800), *range(0xE000, 0xFFFE)])), encoding)
    with psycopg.connect(servers.postgres.replace("+psycopg", "")) as sql:
        sent = sql.execute("SELECT convert_from(convert_to(%s, %s), %s)", [text, encoding, encoding])
        assert sent.fetchone() == (text,)


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (("worker", "--drain", "--worker-id", "wörker→1"), "OUTBOX_WORKER_ID"),
        (("replay", "--by", "ann → bob", "--reason", "why"), "LATIN1"),
        (("replay", "--by", "ann", "--reason", "weil …"), "LATIN1"),
        (("failed", "discard", "--limit", "1", "--by", "ann", "--reason", "weil …"), "LATIN1"),
    ],
    ids=["worker-id", "by", "reason", "discard"],
)
def test_what_a_person_typed_is_refused_before_anything_is_done(
    narrow: Bench, sink: FakeSink, tmp_path: Path, command: tuple[str, ...], named: str
) -> None:
    narrow.sql.execute("UPDATE search_outbox_events SET status = 'failed', error_reason = 'mapping'")
    before = narrow.sql.execute("SELECT * FROM search_outbox_events").fetchall()
    port = str(services.fresh_port())
    cli = Cli(environment(DATABASE_URL=narrow.url, ELASTIC_URL=sink.url, OUTBOX_METRICS_PORT=port), tmp_path)
    refused = cli(*command)
    assert refused.returncode == 2, refused.stderr
    assert named in refused.stderr
    assert narrow.sql.execute("SELECT * FROM search_outbox_events").fetchall() == before
    assert narrow.sql.execute("SELECT count(*) FROM outbox_operator_audit").fetchone() == (0,)


@pytest.fixture
def narrow(servers: Servers) -> Iterator[Bench]:
    with bench_in("LATIN1", servers) as bench:
        bench.put(3)
        yield bench


def test_a_name_that_is_not_ascii_is_sent_to_a_server_that_keeps_bytes(servers: Servers) -> None:
    with bench_in("SQL_ASCII", servers) as bench, bench.database.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE public.größen (maß text)")
        connection.exec_driver_sql("INSERT INTO public.größen VALUES ('groß')")
        found = connection.execute(
            text("SELECT count(*) FROM public.größen WHERE maß = :what"), {"what": "groß"}
        )
        assert found.scalar_one() == 1
