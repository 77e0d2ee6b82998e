"""A real Elasticsearch with tight limits, and one that is killed: true 413 and 429, true recovery."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch

from outboxctl import services
from outboxctl.sink.clients.elastic import ElasticClient
from outboxctl.sink.index import ensure
from processes import Worker, eventually
from scene import Scene

pytestmark = [pytest.mark.real_engine, pytest.mark.timeout(180)]
INDEX = "tight"
BULK = {"OUTBOX_BULK_SIZE": "500", "OUTBOX_CONCURRENCY": "2", "OUTBOX_BASE_BACKOFF_SECONDS": "0.1"}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Starts an engine of the test's own (again), with these node settings; returns its URL."""

    def begin(*settings: str) -> str:
        return services.start_search(
            tmp_path, search="elasticsearch", port=services.fresh_port(), engine_settings=settings
        ).url

    yield begin
    services.down(tmp_path, purge=True)


def at(url: str, scene: Scene) -> Scene:
    """The same database before an engine of the test's own."""
    client = Elasticsearch(url, request_timeout=20)
    ensure(ElasticClient(client), INDEX)
    return Scene(scene.sql, client, INDEX)


def test_an_engine_that_takes_little_at_a_time_gets_everything(
    start: Callable[..., str], scene: Scene, worker: Callable[..., Worker]
) -> None:
    """500 events are some 190 kB: over the limit of a request, and their halves over what may be indexed."""
    url = start("http.max_content_length=150kb", "indexing_pressure.memory.limit=60kb")
    scene = at(url, scene)
    scene.load(3_000)
    running = worker(**BULK, ELASTIC_URL=url, ELASTIC_INDEX=INDEX)
    scene.finished_by(running, 3_000)
    for refusal in ("payload_too_large", "rate_limited"):
        assert running.metric("outbox_es_bulk_requests_total", result=refusal) > 0
    assert running.metric("outbox_terminal_failed_total") == 0


def test_an_engine_that_is_killed_and_started_again_has_everything_that_is_done(
    start: Callable[..., str], tmp_path: Path, scene: Scene, worker: Callable[..., Worker]
) -> None:
    url = start()
    scene = at(url, scene)
    scene.load(3_000)
    running = worker(**BULK | {"OUTBOX_BULK_SIZE": "100"}, ELASTIC_URL=url, ELASTIC_INDEX=INDEX)
    eventually(lambda: scene.count("done"), what="under way")
    services.stop("search", tmp_path, kill=True)
    eventually(lambda: running.get("/readyz")[0] == 503, within=2, what="said so")
    assert services.start_search(tmp_path).url == url
    scene.finished_by(running, 3_000)
    assert running.metric("outbox_terminal_failed_total") == 0
