"""`make test-engines`: the contract on a real server of each kind, one after the other."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from each_engine import Count, on_each, pytest_run, say
from outboxctl.drills import services
from outboxctl.drills.services.engines import RELEASES

PATIENCE = 600  # seconds for one engine
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")  # see `servers`


def main(chosen: list[str]) -> int:
    """0 if the contract holds on every chosen kind, all by default."""
    return on_each((kind for kind in RELEASES if kind in chosen or not chosen), "contract", _tested)


def _tested(kind: Any, report: Path) -> Count:
    with _servers(kind, report.with_suffix(".state")) as where:
        env = where | {"OUTBOXCTL_TEST_ENGINE": kind}
        return pytest_run(Path(__file__).parent, report.with_suffix(".xml"), env, seconds=PATIENCE)


@contextmanager
def _servers(kind: Any, state: Path) -> Iterator[dict[str, str]]:
    both = services.up(state, search=kind, fresh_ports=True, fast=True, say=say)
    try:
        yield {
            "TEST_DATABASE_URL": both.postgres.admin_url.partition("?")[0],
            "TEST_ELASTIC_URL": both.search.url,
        }
    finally:
        services.down(state, purge=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
