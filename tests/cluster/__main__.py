"""`make test-cluster`: the tests of this folder on a cluster of each kind, one after the other."""

import sys
from pathlib import Path

from each_engine import Count, on_each, pytest_run
from outboxctl.drills.services.model import Kind

KINDS: tuple[Kind, ...] = ("opensearch", "elasticsearch", "elasticsearch8")
PATIENCE = 5_400  # seconds for one engine


def main(chosen: list[str]) -> int:
    """0 if the tests pass on every chosen kind, all by default."""
    return on_each((kind for kind in KINDS if kind in chosen or not chosen), "cluster", _tested)


def _tested(kind: Kind, report: Path) -> Count:
    env = {"TEST_CLUSTER_ENGINE": kind}
    return pytest_run(Path(__file__).parent, report.with_suffix(".xml"), env, seconds=PATIENCE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
