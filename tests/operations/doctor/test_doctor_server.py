"""The server itself, and the whole of a healthy house: on a PostgreSQL and an engine of their own."""

from elasticsearch import Elasticsearch

from clusters import Cluster
from operations.doctor.ward import Ward, named
from outboxctl.operations.doctor.model import End
from outboxctl.sink.index.index_setup import ensure
from sinks import client_of


def test_a_house_in_order_yields_nothing_at_all(own_database: Ward, own_engine: str) -> None:
    ward = own_database
    ward.monkeypatch.setenv("ELASTIC_URL", own_engine)
    ward.monkeypatch.setenv("ELASTIC_INDEX", "in-order")
    with Elasticsearch(own_engine) as client:
        ensure(client_of(client), "in-order")
    report = ward.examine()
    assert report.findings == []
    assert len(report.examined) == 13
    assert not report.unreachable


def test_a_standby_is_told_from_a_read_only_database(own_database: Ward, postgres: Cluster) -> None:
    with postgres.standby() as standby:
        name = own_database.url.rpartition("/")[2]
        own_database.monkeypatch.setenv("DATABASE_URL", named(standby.url, name))
        assert "standby" in own_database.one("database-read-only", End.DATABASE).what
        assert not own_database.examine(End.DATABASE).unreachable
