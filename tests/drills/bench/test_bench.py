"""`bench` on the servers of a user: the figures agree, and nothing is changed there (see `user_system`)."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import psycopg
import pytest

from operations import terminal
from outboxctl.cli.bench import bench_run
from outboxctl.drills.bench import place, process
from outboxctl.drills.faults import guest
from processes import Cli, environment

SMALL = ("bench", "--events", "1000", "--repeat", "2")
SVG = "{http://www.w3.org/2000/svg}"


def median_of(report: dict[str, Any], key: str) -> float:
    figure = report["figures"][key]
    assert figure["low"] <= figure["median"] <= figure["high"]
    assert len(figure["values"]) == 2
    return float(figure["median"])


@pytest.mark.slow(reason="measures for as long as a benchmark must")
def test_the_figures_fit_together(user_system: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    done = Cli(user_system, tmp_path)(*SMALL, "--yes", "--json", "--out", str(out), timeout=200)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    values = {key: report["figures"][key]["values"] for key in ("s", "p", "b", "e", "ratio")}
    for s, p, b, e, ratio in zip(*values.values(), strict=True):
        assert b == pytest.approx(1 / (1 / s + 1 / p))
        assert ratio == pytest.approx(e / b)
    assert report["bound"] == "shared cores"
    senders = zip(*(report["figures"][f"s_{n}"]["values"] for n in (1, 2, 3)), strict=True)
    assert [max(rates) for rates in senders] == values["s"]
    for key in ("worker_cpu", "claim", "settle", "memory", "longest_claim"):
        median_of(report, key)
    assert report["given"] == {"events": 1_000, "bytes": 600, "repeat": 2}
    assert abs(report["bytes_a_request_line"] - 700) < 60
    assert {"cores", "memory", "PostgreSQL", "outboxctl", "psycopg"} <= set(report["machine"])
    assert set(report["round_trip_ms"]) == {"postgres", "engine"}
    assert report["advice"]
    assert json.loads((out / "bench.json").read_text()) == report
    assert "| E/B " in (out / "bench.md").read_text()
    drawn = ET.parse(out / "bench.svg")  # noqa: S314 - our own
    assert any("E: worker" in (text.text or "") for text in drawn.iter(f"{SVG}text"))


@pytest.mark.slow(reason="measures for as long as a benchmark must")
def test_it_is_shown_agreed_to_and_drawn_on_a_terminal(user_system: dict[str, str], tmp_path: Path) -> None:
    env = user_system | {"TERM": "xterm-256color"}
    command = [*SMALL, "--repeat", "1"]
    shown = terminal.show(command, env, tmp_path, columns=80, keys=[("[y/N]", "y\n")], within=200)
    assert shown.returncode == 0, shown.raw
    lines = terminal.screen(shown.raw, 80)
    text = " ".join(lines)
    assert "outboxctl_bench_" in text
    assert f"{user_system['ELASTIC_INDEX']}-bench-" in text
    assert "about 10,000 documents of 600 bytes" in text
    assert "Really put load on the database and the sink?" in text
    assert "E: worker, end to end" in text
    assert "the worker reaches" in text
    assert "warm-up: " in shown.raw  # the bar
    assert "warm-up: " not in text  # has gone


def test_a_no_changes_nothing(user_system: dict[str, str], tmp_path: Path) -> None:
    env = user_system | {"TERM": "dumb", "NO_COLOR": "1"}
    shown = terminal.show([*SMALL], env, tmp_path, columns=40, keys=[("[y/N]", "n\n")])
    assert shown.returncode == 2
    assert "\x1b" not in shown.raw


@pytest.mark.parametrize(
    ("changed", "flags", "text"),
    [
        ({"OUTBOX_ENV": "prod"}, ("--yes",), "this is prod: refusing to put load"),
        ({"OUTBOX_ENV": ""}, ("--yes",), "nothing says that this is not production"),
        ({"OUTBOX_READ_ONLY": "1"}, ("--yes",), "OUTBOX_READ_ONLY"),
        ({"ELASTIC_URL": "http://search.example:9200"}, ("--yes",), "--yes-this-is-not-production"),
        ({"DATABASE_URL": ""}, ("--yes",), "--own"),
        ({}, (), "--yes"),
        ({}, ("--yes", "--search", "noida"), "--search: only with --own"),
        ({}, ("--yes", "--concurrency", "0"), "--concurrency: expected numbers from 1 to 64, got '0'"),
        ({}, ("--yes", "--concurrency", "65"), "--concurrency"),
        ({}, ("--yes", "--concurrency", "2,,3"), "--concurrency"),
        ({}, ("--yes", "--bulk-size", "many"), "--bulk-size: expected numbers from 1 to 10,000"),
        ({}, ("--yes", "--bulk-size", "-5"), "--bulk-size"),
        ({}, ("--yes", "--concurrency", "1,2,3,4,5", "--bulk-size", "1,2,3,4,5"), "25 settings"),
        ({}, ("--yes", "--events", "1000000", "--bytes", "20000"), "too much"),
        ({}, ("--yes", "--out", "/proc/nowhere"), "--out: cannot write to /proc/nowhere"),
        ({}, ("--yes", "--repeat", "0"), "--repeat"),
    ],
    ids=str,
)
def test_it_is_refused(
    user_system: dict[str, str], tmp_path: Path, changed: dict[str, str], flags: tuple[str, ...], text: str
) -> None:
    done = Cli(user_system | changed, tmp_path)("bench", *flags)
    assert done.returncode == 2, done.stderr
    assert text in " ".join(done.stderr.split())
    assert done.stdout == ""


def test_a_database_that_is_marked_prod_is_left_alone(
    user_system: dict[str, str], tmp_path: Path, sql: psycopg.Connection
) -> None:
    sql.execute("INSERT INTO outbox_environment (environment) VALUES ('prod')")
    done = Cli(user_system | {"OUTBOX_ENV": ""}, tmp_path)(*SMALL, "--yes")
    assert done.returncode == 2
    assert "this is prod: refusing to put load" in done.stderr


@pytest.mark.parametrize("name", ["DATABASE_URL", "ELASTIC_URL"])
def test_a_server_that_cannot_be_reached_is_named(
    user_system: dict[str, str], tmp_path: Path, name: str
) -> None:
    scheme = "postgresql://u:secret@" if name == "DATABASE_URL" else "http://u:secret@"
    done = Cli(user_system | {name: f"{scheme}127.0.0.1:1/"}, tmp_path)(*SMALL, "--yes")
    assert done.returncode == 3
    assert "services up" in done.stderr
    assert "secret" not in done.stderr


def test_a_worker_is_measured_with_the_users_own_bound_of_bytes(
    user_system: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in user_system.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OUTBOX_MAX_BATCH_BYTES", "123456")
    settings = bench_run.user_settings(own=False, search="auto")
    names = guest.names("bench", settings.elastic_index, guest.new_mark())
    with place.users_servers(settings, names, tmp_path) as rig:
        assert process.environment(rig)["OUTBOX_MAX_BATCH_BYTES"] == "123456"


@pytest.mark.slow(reason="measures for as long as a benchmark must")
@pytest.mark.no_servers
def test_servers_of_its_own_are_measured_searched_and_gone(tmp_path: Path) -> None:
    state = tmp_path / "state"
    nonsense = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x", "OUTBOX_CONCURRENCY": "zero"}
    cli = Cli(environment(OUTBOXCTL_STATE=str(state), **nonsense), tmp_path)
    flags = ("--own", "--search", "noida", "--events", "1000", "--repeat", "1")
    search = ("--concurrency", "2,1", "--bulk-size", "100")
    report = cli.json("bench", *flags, *search, timeout=200)
    cells = {(cell["concurrency"], cell["bulk_size"]): cell["e"] for cell in report["cells"]}
    assert set(cells) == {(1, 100), (2, 100)}
    best = max(cells.values())
    chosen = (report["setting"]["concurrency"], report["setting"]["bulk_size"])
    assert cells[chosen][0] >= 0.97 * best[0]
    assert {"postgres_cpu", "engine_cpu", "others"} <= set(report["figures"])
    assert "noida-db (an imitation)" in report["machine"]
    assert list(state.glob("outboxctl-bench-*")) == []
