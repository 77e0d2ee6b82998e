"""What `lab run` is given."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from typer.testing import CliRunner

from outboxctl.cli.app import app
from outboxctl.core.schema.namespaces import in_schema
from outboxctl.domain.errors import UsageError

pytestmark = pytest.mark.no_servers


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["kill-and-heel"], "did you mean kill-and-heal?"),
        (["core", "--set", "OUTBOX_LEASE_SECOND=3"], "did you mean OUTBOX_LEASE_SECONDS?"),
        (["core", "--set", "OUTBOX_LEASE_SECONDS=0"], "OUTBOX_LEASE_SECONDS '0'"),
        (["core", "--set", "OUTBOX_LEASE_SECONDS"], "NAME=VALUE"),
        (["core", "--set", "=3"], "NAME=VALUE"),
        (["core", "--set", "DATABASE_URL=postgresql://u:secret@h/n"], "unknown setting"),
        (["core", "--set", "OUTBOX_OUTAGE_POLICY=\x1b[31mhold"], "OUTBOX_OUTAGE_POLICY"),
        (["core", "--worker", "no-such-program-here"], "--worker"),
        (["core", "--worker", "'"], "--worker"),
        (["core", "--worker", ""], "--worker"),
        (["core", "--evidence", "."], "not empty"),
    ],
    ids=lambda value: " ".join(value).encode("unicode_escape").decode() if isinstance(value, list) else "",
)
def test_bad_input_ends_before_anything_begins(
    flags: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTBOXCTL_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "something").touch()
    done = CliRunner().invoke(app, ["lab", "run", *flags])
    assert isinstance(done.exception, UsageError)
    told = f"{done.exception} {done.exception.hint}"
    assert said in told
    assert "\x1b" not in told
    assert "secret" not in told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["something"]


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_what_a_url_already_says_stays(scheme: str) -> None:
    url = f"{scheme}://u:p%40w@h:5/n?sslmode=disable&options=-cstatement_timeout%3D5s"
    made = in_schema(url, "outboxctl_lab_x_1")
    assert made.startswith(f"{scheme}://u:p%40w@h:5/n?")
    assert "+" not in urlsplit(made).query
    query = parse_qs(urlsplit(made).query)
    assert query["options"] == ["-cstatement_timeout=5s -csearch_path=outboxctl_lab_x_1"]
    assert query["sslmode"] == ["disable"]
