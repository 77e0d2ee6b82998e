"""Bad settings are refused by name, in one line, without a traceback and without a secret."""

import sys

import pytest

from acceptance import lab
from outboxctl.cli import main
from outboxctl.settings import all_names
from processes import Cli

SECRET = "hunter2-s3cret"
AWAY = "postgresql://u:p@127.0.0.1:1/none"


def assert_short(err: str) -> None:
    """A message in one line, and at most a hint below it."""
    lines = err.strip().splitlines()
    assert 1 <= len(lines) <= 2, err
    assert all(line.startswith("  ") for line in lines[1:]), err


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> object:
    """The command in this process (its own would cost a second each): exit code, stdout, stderr."""
    for name in all_names():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABASE_URL", AWAY)

    def call(*args: str, **settings: str) -> tuple[int, str, str]:
        with monkeypatch.context() as patch:
            for name, value in settings.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["outboxctl", *args])
            with pytest.raises(SystemExit) as ended:
                main()
        code = ended.value.code
        return (code if isinstance(code, int) else 0 if code is None else 1, *capfd.readouterr())

    return call


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OUTBOX_BULK_SIZE", "1.5"),
        ("OUTBOX_METRICS_PORT", "\x1b[31m"),
        ("ELASTIC_INDEX", "Upper Case/*"),
        ("ELASTIC_URL", f"http://u:{SECRET}@host:notaport"),
        ("ELASTIC_URL", f"http://u:{SECRET}@127.0.0.1:9200,,nonsense"),
        ("ELASTIC_URL", f"http://u:{SECRET}#x@127.0.0.1:9200"),
    ],
)
def test_a_bad_setting_exits_2_by_name_in_one_line_without_a_secret(
    run: object, name: str, value: str
) -> None:
    assert callable(run)
    code, out, err = run("worker", "--drain", **{name: value})
    assert (code, out) == (2, ""), err
    assert name in err
    assert "\x1b" not in err
    assert SECRET not in err
    assert_short(err)
    assert SECRET not in "".join(map(str, run("config", "show", **{name: value})))


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u:{SECRET}@host:notaport/db",
        f"mysql://u:{SECRET}@host/db",
        f"postgresql://u:{SECRET}%zz@127.0.0.1:1/db",
        f"postgresql://u:{SECRET}@127.0.0.1:1/db",
        f"postgresql://127.0.0.1:1/db?user=u&password={SECRET}",
        f"postgresql://u:p#{SECRET}@127.0.0.1:1/db",
        f"postgresql://u:p@{SECRET}@127.0.0.1:1/db",
        f"postgresql://u:{SECRET}\n@127.0.0.1:1/db",
    ],
)
def test_a_bad_database_url_is_refused_without_its_password(run: object, url: str) -> None:
    assert callable(run)
    for command in (["status"], ["replay", "--by", "a", "--reason", "b"], ["db", "check"]):
        code, out, err = run(*command, DATABASE_URL=url)
        assert code in (2, 3), (command, code, err)
        assert SECRET not in out + err
        assert_short(err)
        assert "Traceback" not in err
    if code == 2:
        assert "DATABASE_URL" in err
    assert SECRET not in "".join(map(str, run("config", "show", DATABASE_URL=url)))


def test_no_database_url_at_all_is_named(run: object) -> None:
    assert callable(run)
    code, _, err = run("status", DATABASE_URL="")
    assert (code, "DATABASE_URL" in err) == (2, True)


def test_unreachable_servers_exit_3_in_one_line(cli: Cli) -> None:
    for args in (
        ["status"],
        ["worker", "--drain"],
        ["replay", "--by", "a", "--reason", "b"],
        ["db", "upgrade"],
    ):
        done = cli(*args, env={"DATABASE_URL": AWAY})
        assert (done.returncode, done.stdout) == (3, ""), args
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_missing_tables_say_which_command_makes_them(cli: Cli, empty_url: str) -> None:
    for args in (
        ["status"],
        ["stuck"],
        ["oldest"],
        ["audit"],
        ["worker", "--drain"],
        ["replay", "--by", "a", "--reason", "b"],
        ["inject", "bad-op"],
    ):
        done = cli(*args, env={"DATABASE_URL": empty_url})
        assert done.returncode == 2, (args, done.stderr)
        assert "outboxctl db upgrade" in done.stderr, args


def test_a_column_dropped_by_hand_says_db_upgrade(cli: Cli, sql: lab.Sql) -> None:
    sql.execute("ALTER TABLE search_outbox_events DROP COLUMN lease_token")
    for args in (["worker", "--drain"], ["replay", "--by", "a", "--reason", "b"]):
        lab.load(sql, 1)
        sql.execute(
            "UPDATE search_outbox_events SET status = 'failed' WHERE id IN "
            "(SELECT id FROM search_outbox_events LIMIT 1)"
        )
        done = cli(*args)
        assert done.returncode == 2, (args, done.stderr)
        assert "outboxctl db upgrade" in done.stderr, done.stderr
