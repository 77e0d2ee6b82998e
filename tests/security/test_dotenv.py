"""A folder's `.env` cannot send what the environment holds to a server of its own."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from operations.every_command import READING
from outboxctl.domain.errors import UsageError
from outboxctl.settings import Settings, all_names, load
from processes import Cli, environment

SECRET = "canary-hunter2"
HOST = "http://evil.example:9200"
DATABASE = "postgresql://evil.example/shop"
MEANT = "OUTBOX_TRUST_DOTENV=1"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Somebody's folder, which we are in; a home of our own; no settings."""
    (tmp_path / "home").mkdir()
    (tmp_path / "cloned").mkdir()
    monkeypatch.chdir(tmp_path / "cloned")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in [*all_names(), *(name for name in os.environ if name.startswith("PG"))]:
        monkeypatch.delenv(name, raising=False)
    return Path.cwd()


def refused(*named: str) -> None:
    with pytest.raises(UsageError) as caught:
        load()
    said = f"{caught.value} {caught.value.hint}"
    assert [name for name in (*named, MEANT) if name not in said] == []
    assert SECRET not in said


def meant(monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("OUTBOX_TRUST_DOTENV", "1")
    return load()


@pytest.mark.no_servers
@pytest.mark.parametrize(
    ("mine", "theirs", "named"),
    [
        ({"ELASTIC_API_KEY": SECRET}, f"ELASTIC_URL={HOST}", "ELASTIC_API_KEY in the environment"),
        (
            {"ELASTIC_USERNAME": "u", "ELASTIC_PASSWORD": SECRET},
            f"ELASTIC_URL={HOST}",
            "ELASTIC_PASSWORD in the environment",
        ),
        (
            {"ELASTIC_PASSWORD": SECRET},
            f"ELASTIC_URL={HOST}\nELASTIC_USERNAME=u",
            "ELASTIC_PASSWORD in the environment",
        ),
        (
            {"ELASTIC_CLIENT_CERT": "/mine.pem"},
            "ELASTIC_URL=https://evil.example",
            "ELASTIC_CLIENT_CERT in the environment",
        ),
        (
            {"ELASTIC_API_KEY": SECRET, "ELASTIC_URL": "https://mine.example"},
            "ELASTIC_CA_CERTS=theirs.pem",
            "ELASTIC_CA_CERTS in .env",
        ),
        (
            {"ELASTIC_URL": f"https://u:{SECRET}@mine.example"},
            f"ELASTIC_FINGERPRINT={'ab' * 32}",
            "ELASTIC_FINGERPRINT in .env",
        ),
        ({"PGPASSWORD": SECRET}, f"DATABASE_URL={DATABASE}", "PGPASSWORD in the environment"),
        ({"PGPASSFILE": "/mine"}, f"DATABASE_URL={DATABASE}", "PGPASSFILE in the environment"),
        ({"PGSERVICE": "prod"}, f"DATABASE_URL={DATABASE}", "PGSERVICE in the environment"),
        ({"PGSSLKEY": "/mine"}, f"DATABASE_URL={DATABASE}", "PGSSLKEY in the environment"),
        ({"PGSSLCERT": "/mine"}, f"DATABASE_URL={DATABASE}", "PGSSLCERT in the environment"),
        ({}, f"DATABASE_URL={DATABASE}?service=prod", "`service` in the URL"),
        ({}, f"DATABASE_URL={DATABASE}?passfile=/home/me/.pgpass", "`passfile` in the URL"),
        ({"CI_TOKEN": SECRET}, f"ELASTIC_URL={HOST}/${{CI_TOKEN}}", "CI_TOKEN in the environment"),
        (
            {"CI_TOKEN": SECRET},
            f"ELASTIC_URL={HOST}\nA='${{CI_TOKEN}}'\nELASTIC_API_KEY=${{B:-${{A}}}}${{A}}\nA=x",
            "CI_TOKEN in the environment, which ELASTIC_API_KEY",
        ),
        (
            {"CI_TOKEN": SECRET},
            "DATABASE_URL=postgresql://u:${CI_TOKEN}@evil.example/d",
            "CI_TOKEN in the environment",
        ),
    ],
)
def test_a_secret_of_the_environment_does_not_go_where_a_dotenv_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch, mine: dict[str, str], theirs: str, named: str
) -> None:
    (folder / ".env").write_text(theirs + "\n")
    for name, value in mine.items():
        monkeypatch.setenv(name, value)
    refused(named, "in .env")
    assert meant(monkeypatch)


@pytest.mark.no_servers
@pytest.mark.parametrize("name", ["ELASTIC_API_KEY", "ELASTIC_PASSWORD"])
def test_a_file_that_a_secret_of_the_environment_lies_in_counts_as_the_secret(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (folder.parent / "key").write_text(SECRET)
    monkeypatch.setenv(f"{name}_FILE", str(folder.parent / "key"))
    (folder / ".env").write_text(f"ELASTIC_URL={HOST}\nELASTIC_USERNAME=u\n")
    refused(f"{name}_FILE in the environment", "ELASTIC_URL in .env")


@pytest.mark.no_servers
@pytest.mark.parametrize("by_link", [False, True])
def test_a_dotenv_cannot_name_a_file_of_mine_as_its_secret(folder: Path, *, by_link: bool) -> None:
    (folder.parent / "token").write_text(SECRET)
    path = "token" if by_link else "../token"
    if by_link:
        (folder / path).symlink_to("../token")
    (folder / ".env").write_text(f"ELASTIC_URL={HOST}\nELASTIC_API_KEY_FILE={path}\n")
    refused("file outside this folder that ELASTIC_API_KEY_FILE in .env names", "ELASTIC_URL in .env")


@pytest.mark.no_servers
def test_a_url_in_a_file_that_a_dotenv_names_is_a_dotenvs_url(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "url").write_text(HOST)
    (folder / "database").write_text(DATABASE)
    (folder / ".env").write_text("ELASTIC_URL_FILE=url\nDATABASE_URL_FILE=database\n")
    monkeypatch.setenv("PGPASSWORD", SECRET)
    refused("PGPASSWORD", "DATABASE_URL_FILE in .env")
    monkeypatch.setenv("ELASTIC_API_KEY", SECRET)
    refused("ELASTIC_API_KEY", "ELASTIC_URL_FILE in .env")


@pytest.mark.no_servers
@pytest.mark.parametrize(
    ("line", "url", "goes"),
    [
        ("db.example:*:*:*:hunter2", DATABASE, True),
        ("*:*:*:*:hunter2", DATABASE, False),
        ("db.example:*:*:*:hunter2", "postgresql://db.example/d?hostaddr=192.0.2.1", False),
        ("*:*:*:*:hunter2", "postgresql://u:their-own@evil.example/d", True),
    ],
)
def test_the_password_file_is_bound_to_hosts_unless_a_line_or_the_url_says_otherwise(
    folder: Path, line: str, url: str, *, goes: bool
) -> None:
    (folder.parent / "home/.pgpass").write_text(f"# mine\n{line}\n")
    (folder / ".env").write_text(f"DATABASE_URL={url}\n")
    if goes:
        assert load().require_database_url() == url
    else:
        refused("~/.pgpass", "DATABASE_URL in .env")


@pytest.mark.no_servers
@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        ({"ELASTIC_API_KEY": SECRET}, "OUTBOX_BULK_SIZE=7"),  # the default endpoint is nobody's choice
        ({"ELASTIC_URL": "http://mine.example"}, f"ELASTIC_API_KEY={SECRET}"),
        ({}, f"ELASTIC_URL={HOST}\nELASTIC_API_KEY={SECRET}"),
        ({"ELASTIC_URL": "http://mine:9200", "ELASTIC_API_KEY": SECRET}, f"ELASTIC_URL={HOST}"),
        ({"ELASTIC_PASSWORD": SECRET}, f"ELASTIC_URL={HOST}"),  # nobody is named, so it is not sent
        ({"ELASTIC_PASSWORD": SECRET}, f"ELASTIC_URL={HOST}\nELASTIC_USERNAME=u\nELASTIC_API_KEY=k"),
        ({"PGPASSWORD": SECRET}, "DATABASE_URL=postgresql://u:their-own@evil.example/d"),
        ({"PGPASSWORD": SECRET, "DATABASE_URL": DATABASE}, "DATABASE_URL=postgresql://other/d"),
        ({"PGPASSWORD": SECRET}, f"ELASTIC_URL={HOST}"),
        ({}, f"ELASTIC_URL={HOST}\nP=8\nOUTBOX_BULK_SIZE=${{P}}"),
        ({"CI_TOKEN": "x"}, "ELASTIC_INDEX=i-${CI_TOKEN}"),
        ({"CERTS": "/mine"}, f"ELASTIC_URL={HOST}\nELASTIC_CA_CERTS=${{CERTS}}/ca.pem"),
    ],
)
def test_what_is_no_leak_is_not_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, mine: dict[str, str], theirs: str
) -> None:
    (folder / ".env").write_text(theirs + "\n")
    for name, value in mine.items():
        monkeypatch.setenv(name, value)
    assert load()


@pytest.mark.no_servers
def test_a_flag_is_more_trusted_than_both(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".env").write_text(f"ELASTIC_URL={HOST}\nDATABASE_URL={DATABASE}\n")
    monkeypatch.setenv("ELASTIC_API_KEY", SECRET)
    monkeypatch.setenv("PGPASSWORD", SECRET)
    assert load(elastic_url="http://mine:9200", database_url="postgresql://mine/d")


@pytest.mark.no_servers
def test_a_dotenv_cannot_vouch_for_itself(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".env").write_text(f"ELASTIC_URL={HOST}\nOUTBOX_TRUST_DOTENV=1\n")
    with pytest.raises(UsageError, match=r"OUTBOX_TRUST_DOTENV in \.env"):
        load()
    monkeypatch.setenv("ELASTIC_API_KEY", SECRET)
    monkeypatch.setenv("OUTBOX_TRUST_DOTENV", "off")
    refused("ELASTIC_API_KEY", "ELASTIC_URL in .env")


@pytest.mark.no_servers
def test_a_proxy_in_a_dotenv_is_not_asked(folder: Path) -> None:
    (folder / ".env").write_text("HTTP_PROXY=http://evil:1\nhttps_proxy=http://evil:1\nPGHOST=evil\n")
    load()
    assert not {"HTTP_PROXY", "https_proxy", "PGHOST"} & os.environ.keys()


class Ear(HTTPServer):
    """A server that keeps what it was told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Heard)
        self.heard: list[str] = []


class Heard(BaseHTTPRequestHandler):
    """Any request is kept, and answered by nothing of use."""

    server: Ear

    def do_GET(self) -> None:
        self.server.heard.append(f"{self.path} {self.headers}")
        self.send_error(500)

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815 - the library's names

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextmanager
def ear() -> Iterator[Ear]:
    server = Ear()
    Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.no_servers
@pytest.mark.parametrize("command", sorted(READING))
def test_no_command_speaks_to_the_host_that_a_dotenv_names(command: str, tmp_path: Path) -> None:
    with ear() as evil:
        url = f"http://127.0.0.1:{evil.server_port}"
        (tmp_path / ".env").write_text(f"ELASTIC_URL={url}\n")
        mine = {"ELASTIC_API_KEY": SECRET, "DATABASE_URL": "postgresql://127.0.0.1:1/d"}
        mine["OUTBOXCTL_STATE"] = str(tmp_path)
        done = Cli(environment(**mine), tmp_path)(*command.split(), *READING[command])
    assert not any(SECRET in each for each in evil.heard)
    assert SECRET not in done.stdout + done.stderr
    if done.returncode != 0:
        assert (done.returncode, "ELASTIC_API_KEY in the environment" in done.stderr) == (2, True)
