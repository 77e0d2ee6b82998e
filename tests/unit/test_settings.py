"""A bad value ends with its name; a secret is never shown."""

from pathlib import Path

import pytest

from outboxctl.domain.errors import UsageError
from outboxctl.settings import Settings, Source, env_names, load

pytestmark = [pytest.mark.no_servers, pytest.mark.usefixtures("no_settings")]
NUMBERS = [
    env_names(name)[0] for name, field in Settings.model_fields.items() if field.annotation in {int, float}
]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", ["abc", "0", "-1", "nan", "inf"])
def test_a_bad_number_names_its_setting(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=name):
        load()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://u:hunter2@h/d"),
        ("DATABASE_URL", "hunter2"),
        ("ELASTIC_URL", "http://u:hunter2@h:port"),
        ("ELASTIC_URL", "ftp://u:hunter2@h"),
        ("ELASTIC_URL", "http://u:hunter2@[::1"),
        ("ELASTIC_URL", "http://:0"),
        ("ELASTIC_URL", " , "),
        ("ELASTIC_API_KEY", "hunter2\n"),
        ("ELASTIC_API_KEY", "hunter2é"),
        ("ELASTIC_PASSWORD", "hunter2\r"),
        ("DATABASE_URL", "postgresql://u:a/hunter2@h/d"),
        ("ELASTIC_INDEX", "Upper"),
        ("ELASTIC_INDEX", "a,b"),
        ("ELASTIC_INDEX", "_x"),
        ("ELASTIC_INDEX", "a*"),
        ("OUTBOX_ENV", "production"),
        ("WORDLOOM_ENV", "x"),
        ("OUTBOX_OUTAGE_POLICY", "maybe"),
        ("OUTBOX_WORKER_ID", "a\x1b[31m"),
        ("OUTBOX_WORKER_ID", "x" * 121),
        ("OUTBOX_METRICS_PORT", "65536"),
        ("OUTBOX_LEASE_SECONDS", "0.5"),
    ],
)
def test_a_bad_text_names_its_setting_and_no_secret(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=name) as caught:
        load()
    assert "hunter2" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["postgresql+psycopg", "postgresql", "postgres", "POSTGRES"])
def test_three_schemes_mean_one_thing(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setenv("DATABASE_URL", f"{scheme}://u:p@h:5432/d")
    assert load().require_database_url() == "postgresql://u:p@h:5432/d"


def test_several_sinks_get_explicit_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELASTIC_URL", "http://a, https://b/prefix,http://c:9200")
    assert load().sink_urls == ["http://a:80", "https://b:443/prefix", "http://c:9200"]


def test_flag_over_environment_over_dotenv_over_default(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("ELASTIC_INDEX=from-dotenv\nOUTBOX_BULK_SIZE=7\nOUTBOX_CONCURRENCY=2\n")
    monkeypatch.setenv("OUTBOX_BULK_SIZE", "8")
    given = load(concurrency=5)
    assert (given.elastic_index, given.bulk_size, given.concurrency) == ("from-dotenv", 8, 5)
    origin = load(concurrency=5).origin
    assert origin("elastic_index").source is Source.DOTENV
    assert origin("bulk_size").source is Source.ENVIRONMENT
    assert origin("concurrency").source is Source.FLAG
    assert origin("lease_seconds").source is Source.DEFAULT


def test_the_documents_own_name_for_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORDLOOM_ENV", "test")
    assert load().environment == "test"
    monkeypatch.setenv("OUTBOX_ENV", "dev")
    assert load().environment == "dev"


def test_a_damaged_dotenv_is_said() -> None:
    Path(".env").write_bytes(b"ELASTIC_INDEX=\xff\xfe\n")
    with pytest.raises(UsageError, match=r"\.env"):
        load()


def test_no_secret_in_the_objects_own_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://u:hunter2@h/d")
    monkeypatch.setenv("ELASTIC_URL", "http://u:hunter2@h:9200")
    monkeypatch.setenv("ELASTIC_API_KEY", "hunter2")
    assert "hunter2" not in repr(load())


def test_a_misspelt_setting_is_refused_and_the_nearest_named(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("OUTBOX_CONCURENCY=2\n")
    with pytest.raises(UsageError, match=r"OUTBOX_CONCURENCY in \.env") as caught:
        load()
    assert "OUTBOX_CONCURRENCY" in caught.value.hint
    Path(".env").unlink()
    monkeypatch.setenv("OUTBOX_METRIC_PORT", "9109")
    with pytest.raises(UsageError, match="OUTBOX_METRIC_PORT in the environment") as caught:
        load()
    assert "OUTBOX_METRICS_PORT" in caught.value.hint


def test_neighbours_that_begin_alike_stop_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "OUTBOX_SERVICE_HOST": "10.0.0.7",  # what Kubernetes says of a service named outbox
        "OUTBOX_SERVICE_PORT_METRICS": "9108",
        "OUTBOX_PORT": "tcp://10.0.0.7:9108",
        "OUTBOX_PORT_9108_TCP_ADDR": "10.0.0.7",
        "OUTBOX_WORKER_PORT": "tcp://10.0.0.8:9108",  # and of one named outbox-worker
        "OUTBOX_WORKER_SERVICE_PORT": "9108",
        "OUTBOXCTL_STATE": "/x",
        "ELASTIC_VERSION": "9.0.4",
    }.items():
        monkeypatch.setenv(name, value)
    load()
