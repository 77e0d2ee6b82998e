"""The Kubernetes manifests: valid, strict, and in step with the worker that they run."""

import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from kubernetes_validate import latest_version, validate

from outboxctl.metrics.registry import Metrics
from outboxctl.settings import Settings, env_names, is_secret

Manifest = dict[str, Any]
pytestmark = [
    pytest.mark.no_servers,
    pytest.mark.skipif(not shutil.which("kubectl"), reason="needs kubectl, which builds the manifests"),
]
ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/kubernetes"
SCHEMAS = Path(__file__).parent / "schemas"
OLDEST = "1.31"  # of Kubernetes: PodDisruptionBudget's unhealthyPodEvictionPolicy became stable
NEWEST = latest_version()  # that the validator knows
SECRETS = {"outboxctl": "/run/secrets/outboxctl", "outboxctl-owner": "/run/secrets/outboxctl-owner"}


@cache
def built(name: str = "overlays/example") -> list[Manifest]:
    """What `kubectl apply -k` would send."""
    command = ["kubectl", "kustomize", str(FOLDER / name)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def the(kind: str) -> Manifest:
    (found,) = [each for each in built() if each["kind"] == kind]
    return found


def pods() -> dict[str, Manifest]:
    """The pod templates, by the kind that makes them."""
    return {kind: the(kind)["spec"]["template"] for kind in ("Deployment", "Job")}


def container(kind: str) -> Manifest:
    (only,) = pods()[kind]["spec"]["containers"]
    return dict(only)


@pytest.mark.parametrize("name", ["base", "overlays/example"])
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kubernetes_takes_every_manifest(name: str, version: str) -> None:
    for manifest in built(name):
        own = SCHEMAS / f"{manifest['kind']}.json"
        if own.exists():  # kinds of the Prometheus operator and of KEDA
            jsonschema.validate(manifest, json.loads(own.read_text()))
        else:
            validate(manifest, version, strict=True)


@pytest.mark.parametrize("kind", ["Deployment", "Job"])
def test_a_namespace_that_enforces_the_restricted_profile_takes_the_pods(kind: str) -> None:
    spec, own = pods()[kind]["spec"], container(kind)["securityContext"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert own["allowPrivilegeEscalation"] is False
    assert own["capabilities"] == {"drop": ["ALL"]}
    assert own["readOnlyRootFilesystem"]
    assert (spec["automountServiceAccountToken"], spec["enableServiceLinks"]) == (False, False)
    assert the("Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("kind", ["Deployment", "Job"])
def test_the_image_is_pinned_and_its_user_is_the_pod_s(kind: str) -> None:
    assert re.search(r":\d+\.\d+\.\d+$", container(kind)["image"])
    user = re.findall(r"^USER (\d+):\1$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    context = pods()[kind]["spec"]["securityContext"]
    assert {str(context[name]) for name in ("runAsUser", "runAsGroup", "fsGroup")} == set(user)


@pytest.mark.parametrize("kind", ["Deployment", "Job"])
def test_every_setting_exists_and_every_secret_is_a_file_that_is_mounted(kind: str) -> None:
    known = {name: field for field in Settings.model_fields for name in env_names(field)}
    given = the("ConfigMap")["data"] | {it["name"]: it.get("value") for it in container(kind).get("env", [])}
    for name, value in given.items():
        field = known[name.removesuffix("_FILE")]
        assert not is_secret(field) or name.endswith("_FILE") or "@" not in value, f"{name} is readable"
    mounts = {mount["name"]: mount["mountPath"] for mount in container(kind)["volumeMounts"]}
    volumes = {it["secret"]["secretName"]: mounts[it["name"]] for it in pods()[kind]["spec"]["volumes"]}
    assert volumes.items() <= SECRETS.items()
    paths = [value for value in given.values() if value and value.startswith("/")]
    assert all(str(Path(path).parent) in volumes.values() for path in paths)


def test_only_the_migration_is_the_owner_of_the_tables() -> None:
    assert container("Job")["args"][:2] == ["db", "upgrade"]
    assert "outboxctl-owner" not in json.dumps(the("Deployment"))


def test_an_outage_restarts_no_worker() -> None:
    worker = container("Deployment")
    for probe in ("startupProbe", "livenessProbe"):
        assert worker[probe]["httpGet"]["path"] == "/healthz", "which knows nothing of database and sink"
    assert worker["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert the("PodDisruptionBudget")["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert the("Service")["spec"]["publishNotReadyAddresses"], "its metrics are wanted then above all"


def test_a_worker_gets_the_time_to_stop_that_it_takes() -> None:
    grace = Settings.model_fields["shutdown_grace_seconds"].default
    assert pods()["Deployment"]["spec"]["terminationGracePeriodSeconds"] > grace


def test_what_selects_workers_selects_the_workers() -> None:
    labels = pods()["Deployment"]["metadata"]["labels"].items()
    spread = pods()["Deployment"]["spec"]["topologySpreadConstraints"]
    selectors = [the(kind)["spec"]["selector"] for kind in ("Deployment", "PodDisruptionBudget")]
    selectors += [constraint["labelSelector"] for constraint in spread]
    for chosen in [selector["matchLabels"] for selector in selectors] + [the("Service")["spec"]["selector"]]:
        assert chosen.items() <= labels
        assert not chosen.items() <= pods()["Job"]["metadata"]["labels"].items(), "not the migration"
    policy = the("NetworkPolicy")["spec"]["podSelector"]["matchLabels"].items()
    assert all(policy <= pod["metadata"]["labels"].items() for pod in pods().values()), "both may go out"


def test_the_job_has_the_name_that_the_rules_look_for() -> None:
    monitor, service = the("ServiceMonitor")["spec"], the("Service")
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert service["metadata"]["labels"][monitor["jobLabel"]] == "outboxctl"
    (port,) = service["spec"]["ports"]
    assert [endpoint["port"] for endpoint in monitor["endpoints"]] == [port["name"]]
    assert port["targetPort"] in [it["name"] for it in container("Deployment")["ports"]]


def test_the_rules_are_those_of_prometheus() -> None:
    rules = yaml.safe_load((ROOT / "deploy/prometheus/outbox.rules.yml").read_text())
    assert the("PrometheusRule")["spec"] == rules, "`make docs` puts them there"


def test_the_lag_of_several_workers_is_not_added_up() -> None:
    (trigger,) = the("ScaledObject")["spec"]["triggers"]
    aggregate, metric = re.findall(r"^(\w+)\((\w+)\{", trigger["metadata"]["query"])[0]
    assert aggregate == "max"
    assert f"# TYPE {metric} gauge" in Metrics().snapshot().decode()
    assert "replicas" not in the("Deployment")["spec"], "KEDA's number stays"
