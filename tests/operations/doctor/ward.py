"""A patient for the doctor: brings findings about, and does what each finding says mends it."""

import os
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
import pytest

from outboxctl.operations.doctor.examination import examine
from outboxctl.operations.doctor.model import DoctorReport, End, Finding
from outboxctl.settings import load
from processes import OUTBOXCTL, environment

PASSED = (
    "DATABASE_URL",
    "OUTBOX_ENV",
    "ELASTIC_URL",
    "ELASTIC_API_KEY",
    "ELASTIC_USERNAME",
    "ELASTIC_PASSWORD",
)


@dataclass(frozen=True)
class Ward:
    """Settings are those of the process, so that what a finding says to export can be exported."""

    monkeypatch: pytest.MonkeyPatch
    url: str  # of one who may do everything

    def examine(self, *only: End, ignored: Sequence[str] = ()) -> DoctorReport:
        """The report of the settings as they are now."""
        return examine(load(), only=only, ignored=ignored)

    def ids(self, *only: End) -> list[str]:
        """The ids of what is found, each once."""
        return sorted({finding.id for finding in self.examine(*only).findings})

    def one(self, id_: str, *only: End) -> Finding:
        """The only finding of this id."""
        report = self.examine(*only)
        (found,) = [finding for finding in report.findings if finding.id == id_]
        return found

    def cures(self, id_: str, *only: End) -> Finding:
        """What the finding says mends it does."""
        found = self.one(id_, *only)
        self.do(found.mend)
        left = self.examine(*only).findings
        assert id_ not in [finding.id for finding in left], left
        return found

    def do(self, mend: str) -> None:
        """Type the command where it belongs: a shell with the settings, or psql."""
        if mend.startswith("export "):
            name, _, value = shlex.split(mend, comments=True)[1].partition("=")
            self.monkeypatch.setenv(name, value)
        elif mend.startswith(("curl ", "outboxctl ")):
            self._shell(mend)
        else:
            self._psql(mend)

    def _shell(self, command: str) -> None:
        own = {name: os.environ[name] for name in PASSED if name in os.environ}
        command = command.replace("curl ", "curl --silent --fail-with-body ", 1)
        command = command.replace("outboxctl ", f"{shlex.join(OUTBOXCTL)} ", 1)
        done = subprocess.run(
            ["bash", "-c", command],
            env=environment(**own),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"

    def _psql(self, statements: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements.partition("--")[0].split(";"):
                if statement.strip():
                    connection.execute(statement)
