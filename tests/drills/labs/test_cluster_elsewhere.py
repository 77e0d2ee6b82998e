"""Labs of a cluster where there can be none."""

import json
from pathlib import Path

import pytest

from outboxctl.drills.labs.catalogue import ALL, CLUSTER, LABS
from outboxctl.drills.labs.model import Need
from processes import Cli, environment


def test_without_maven_a_lab_of_a_cluster_says_what_it_needs_and_is_inconclusive(tmp_path: Path) -> None:
    cli = Cli(environment(OUTBOXCTL_STATE=str(tmp_path)), tmp_path)
    done = cli("lab", "run", "cluster-primary-killed", "--search", "noida", "--json")
    (record,) = json.loads(done.stdout)["records"]
    assert (done.returncode, record["verdict"]) == (5, "INCONCLUSIVE")
    assert record["why"] == f"it needs {Need.OWN_CLUSTER}, and that takes Maven and a JDK"


@pytest.mark.no_servers
def test_all_has_no_lab_of_a_cluster_and_every_other() -> None:
    assert set(ALL) | set(CLUSTER) == set(LABS)
    assert not set(ALL) & set(CLUSTER)
    assert {lab for lab in LABS if Need.OWN_CLUSTER in lab.needs} <= set(CLUSTER)
    assert all(lab.name.startswith("cluster-") for lab in CLUSTER)
