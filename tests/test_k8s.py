"""The manifests of ops/k8s/ against themselves and against the program: names, ports, probes, rights, grace periods."""

import asyncio
import json
import re
import shutil
import socket
from asyncio.subprocess import DEVNULL
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops import manifests
from tests.conftest import REPO
from tests.manifests import COMPONENTS, K8S, container, documents, of_kind, only, pods, run, settings
from tests.wanted import lacking
from whatshooked import __version__
from whatshooked.boot import CONFIG_VARIABLE
from whatshooked.cli import serve, supervisor
from whatshooked.cli.main import build
from whatshooked.config import load
from whatshooked.config.environment import VARIABLES
from whatshooked.embedded.binary import find_binary
from whatshooked.errors import StreamUnavailable
from whatshooked.keys import GROUP, Keys
from whatshooked.stream.durability import Findings, examine
from whatshooked.stream.link import Link
from workers import process

OURS = ("whatshooked-web", "whatshooked-worker")


def labels(workload: str) -> dict[str, str]:
    """The labels of a workload's pods."""
    return dict(pods()[workload]["metadata"]["labels"])


def chosen(selector: dict[str, Any]) -> list[str]:
    """The workloads whose pods a selector chooses."""

    def fits(found: dict[str, str]) -> bool:
        wanted = selector.get("matchLabels", {}).items()
        ins = [(one["key"], one["values"]) for one in selector.get("matchExpressions", [])]
        return wanted <= found.items() and all(found.get(key) in values for key, values in ins)

    return [name for name in pods() if fits(labels(name))]


def ports(workload: str) -> dict[str, int]:
    """Name -> number of the ports of a workload's pods."""
    return {one["name"]: one["containerPort"] for one in container(workload)["ports"]}


def test_selectors_choose_the_pods_they_are_about() -> None:
    """A budget, policy, monitor or workload chooses the pods of the component in its own labels, and no others."""
    by_component = {labels(name)["app.kubernetes.io/component"]: name for name in pods()}
    found = 0
    for one in of_kind("Deployment", "StatefulSet", "PodDisruptionBudget", "PodMonitor", "NetworkPolicy"):
        spec = one["spec"]
        component = one["metadata"]["labels"].get("app.kubernetes.io/component")
        wanted = [by_component[component]] if component else list(OURS)
        assert sorted(chosen(spec.get("selector") or spec["podSelector"])) == wanted, one["metadata"]["name"]
        found += 1
    assert found == 11
    for name in OURS:
        spread = pods()[name]["spec"]["topologySpreadConstraints"]
        assert [chosen(one["labelSelector"]) for one in spread] == [[name], [name]]


def test_services_and_the_way_in_reach_ports_that_are_there() -> None:
    """Each Service finds its pods and a named port; the Ingress names a Service, and opens what Meta and hooks need."""
    for service in of_kind("Service"):
        (name,) = chosen({"matchLabels": service["spec"]["selector"]})
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports(name).keys()
    rules = only("Ingress", "whatshooked")["spec"]["rules"]
    paths = [path for rule in rules for path in rule["http"]["paths"]]
    assert [path["path"] for path in paths] == ["/webhooks/whatsapp", "/api/media"]
    for path in paths:
        service = path["backend"]["service"]
        assert service["port"]["name"] in {one["name"] for one in only("Service", service["name"])["spec"]["ports"]}


def test_policies_and_monitors_name_ports_that_are_there() -> None:
    """A port by name that no pod has would quietly be closed, or scraped by nobody."""
    for policy in of_kind("NetworkPolicy"):
        opened = {port["port"] for rule in policy["spec"].get("ingress", []) for port in rule["ports"]}
        for name in chosen(policy["spec"]["podSelector"]):
            assert opened <= ports(name).keys(), policy["metadata"]["name"]
    for monitor in of_kind("PodMonitor"):
        (name,) = chosen(monitor["spec"]["selector"])
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        assert endpoint["port"] in ports(name)
        assert job_of(endpoint) == name


def job_of(endpoint: dict[str, Any]) -> str:
    """The job that a monitor's endpoint is given."""
    (job,) = endpoint["relabelings"]
    assert job["targetLabel"] == "job"
    return str(job["replacement"])


def test_the_web_monitor_finds_the_service() -> None:
    """It chooses one Service by its labels, and a port of that Service which leads to the pods' metrics."""
    monitor = only("ServiceMonitor", "whatshooked-web")["spec"]
    wanted = monitor["selector"]["matchLabels"].items()
    (service,) = (one for one in of_kind("Service") if wanted <= one["metadata"]["labels"].items())
    (endpoint,) = monitor["endpoints"]
    (port,) = (one for one in service["spec"]["ports"] if one["name"] == endpoint["port"])
    (workload,) = chosen({"matchLabels": service["spec"]["selector"]})
    assert (port["targetPort"], port["port"]) == ("metrics", ports(workload)["metrics"])
    assert job_of(endpoint) == workload


def test_the_volume_s_alarm_is_about_the_volume_there_is(tmp_path: Path) -> None:
    """It names the claim that the StatefulSet makes and a section of the runbook, and comes and goes as it fills."""
    valkey = only("StatefulSet", "whatshooked-valkey")
    (claim,) = valkey["spec"]["volumeClaimTemplates"]
    name = f"{claim['metadata']['name']}-{valkey['metadata']['name']}-0"
    rules = only("PrometheusRule", "whatshooked-volumes")["spec"]
    (rule,) = rules["groups"][0]["rules"]
    assert rule["annotations"]["runbook"].removeprefix("ops/RUNBOOK.md#") in {
        line.lstrip("# ").lower() for line in (REPO / "ops" / "RUNBOOK.md").read_text().splitlines()
    }
    promtool = shutil.which("promtool")
    if promtool is None:
        lacking("no promtool: Debian has it in prometheus")
    labels = f'{{namespace="n", persistentvolumeclaim="{name}"}}'
    series = [
        {"series": f"kubelet_volume_stats_available_bytes{labels}", "values": "50x9 20x19 50x9"},
        {"series": f"kubelet_volume_stats_capacity_bytes{labels}", "values": "100x60"},
    ]
    found = {"exp_labels": {"severity": "page", "namespace": "n", "persistentvolumeclaim": name}}
    about = {key: rule["annotations"][key] for key in ("description", "runbook")}
    firing = found | {"exp_annotations": about | {"summary": f"The volume {name} has 20% left"}}
    at = [("5m", []), ("12m", []), ("16m", [firing]), ("32m", [])]
    steps = [{"eval_time": time, "alertname": rule["alert"], "exp_alerts": alerts} for time, alerts in at]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules))
    test = {
        "rule_files": ["rules.yml"],
        "tests": [{"interval": "1m", "input_series": series, "alert_rule_test": steps}],
    }
    (tmp_path / "test.yml").write_text(yaml.safe_dump(test))
    said = run(str(promtool), "test", "rules", "test.yml", cwd=tmp_path)
    assert said.returncode == 0, said.stdout + said.stderr


@pytest.mark.parametrize("name", OURS)
def test_what_runs_is_a_command_of_ours_with_variables_that_are_read(name: str) -> None:
    """The image's version is the program's; its arguments and the probe's are understood; the ports fit together."""
    found = container(name)
    assert found["image"] == f"whatshooked:{__version__}"
    assert build().parse_args(found["args"]).does is not None
    env = {one["name"]: one["value"] for one in found["env"]}
    assert env.pop("XDG_RUNTIME_DIR") in {one["mountPath"] for one in found["volumeMounts"]}
    assert env == {"WHATSHOOKED_CONFIG": "/etc/whatshooked/config.json", "WHATSHOOKED_METRICS_PORT": "9464"}
    assert ports(name)["metrics"] == int(env["WHATSHOOKED_METRICS_PORT"])
    assert {*env, "WHATSHOOKED_REDIS_URL"} <= {CONFIG_VARIABLE, *VARIABLES}
    assert found["envFrom"] == [{"secretRef": {"name": "whatshooked"}}]


def test_probes_ask_what_is_there() -> None:
    """Web: routes of ours, and readiness alone asks Redis. Worker: the command, at the port of the metrics."""
    web, worker = container("whatshooked-web"), container("whatshooked-worker")
    asked = {kind: web[kind]["httpGet"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {kind: one["path"] for kind, one in asked.items()} == {
        "startupProbe": "/health",
        "livenessProbe": "/health",
        "readinessProbe": "/ready",
    }
    assert {one["port"] for one in asked.values()} == {"http"}
    assert {probe for probe in worker if probe.endswith("Probe")} == {"livenessProbe"}
    program, *arguments = worker["livenessProbe"]["exec"]["command"]
    options = build().parse_args(arguments)
    assert (program, options.worker, options.port) == ("whatshooked", True, ports("whatshooked-worker")["metrics"])


def test_who_stops_has_time_to_finish() -> None:
    """The grace period is longer than what a process takes at most, and for web than preStop and its requests."""
    worker, web = pods()["whatshooked-worker"]["spec"], pods()["whatshooked-web"]["spec"]
    assert worker["terminationGracePeriodSeconds"] > max(supervisor.PATIENCE, process.GRACE + 15)
    pre_stop = container("whatshooked-web")["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert web["terminationGracePeriodSeconds"] > pre_stop + serve.GRACE + 10


def test_pods_have_no_right_they_do_not_need() -> None:
    """Not root, nothing to write but their volumes, no capabilities, no token of the cluster, memory within a bound."""
    assert len(pods()) == 3
    for name, pod in pods().items():
        spec, one = pod["spec"], container(name)
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        assert one["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert one["resources"]["requests"].keys() == {"cpu", "memory"}
        assert one["resources"]["limits"].keys() == {"memory"}


def test_every_volume_is_there_and_used() -> None:
    """No mount without its volume, no volume without a mount."""
    for workload in of_kind("Deployment", "StatefulSet"):
        spec = workload["spec"]
        claims = [one["metadata"]["name"] for one in spec.get("volumeClaimTemplates", [])]
        volumes = [one["name"] for one in spec["template"]["spec"]["volumes"]] + claims
        mounts = [one["name"] for one in container(workload["metadata"]["name"])["volumeMounts"]]
        assert sorted(volumes) == sorted(mounts)


def test_a_node_can_be_drained() -> None:
    """A budget lets at least one pod go whatever their number; while none is ready it holds nobody back."""
    for budget in of_kind("PodDisruptionBudget"):
        spec = budget["spec"]
        assert (spec["maxUnavailable"], spec["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")
        assert "minAvailable" not in spec
    for name in OURS:
        spec = only("Deployment", name)["spec"]
        assert spec["replicas"] > 1
        assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_keda_asks_for_the_stream_that_workers_read() -> None:
    """Stream and group are those of the default prefix; address and password are variables of the Secret."""
    scaled = only("ScaledObject", "whatshooked-worker")["spec"]
    assert scaled["scaleTargetRef"] == {"name": "whatshooked-worker"}
    stream = scaled["triggers"][0]["metadata"]
    assert (stream["stream"], stream["consumerGroup"]) == (Keys().events, GROUP)
    assert {stream["addressFromEnv"], stream["passwordFromEnv"]} <= settings().keys()
    assert 1 <= scaled["minReplicaCount"] < scaled["maxReplicaCount"]


def test_the_example_s_config_is_one_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """It loads without a fault or warning; each variable it names is in the Secret, and none there is for nobody."""
    for name, value in settings().items():
        monkeypatch.setenv(name, value)
    loaded = load(K8S / "example" / "config.json", environ=settings())
    assert loaded.warnings == ()
    assert loaded.config.server.port == ports("whatshooked-web")["http"]
    assert (loaded.config.media.storage or "").startswith("s3://")
    named = set(re.findall(r"env:(\w+)", (K8S / "example" / "config.json").read_text()))
    by_others = {"WHATSHOOKED_REDIS_URL", "REDIS_PASSWORD", "REDIS_ADDRESS"}
    assert settings().keys() - {name for name in settings() if name.startswith("AWS_")} == named | by_others


def test_the_example_s_secrets_fit_together() -> None:
    """One password, one server: in the URL, for the server itself and for KEDA."""
    found = settings()
    host = only("Service", "whatshooked-valkey")["metadata"]["name"]
    assert found["WHATSHOOKED_REDIS_URL"] == f"redis://:{found['REDIS_PASSWORD']}@{host}:6379/0"
    namespace = only("Namespace", "whatshooked")["metadata"]["name"]
    assert found["REDIS_ADDRESS"] == f"{host}.{namespace}.svc.cluster.local:6379"
    keys = [one["valueFrom"]["secretKeyRef"] for one in container("whatshooked-valkey")["env"]]
    assert keys == [{"name": "whatshooked", "key": "REDIS_PASSWORD"}] * 2


def test_every_file_is_used() -> None:
    """Each kustomization names files that are there, and every manifest is named by one; the example names all."""
    for kustomization in K8S.rglob("kustomization.yaml"):
        folder, said = kustomization.parent, yaml.safe_load(kustomization.read_text())
        resources = {name for name in said["resources"] if name.endswith(".yaml")}
        assert resources == {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
        for generator in said.get("configMapGenerator", []):
            assert all((folder / name).exists() for name in generator["files"])
    offered = re.findall(r"- \.\./components/(\w+)", (K8S / "example/kustomization.yaml").read_text())
    assert sorted(offered) == COMPONENTS


def test_what_is_made_of_other_files_is_up_to_date() -> None:
    """redis.conf and the alarms are those of ops/: `python -m ops.manifests` after a change."""
    assert {path: path.read_text() for path in manifests.copies()} == manifests.copies()


def test_the_server_has_room_for_a_rewrite() -> None:
    """The memory that it may use is half of its container's."""
    (most,) = re.findall(r"^maxmemory (\d+)gb$", (K8S / "components/valkey/redis.conf").read_text(), re.MULTILINE)
    assert container("whatshooked-valkey")["resources"]["limits"]["memory"] == f"{2 * int(most)}Gi"


async def test_the_server_takes_its_command_line(tmp_path: Path) -> None:
    """A real server with the component's arguments asks for the password, writes at once and throws nothing away."""
    found = container("whatshooked-valkey")
    conf = tmp_path / "redis.conf"
    conf.write_text((K8S / "components/valkey/redis.conf").read_text().replace("dir /data", f"dir {tmp_path}"))
    given = [argument.replace("$(REDIS_PASSWORD)", "long-enough") for argument in found["args"]]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    here = ["--port", str(port), "--bind", "127.0.0.1"]
    server = await asyncio.create_subprocess_exec(find_binary().path, conf, *given, *here, stdout=DEVNULL)
    try:
        async with asyncio.timeout(20), Link(f"redis://:long-enough@127.0.0.1:{port}") as link:
            while not (said := await durable(link)):
                await asyncio.sleep(0.05)
        assert said == Findings((), ())
        async with Link(f"redis://127.0.0.1:{port}") as stranger:
            with pytest.raises(StreamUnavailable, match="Authentication required"):
                await stranger.call("PING")
    finally:
        server.terminate()
        await server.wait()


async def durable(link: Link) -> Findings | None:
    """What the gateway would say of the server, once it answers."""
    try:
        return await examine(link)
    except StreamUnavailable:
        return None


def test_no_two_manifests_have_one_name() -> None:
    """Nor does any bring a namespace or an image of its own."""
    names = [(one["kind"], one["metadata"]["name"]) for one in documents()]
    assert len(names) == len(set(names))
    assert [one for one in documents() if "namespace" in one["metadata"]] == []


def test_the_image_s_user_is_the_pods_user() -> None:
    """The number in the Dockerfile is the one that owns the volumes; its folder is where they are mounted."""
    text = (REPO / "ops" / "Dockerfile").read_text()
    (user,) = re.findall(r"^USER (\d+)", text, re.MULTILINE)
    (folder,) = re.findall(r"^WORKDIR (\S+)", text, re.MULTILINE)
    for name in OURS:
        assert pods()[name]["spec"]["securityContext"]["runAsUser"] == int(user)
        assert folder in {one["mountPath"] for one in container(name)["volumeMounts"]}


def test_the_lock_of_the_schemas_holds_hashes_and_no_address() -> None:
    """As the Python locks: every package by hash, and no registry's name."""
    lock = json.loads(Path(K8S / "schemas" / "package-lock.json").read_text())
    packages = [one for name, one in lock["packages"].items() if name]
    assert len(packages) > 20
    assert all(one["integrity"].startswith("sha512-") and "resolved" not in one for one in packages)
