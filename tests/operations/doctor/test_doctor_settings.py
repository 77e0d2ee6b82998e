"""Settings that contradict each other: each is found, and what is said mends it."""

import pytest

from operations.doctor.ward import Ward
from outboxctl.operations.doctor.model import End, FindingSeverity

pytestmark = pytest.mark.no_servers
AMONG_THEMSELVES = {
    "grace-too-short": {"OUTBOX_LEASE_SECONDS": "60"},
    "processing-below-lease": {"OUTBOX_MAX_PROCESSING_SECONDS": "20"},
    "outage-too-long": {"OUTBOX_MAX_ATTEMPTS": "5"},
    "sink-in-clear": {
        "ELASTIC_URL": "http://search.example.com:9200",
        "ELASTIC_USERNAME": "u",
        "ELASTIC_PASSWORD": "s3cret-s3cret",
    },
    "database-in-clear": {"DATABASE_URL": "postgresql://u:s3cret-s3cret@db.example.com/app"},
}


def test_the_defaults_contradict_nothing(alone: Ward) -> None:
    assert alone.ids(End.SETTINGS) == []


@pytest.mark.parametrize("id_", AMONG_THEMSELVES)
def test_a_contradiction_is_found_and_mended(alone: Ward, id_: str) -> None:
    for name, value in AMONG_THEMSELVES[id_].items():
        alone.monkeypatch.setenv(name, value)
    found = alone.cures(id_, End.SETTINGS)
    assert found.severity is FindingSeverity.WARNING
    assert "s3cret" not in str(found)


@pytest.mark.parametrize(
    "setting", [("ELASTIC_API_KEY", "a2V5"), ("ELASTIC_URL", "http://u:p@10.0.0.9:9200")]
)
def test_every_kind_of_credentials_counts(alone: Ward, setting: tuple[str, str]) -> None:
    alone.monkeypatch.setenv("ELASTIC_URL", "http://10.0.0.9:9200")
    alone.monkeypatch.setenv(*setting)
    assert alone.ids(End.SETTINGS) == ["sink-in-clear"]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p@localhost/app",
        "postgresql://u:p@127.0.0.1,[::1]/app",
        "postgresql:///app?host=/run/postgresql",
        "postgresql://u:p@db.example.com/app?sslmode=require",
    ],
)
def test_a_connection_that_nobody_hears_is_no_finding(alone: Ward, url: str) -> None:
    alone.monkeypatch.setenv("DATABASE_URL", url)
    alone.monkeypatch.setenv("ELASTIC_URL", "http://u:p@localhost:9200")
    assert alone.ids(End.SETTINGS) == []


def test_of_several_hosts_each_is_looked_at(alone: Ward) -> None:
    alone.monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@127.0.0.1,db2.example.com/app")
    assert "db2.example.com" in alone.one("database-in-clear", End.SETTINGS).what


def test_the_policy_hold_survives_any_outage(alone: Ward) -> None:
    alone.monkeypatch.setenv("OUTBOX_MAX_ATTEMPTS", "2")
    alone.monkeypatch.setenv("OUTBOX_OUTAGE_POLICY", "hold")
    assert alone.ids(End.SETTINGS) == []
