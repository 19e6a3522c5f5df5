"""compose.yaml and ops/Dockerfile, unmodified, really built and run: with podman, where there is no Docker.

Not seen here: Grafana, Caddy and PostgreSQL, whose images cannot be had without a registry; those of Python, Valkey,
Prometheus and Alertmanager are stand-ins (tests/stand_ins.py). The tests build on one another, in their order.
"""

import contextlib
import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests import podman, stand_ins
from tests.composed import Composed, query, wait_for
from tests.conftest import REPO
from tests.crossing import Crossing
from tests.podman import Podman
from tests.wanted import lacking

pytestmark = pytest.mark.slow

#: The user who owns the config of an installation that came from the earlier program.
OWNER = 4242
SECRET = "secret-of-an-app"


def absent() -> str:
    """Return what keeps these tests from running here, "" when nothing does."""
    programs = [name for name in stand_ins.PROGRAMS if shutil.which(name) is None]
    return podman.missing() or (f"not installed: {', '.join(programs)}" if programs else "")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    """All images, and a network in which their containers run."""
    if reason := absent():
        lacking(f"no containers here: {reason}")
    with podman.podman(tmp_path_factory.mktemp("compose") / "podman") as made:
        stand_ins.make_all(made)
        with made.apart():
            yield made


@pytest.fixture(scope="module")
def demo(place: Podman) -> Iterator[Composed]:
    """What `docker compose --profile demo up` starts."""
    project = Composed(place, "whatshooked", "demo")
    project.up()
    yield project
    project.down("--volumes")


@pytest.fixture
def crossing() -> Iterator[Crossing]:
    with Crossing("http://127.0.0.1:8079/webhooks/whatsapp/shop", SECRET) as found:
        yield found


def old_config(hook: str, redis: str = "") -> str:
    """Return a file as the earlier program had it: it knows nothing of metrics or of containers, nor of Redis.

    Unless `redis` names one, which only a newer file does.
    """
    api = {
        "phone_number_id": "100000000000001",
        "access_token": "token",
        "verify_token": "verify-token-of-thirty-two-chars",
        "app_secret": SECRET,
        "graph_url": "http://127.0.0.1:1",
    }
    account = {"id": "shop", "type": "business-api", "phone_number": "+15550100001", "business_api": api}
    crm = {"id": "crm", "name": "CRM", "url": hook, "method": "POST", "active": True, "events": ["message.received"]}
    media, cache = {"data_path": "./data/media"}, {"enabled": True, "data_path": "./data/message_cache"}
    server = {"host": "0.0.0.0", "port": 8080}
    document = {"server": server, "whatsapp": [account], "hooks": [crm], "media": media, "message_cache": cache}
    return json.dumps(document | ({"redis": {"url": redis}} if redis else {}))


def told(capsys: pytest.CaptureFixture[str], text: str) -> None:
    """Show a figure to whoever reads the run, which is why it was made."""
    with capsys.disabled():
        print(f"\n  {text}", end=" ")


def test_the_image(place: Podman, capsys: pytest.CaptureFixture[str]) -> None:
    """The image runs every command as nobody in particular, without a network, a right or a place to write."""
    found = json.loads(place.run("podman", "image", "inspect", "whatshooked"))[0]
    base = json.loads(place.run("podman", "image", "inspect", stand_ins.base_image()))[0]
    size, below = found["Size"] / 1e6, base["Size"] / 1e6
    told(capsys, f"image: {size:.0f} MB, {below:.0f} of them the stand-in for {stand_ins.base_image()}")
    assert size - below < 300
    assert found["Config"]["User"] == "10001:0"
    assert found["Config"]["Entrypoint"] == ["whatshooked"]
    assert found["Healthcheck"]["Test"] == ["CMD", "whatshooked", "health"]
    locked = ("--network=none", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")
    run = ("podman", "run", "--rm", *locked)
    assert place.run(*run, "whatshooked", "--version").startswith("whatshooked ")
    assert "usage" in place.run(*run, "--user=4242:0", "whatshooked", "simulate", "--help")
    # Nothing of the builder's, and no tool that installs more.
    held = place.run(*run, "--entrypoint=ls", "whatshooked", "/opt/whatshooked/app", "/opt/whatshooked/bin").split()
    assert {"whatshooked", "workers", "python"} < set(held)
    assert not {"pip", "tests", "config.json", ".git"} & set(held)


def test_the_demo_shows_traffic(demo: Composed) -> None:
    """`up` with the profile alone, in whatever order: messages flow, and Prometheus has what Grafana shows."""
    wait_for(lambda: "delivered" in demo.logs("receiver_1"), "the sample receiver tells of a delivery")
    wait_for(lambda: "echo: " in demo.logs("receiver_1"), "what the sample answers reaches the customers")
    accepted = 'sum(rate(whatshooked_attempts_total{hook="sample",result="accepted"}[1m])) > 0'
    wait_for(lambda: query(accepted), "Prometheus has the attempts at the sample")
    for job in ("whatshooked-web", "whatshooked-worker"):
        assert [value for _, value in query(f'up{{job="{job}"}}')] == [1.0]
    rules = query('count(ALERTS{alertstate="firing",alertname="WhatsHookedDown"})')
    assert not rules


#: Asks the gateway for customers as Grafana does, with the key that is given; prints status and answer.
_ASK = """
import sys
from urllib.error import HTTPError
from urllib.request import Request, urlopen
url, key = sys.argv[1:]
asked = Request(url + "/api/v1/query", b"query=whatshooked_customers", {"X-API-Key": key})
try:
    answer = urlopen(asked, timeout=10)
except HTTPError as error:
    answer = error
print(answer.status, answer.read().decode())
"""


def test_grafana_may_ask_whom_it_concerns(demo: Composed) -> None:
    """By the demo's key, from where Grafana stands, at the URL that its data source is told; a stranger may not."""
    compose = yaml.safe_load((REPO / "compose.yaml").read_text())
    told = {name: _default(text) for name, text in compose["services"]["grafana"]["environment"].items()}
    (source,) = yaml.safe_load((REPO / "grafana/provisioning/datasources/customers.yml").read_text())["datasources"]
    url, key = (
        re.sub(r"\$\{(\w+)\}", lambda found: told[found[1]], text)
        for text in (source["url"], source["secureJsonData"]["httpHeaderValue1"])
    )
    answer = demo.inside("simulator_1", "python", "-c", _ASK, url, key)
    assert answer.startswith("200 ") and json.loads(answer[4:])["status"] == "success"
    assert demo.inside("simulator_1", "python", "-c", _ASK, url, "another").startswith("401 ")


def _default(text: str) -> str:
    """Return what compose makes of a value while no variable is set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def test_every_service_is_locked_in(demo: Composed) -> None:
    """No container runs as root, has a right, can gain one, or can write outside of its volumes and /tmp."""
    found = demo.containers()
    assert len(found) == len(demo.services())
    for name, container in found.items():
        facts = dict(line.split(":", 1) for line in demo.inside(name, "cat", "/proc/1/status").splitlines())
        assert set(facts["Uid"].split()) & {"0"} == set(), name
        assert (int(facts["CapEff"], 16), int(facts["CapBnd"], 16), facts["NoNewPrivs"].strip()) == (0, 0, "1"), name
        assert container["HostConfig"]["ReadonlyRootfs"], name
        assert container["HostConfig"]["Memory"] and container["HostConfig"]["PidsLimit"], name


def test_health_checks_see_what_is_ill(demo: Composed) -> None:
    """The health checks pass, and fail for a process that stands still."""
    checked = [name for name, one in demo.containers().items() if one["Config"].get("Healthcheck", {}).get("Test")]
    assert {"web_1", "worker_1", "valkey_1", "simulator_1"} <= set(checked)
    for name in ("web_1", "worker_1", "valkey_1", "simulator_1"):
        wait_for(lambda name=name: demo.is_healthy(name), f"{name} is healthy")  # type: ignore[misc]
    web = demo.containers()["web_1"]["State"]["Pid"]
    os.kill(web, signal.SIGSTOP)
    try:
        assert not demo.is_healthy("web_1")
    finally:
        os.kill(web, signal.SIGCONT)
    wait_for(lambda: demo.is_healthy("web_1"), "the web process answers again")


def test_scaled_workers_are_found(demo: Composed) -> None:
    """With `--scale worker=4` Prometheus scrapes four workers, by DNS alone."""
    demo.up("worker", worker=4)
    wait_for(lambda: query('sum(up{job="whatshooked-worker"}) == 4'), "four workers are up in Prometheus")


def test_workers_are_as_many_as_env_says(place: Podman) -> None:
    """WHATSHOOKED_WORKERS makes so many of each `up`; `--scale` goes before it."""
    many = Composed(place, "many", port=8076, environ={"WHATSHOOKED_WORKERS": "3"})
    try:
        many.up("worker")
        assert {name for name in many.containers() if "worker" in name} == {f"worker_{n}" for n in (1, 2, 3)}
    finally:
        many.down("--volumes")
    other = Composed(place, "other", port=8076, environ={"WHATSHOOKED_WORKERS": "3"})
    try:
        other.up("worker", worker=2)
        assert {name for name in other.containers() if "worker" in name} == {"worker_1", "worker_2"}
    finally:
        other.down("--volumes")


@pytest.fixture
def shop(place: Podman, crossing: Crossing, tmp_path: Path) -> Iterator[Composed]:
    """A config of the earlier program whose hook is the crossing's; nothing of it runs yet."""
    file = tmp_path / "config.json"
    file.write_text(old_config(f"http://{podman.HERE}:{crossing.port}/hook"))
    file.chmod(0o600)
    os.chown(file, OWNER, OWNER)
    environ = {"WHATSHOOKED_CONFIG": str(file), "WHATSHOOKED_UID": str(OWNER)}
    made = Composed(place, "shop", port=8079, environ=environ)
    yield made
    made.down("--volumes")


def _begins(shop: Composed) -> None:
    """Start, or start again, and wait until webhooks are taken."""
    shop.up("web", "worker", "valkey")
    _is_ready(shop, "a start")


def _is_ready(shop: Composed, what: str) -> None:
    wait_for(lambda: shop.answers("/ready") == 200, f"ready after {what}")


def test_nothing_is_lost(shop: Composed, crossing: Crossing, capsys: pytest.CaptureFixture[str]) -> None:
    """A config of the earlier program runs as it is; restarts of each service and an upgrade lose nothing."""
    _begins(shop)
    crossing.begin()
    for service in ("web", "worker"):
        _keeps_flowing(crossing)
        shop.compose("restart", service)
        _is_ready(shop, f"a restart of {service}")
    _keeps_flowing(crossing)
    shop.compose("stop", "worker")  # so that there is much to lose
    _piles_up(crossing)
    shop.compose("restart", "valkey")
    _is_ready(shop, "a restart of valkey")
    _piles_up(crossing)
    shop.down()
    assert shop.answers("/ready") == 0
    _begins(shop)
    _keeps_flowing(crossing)
    _upgrade(shop)
    _is_ready(shop, "the upgrade")
    _keeps_flowing(crossing)
    crossing.stop()
    wait_for(lambda: not crossing.missing, f"what was answered 200 arrives ({len(crossing.missing)} missing)")
    repeats = len(crossing.arrived) - len(set(crossing.arrived))
    told(capsys, f"answered 200: {len(crossing.taken)}, arrived: all, twice: {repeats}, refused: {crossing.refused}")


def _upgrade(shop: Composed) -> None:
    """Replace web and worker by containers of another image, as `up -d --build` does after a change.

    podman-compose does not see by itself that an image is another, so it is told.
    """
    before = {name: one["Image"] for name, one in shop.containers().items()}
    stand_ins.make_another(shop.podman)
    shop.compose("up", "--detach", "--no-build", "--no-deps", "--force-recreate", "web", "worker")
    after = {name: one["Image"] for name, one in shop.containers().items()}
    assert {name for name in before if after[name] != before[name]} == {"web_1", "worker_1"}


def test_a_backup_comes_back(shop: Composed, crossing: Crossing, tmp_path: Path) -> None:
    """Copied under traffic, all volumes gone, and put back: what was acknowledged before the backup is delivered."""
    _begins(shop)
    crossing.begin()
    _keeps_flowing(crossing)
    shop.compose("stop", "worker")  # so that the backup alone has what has to be delivered
    _piles_up(crossing)
    waiting, kept = set(crossing.missing), tmp_path / "kept"
    made = shop.script("backup.sh", kept)
    assert made.returncode == 0, made.stderr
    assert kept.stat().st_mode & 0o077 == 0
    percentage = shop.inside("valkey_1", "valkey-cli", "CONFIG", "GET", "auto-aof-rewrite-percentage")
    assert percentage.split()[-1] == "100"
    done = len(crossing.taken)
    _piles_up(crossing)
    crossing.stop()
    shop.down("--volumes")
    restored = shop.script("restore.sh", kept)
    assert restored.returncode == 0, restored.stderr
    _begins(shop)
    wait_for(lambda: not waiting & crossing.missing, "what the backup holds arrives")
    assert not set(crossing.taken[done:]) & set(crossing.arrived)  # it was the backup that had them
    again = shop.script("restore.sh", kept)
    assert (again.returncode, "nothing was restored" in again.stderr) == (1, True)


def _piles_up(crossing: Crossing) -> None:
    """Wait until more messages are taken that nobody delivers."""
    before = len(crossing.missing)
    wait_for(lambda: len(crossing.missing) > before + 20, "messages pile up")


def _keeps_flowing(crossing: Crossing) -> None:
    """Wait until messages are taken and arrive that came after now."""
    before = len(crossing.taken)
    wait_for(lambda: len(crossing.taken) > before + 20, "messages are taken")
    wait_for(lambda: crossing.taken[before + 5] in crossing.arrived, "messages arrive")


def test_a_late_redis_is_borne(place: Podman, tmp_path: Path) -> None:
    """Web and worker that start long before their Redis wait for it, healthy; once it is there they are ready."""
    file = tmp_path / "config.json"
    file.write_text(old_config("http://127.0.0.1:1/", redis="redis://another:6379/0"))
    file.chmod(0o644)
    late = Composed(place, "late", port=8078, environ={"WHATSHOOKED_CONFIG": str(file)})
    with contextlib.ExitStack() as stack:
        stack.callback(late.down, "--volumes")
        late.up("web", "worker")
        wait_for(lambda: late.answers("/health") == 200, "the web process answers")
        assert late.answers("/ready") == 503
        wait_for(lambda: "not reached, waiting for it" in late.logs("worker_1"), "the worker says that it waits")
        wait_for(lambda: late.is_healthy("worker_1"), "a worker that waits is no ill one")
        another = ["--name=late_another", "--network=late_default", "--network-alias=another"]
        stack.callback(place.run, "podman", "rm", "--force", "--time=0", "late_another")
        image = stand_ins.services()["valkey"]["image"]
        place.run("podman", "run", "--detach", *another, image, "valkey-server", "--protected-mode", "no")
        wait_for(lambda: late.answers("/ready") == 200, "ready once Redis is there")
        wait_for(lambda: "Hook manager started" in late.logs("worker_1"), "the worker began")


def test_it_stops_in_time(place: Podman) -> None:
    """`stop` ends everything in order within its grace periods: nothing has to be killed.

    podman-compose stops all at once, so the worker has to do it without its server, which Docker stops last.
    """
    whole = Composed(place, "ending", port=8077)
    whole.up("web", "worker", "valkey")
    wait_for(lambda: "Hook manager started" in whole.logs("worker_1"), "the worker began")
    # The first process of a container hears no signal before it asks for it: a web that still starts would be killed.
    wait_for(lambda: whole.answers("/ready") == 200, "the web process answers")
    whole.compose("stop")
    ended = {name: one["State"]["ExitCode"] for name, one in whole.containers("--all").items()}
    assert ended == {"web_1": 0, "worker_1": 0, "valkey_1": 0}
    assert "Worker stopped" in whole.logs("worker_1")
    assert "Traceback" not in whole.logs("worker_1") + whole.logs("web_1")
    whole.down("--volumes")
