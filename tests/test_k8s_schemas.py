"""The manifests of ops/k8s/ against the schemas of Kubernetes and of the operators, each alone and put together."""

import importlib
import itertools
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.manifests import COMPONENTS, CUSTOM, K8S, Document, built, copied, documents, only, run
from tests.wanted import lacking

#: The oldest release that knows all we use; newer ones are those that the package of schemas has.
OLDEST = "1.30"


def schemas() -> Any:
    """The package that checks; it comes with the environment of the continuous integration alone."""
    try:
        return importlib.import_module("kubernetes_validate")
    except ImportError:
        lacking("no kubernetes-validate: sh ops/setup.sh ci")


def check(found: list[Document], version: str) -> None:
    """Hold manifests against one release; unknown fields are faults, too."""
    for one in found:
        if one["apiVersion"] not in CUSTOM:
            schemas().validate(one, version, strict=True)


def releases() -> list[str]:
    """The releases from the oldest to the newest that the package has, as 1.30."""
    known = [".".join(version.split(".")[:2]) for version in schemas().utils.all_versions()]
    return sorted({version for version in known if _number(version) >= _number(OLDEST)}, key=_number)


def _number(version: str) -> int:
    return int(version.split(".")[1])


def test_every_manifest_is_one_of_every_release() -> None:
    """Strictly, from 1.30 to the newest release that the package has."""
    assert len(releases()) >= 8
    for version in releases():
        check(list(documents()), version)


def test_a_wrong_manifest_is_seen() -> None:
    """An unknown field and a wrong type are faults: the check can fail."""
    for change in ({"replica": 2}, {"replicas": "two"}):
        good = only("Deployment", "whatshooked-web")
        bad = good | {"spec": good["spec"] | change}
        with pytest.raises(schemas().ValidationError):
            check([bad], OLDEST)


@pytest.mark.parametrize("chosen", [[], ["valkey", "ingress"], COMPONENTS], ids=lambda names: "+".join(names) or "base")
def test_the_example_can_be_put_together(chosen: list[str], tmp_path: Path) -> None:
    """With the components it takes, with none and with all: each reference follows the names that kustomize makes."""
    example = copied(tmp_path)
    text = (example / "kustomization.yaml").read_text()
    lines = "".join(f"  - ../components/{name}\n" for name in chosen)
    text = re.sub(r"components:\n(?: .*\n)+", f"components:\n{lines}" if chosen else "", text)
    (example / "kustomization.yaml").write_text(text)
    found = built(example)
    for version in (OLDEST, releases()[-1]):
        check(found, version)
    names = {(one["kind"], one["metadata"]["name"]) for one in found}
    for one in found:
        if one["kind"] in ("Deployment", "StatefulSet"):
            assert set(references(one["spec"]["template"]["spec"])) <= names
    workers = next(
        one for one in found if one["metadata"]["name"] == "whatshooked-worker" and one["kind"] == "Deployment"
    )
    assert ("replicas" in workers["spec"]) is ("keda" not in chosen)
    data = next(one for one in workers["spec"]["template"]["spec"]["volumes"] if one["name"] == "data")
    assert data.keys() - {"name"} == ({"persistentVolumeClaim"} if "files" in chosen else {"emptyDir"})
    assert {one["metadata"].get("namespace", "whatshooked") for one in found} == {"whatshooked"}


def references(pod: Document) -> list[tuple[str, str]]:
    """The Secrets, ConfigMaps and claims that a pod names."""
    containers = pod["containers"]
    sources = [source["secretRef"]["name"] for one in containers for source in one.get("envFrom", [])]
    values = [value["valueFrom"] for one in containers for value in one.get("env", []) if "valueFrom" in value]
    sources += [value["secretKeyRef"]["name"] for value in values]
    maps = [one["configMap"]["name"] for one in pod["volumes"] if "configMap" in one]
    claims = [one["persistentVolumeClaim"]["claimName"] for one in pod["volumes"] if "persistentVolumeClaim" in one]
    kinds = (("Secret", sources), ("ConfigMap", maps), ("PersistentVolumeClaim", claims))
    return list(itertools.chain.from_iterable([(kind, name) for name in names] for kind, names in kinds))


def test_a_change_of_the_config_renews_the_pods(tmp_path: Path) -> None:
    """The name of the ConfigMap in the pods follows its content."""

    def named(found: list[Document]) -> str:
        workers = next(one for one in found if one["kind"] == "Deployment")
        return dict(references(workers["spec"]["template"]["spec"]))["ConfigMap"]

    example = copied(tmp_path)
    before = named(built(example))
    (example / "config.json").write_text("{}")
    assert named(built(example)) != before


def test_how_workers_come_and_go_is_what_kubernetes_takes() -> None:
    """KEDA hands `behavior` on to a HorizontalPodAutoscaler, whose schema knows its fields."""
    behavior = only("ScaledObject", "whatshooked-worker")["spec"]["advanced"]["horizontalPodAutoscalerConfig"][
        "behavior"
    ]
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "any"}
    scaler = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "any"}}
    for version in releases():
        check([scaler | {"spec": {"scaleTargetRef": target, "maxReplicas": 2, "behavior": behavior}}], version)


@pytest.fixture(scope="module")
def operators(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the operators' schemas, by the lock in ops/k8s/schemas/."""
    if not os.environ.get("WHATSHOOKED_CI"):
        pytest.skip("31 MB of schemas are fetched: with WHATSHOOKED_CI=1 alone")
    npm = shutil.which("npm")
    if npm is None:
        lacking("no npm: install Node 20 or newer")
    folder = tmp_path_factory.mktemp("operators") / "schemas"
    shutil.copytree(K8S / "schemas", folder)
    said = run(str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=folder)
    assert said.returncode == 0, said.stderr
    return folder


def faults(operators: Path, found: list[Document]) -> list[str]:
    """What the operators' schemas say against manifests."""
    said = run("node", "check.mjs", cwd=operators, stdin=json.dumps(found))
    assert said.stderr == ""
    assert (said.returncode == 0) is (said.stdout == "")
    return said.stdout.splitlines()


def test_custom_resources_are_what_their_operators_take(operators: Path) -> None:
    """KEDA's and the Prometheus operator's own types; a wrong type, a wrong value and an unknown field are seen."""
    found = [one for one in documents() if one["apiVersion"] in CUSTOM]
    kinds = ["PodMonitor", "PrometheusRule", "PrometheusRule", "ScaledObject", "ServiceMonitor"]
    assert sorted(one["kind"] for one in found) == kinds
    assert faults(operators, found) == []
    scaled, monitor = only("ScaledObject", "whatshooked-worker"), only("PodMonitor", "whatshooked-worker")
    bad = [scaled | {"spec": scaled["spec"] | {"minReplicaCount": "2"}}]
    bad += [scaled | {"spec": scaled["spec"] | {"pollingIntervall": 2}}]
    bad += [monitor | {"spec": monitor["spec"] | {"podMetricsEndpoints": [{"interval": "often"}]}}]
    assert [line.split(": ")[0] for line in faults(operators, bad)] == [
        "ScaledObject/whatshooked-worker/spec/minReplicaCount",
        "ScaledObject/whatshooked-worker/spec/pollingIntervall",
        "PodMonitor/whatshooked-worker/spec/podMetricsEndpoints/0/interval",
    ]
