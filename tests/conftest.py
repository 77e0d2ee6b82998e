"""Fixtures: real servers once, a database and an index of its own for each test, real processes."""

import functools
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import hypothesis
import psycopg
import pytest
from elasticsearch import Elasticsearch

import servers as test_servers
from outboxctl.core.database import Database
from outboxctl.core.schema.migrations import upgrade
from outboxctl.drills import services
from outboxctl.settings import Settings, load
from processes import Cli, Worker, check_logs, environment, start_worker
from servers import Servers

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("busy", deadline=None)
hypothesis.settings.load_profile("busy")

WHOLE_SUITE = 2_500  # tests; fewer are a part of it
SLOW_SHARE = 0.15
SHARED = pytest.StashKey[Servers]()
pytest_plugins = ["operations.repairing", "shared"]  # fixtures of tests in several folders


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "real_engine: needs a real Elasticsearch, not an imitation")
    config.addinivalue_line("markers", "no_servers: needs neither PostgreSQL nor a sink")
    config.addinivalue_line("markers", "slow(reason): `make test-all` runs it, `make test` does not")
    # Processes inherit what is ignored, as it is in the background and under nohup: tests send them these.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each slow test has a reason, and of a whole suite few tests are slow."""
    slow = [item for item in items if item.get_closest_marker("slow")]
    for item in slow:
        mark = item.get_closest_marker("slow")
        if not (mark and mark.kwargs.get("reason")):
            raise pytest.UsageError(f'{item.nodeid} is slow without a reason: slow(reason="...")')
    if len(items) > WHOLE_SUITE and len(slow) > SLOW_SHARE * len(items):
        raise pytest.UsageError(f"{len(slow)} of {len(items)} tests are slow, more than {SLOW_SHARE:.0%}")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Where several processes share the tests, the one that hands them out starts the servers for all."""
    if session.config.pluginmanager.hasplugin("dsession") and not _without_servers(session.config):
        started = ExitStack()
        session.config.add_cleanup(started.close)
        say = functools.partial(_announce, session.config)
        session.config.stash[SHARED] = both = started.enter_context(test_servers.started(say))
        _check(both)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell one of those processes where the servers are."""
    if not _without_servers(node.config):
        node.workerinput["servers"] = asdict(node.config.stash[SHARED])


def _without_servers(config: pytest.Config) -> bool:
    """Whether only tests are chosen that need none (`make quick`)."""
    return str(config.getoption("markexpr")).startswith("no_servers")


@pytest.fixture(scope="session")
def servers(pytestconfig: pytest.Config) -> Iterator[Servers]:
    """Both servers; says which on the terminal as soon as they are known."""
    shared = getattr(pytestconfig, "workerinput", None)
    if shared:
        yield Servers(**shared["servers"])
        return
    with test_servers.started(functools.partial(_announce, pytestconfig)) as both:
        _announce(pytestconfig, f"\nservers: {both.label}")
        _check(both)
        yield both


def _check(both: Servers) -> None:
    if os.environ.get("OUTBOXCTL_TEST_REQUIRE_REAL_ENGINE") and not both.real_engine:
        pytest.exit("a real Elasticsearch is required here, and could not be had", returncode=3)


def _announce(config: pytest.Config, line: str) -> None:
    reporter = config.pluginmanager.getplugin("terminalreporter")
    capture = config.pluginmanager.getplugin("capturemanager")
    if reporter and capture:
        with capture.global_and_fixture_disabled():
            reporter.write_line(line)


def pytest_report_header(config: pytest.Config) -> str:
    shared = config.stash.get(SHARED, None)
    return f"servers: {shared.label if shared else test_servers.choice()}"


@pytest.fixture(autouse=True)
def _skip_without_real_engine(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("real_engine") and not request.getfixturevalue("servers").real_engine:
        pytest.skip(f"{request.node.name}: needs a real Elasticsearch")


@pytest.fixture(scope="session")
def template(servers: Servers) -> str:
    """The name of a migrated database to copy from."""
    url = test_servers.new_database(servers.postgres)
    db = Database(url)
    upgrade(db, None)
    db.close()
    return url.rpartition("/")[2]


@pytest.fixture
def empty_url(servers: Servers) -> Iterator[str]:
    """A database without a table."""
    url = test_servers.new_database(servers.postgres)
    yield url
    test_servers.drop_database(servers.postgres, url)


@pytest.fixture
def url(servers: Servers, template: str) -> Iterator[str]:
    """A migrated, empty database."""
    with test_servers.a_database(servers.postgres, template) as url:
        yield url


@pytest.fixture
def db(url: str) -> Iterator[Database]:
    """The project's own way to that database."""
    db = Database(url, connections=4)
    yield db
    db.close()


@pytest.fixture
def sql(url: str) -> Iterator[psycopg.Connection]:
    """An independent, autocommitting connection: what a person would type."""
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def engine(servers: Servers) -> Iterator[Elasticsearch]:
    """An independent client."""
    client = Elasticsearch(servers.sink, request_timeout=20)
    yield client
    client.close()


@pytest.fixture(scope="session")
def untouched(engine: Elasticsearch) -> Iterator[dict[str, Any]]:
    """Write aliases that a test left as they were made, with their descriptions: the next one takes them."""
    names: dict[str, Any] = {}
    yield names
    for name in names:
        test_servers.delete_index(engine, name)


@pytest.fixture
def index(engine: Elasticsearch, servers: Servers, untouched: dict[str, Any]) -> Iterator[str]:
    """A write alias of its own, empty."""
    name, made = untouched.popitem() if untouched else test_servers.new_index(engine)
    yield name
    if servers.real_engine and test_servers.is_untouched(engine, name, made):
        untouched[name] = made
    else:
        test_servers.delete_index(engine, name)


@pytest.fixture
def env(url: str, servers: Servers, index: str) -> dict[str, str]:
    """The settings of a worker on this test's database and index."""
    port = str(services.fresh_port())
    return environment(
        DATABASE_URL=url, ELASTIC_URL=servers.sink, ELASTIC_INDEX=index, OUTBOX_METRICS_PORT=port
    )


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, env: dict[str, str]) -> Settings:
    """The same as an object."""
    for name in ("DATABASE_URL", "ELASTIC_URL", "ELASTIC_INDEX"):
        monkeypatch.setenv(name, env[name])
    return load()


@pytest.fixture
def cli(env: dict[str, str], tmp_path: Path) -> Cli:
    """Runs `outboxctl` as a real process."""
    return Cli(env, tmp_path)


@pytest.fixture(autouse=True)
def _no_unexpected_error() -> Iterator[None]:
    """Whoever starts a worker: it must not log an error that no rule expects."""
    yield
    check_logs()


@pytest.fixture
def worker(env: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Starts real workers (`worker("--flag", NAME="value")`) and leaves none behind."""
    running: list[Worker] = []

    def start(*args: str, **extra: str) -> Worker:
        running.append(start_worker(env | extra, tmp_path, services.fresh_port(), *args))
        return running[-1]

    yield start
    for each in running:
        each.end()
