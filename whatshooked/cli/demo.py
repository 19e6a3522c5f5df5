"""The demo of a `run` without a config: a simulated Meta, an account of it, and a hook that answers "echo: ..."."""

import json
import os
import secrets
import shlex
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from whatshooked import logs
from whatshooked.cli.demo_folder import Held, usable
from whatshooked.cli.program import program
from whatshooked.cli.supervisor import Child
from whatshooked.errors import ConfigError
from whatshooked.meta.signature import sign

log = logs.get("demo")

#: The number of the simulator's own world.
_NUMBER_ID = "100000000000001"
_WABA_ID, _APP_ID = "200000000000001", "300000000000001"
_PHONE = "15550100001"
#: Where the phone looks for a simulator unless told otherwise.
_PORT = 8081
_SECRETS = ("app_secret", "verify_token", "access_token")
_VARIABLE = "WHATSHOOKED_DEMO_"
#: What flows at once, and the steps of a welcome between two of them.
_OPENING = (
    {"kind": "text", "text": "Hello, are you open today?"},
    {"kind": "image"},
    {"kind": "text", "text": "Thanks!"},
)
_BETWEEN = 4


@dataclass(frozen=True)
class Demo:
    """The demo's folder, the ports where it, its simulator and its receiver listen, and its secrets by name."""

    folder: Held
    #: The gateway's.
    port: int
    simulator: int
    receiver: int
    secrets: dict[str, str]
    #: The newcomer's own hook, "" for the sample.
    hook: str = ""

    @property
    def config(self) -> Path:
        """Return the config file."""
        return self.folder.path / "config.json"

    @property
    def simulated(self) -> str:
        """Return the simulator's address."""
        return f"http://127.0.0.1:{self.simulator}"


def wanted_port() -> int:
    """Return the gateway's port, of the variable PORT; raises ConfigError."""
    wanted = os.environ.get("PORT") or "8080"
    if not (wanted.isdecimal() and wanted.isascii() and int(wanted) <= 65535):
        raise ConfigError(f"PORT: expected a port from 0 to 65535, got {wanted!r}; {other_port()}")
    return int(wanted)


def other_port() -> str:
    """Return how another port is taken."""
    return f"take another, as in PORT=9000 {_run()}"


def prepare(folder: Held, port: int, hook: str = "") -> Demo:
    """Write the demo's config; its secrets stay the same from run to run. Raises StartError."""
    kept = _kept_secrets(folder.path / "config.json")
    known = {name: kept.get(name) or _made() for name in _SECRETS}
    demo = Demo(folder, port, _free_port(_PORT), _free_port(), known, hook)
    with usable(folder.path):
        descriptor = os.open(demo.config, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(_document(demo), file, indent=2)
    return demo


def children(demo: Demo, address: str) -> list[Child]:
    """Return the demo's own processes: the simulated Meta and the sample receiver."""
    os.environ |= {_VARIABLE + name.upper(): value for name, value in demo.secrets.items()}
    simulator = [sys.executable, "-m", "whatshooked.simulator", "--port", str(demo.simulator)]
    simulator += ["--callback", f"{address}/webhooks/whatsapp/demo"]
    # It remembers who wrote when: a reply that was kept over a restart may still be sent.
    simulator += ["--state", str(demo.folder.path / "meta.json")]
    for option, name in (("verify-token", "verify_token"), ("app-secret", "app_secret"), ("token", "access_token")):
        simulator += [f"--{option}", f"env:{_VARIABLE}{name.upper()}"]
    receiver = [sys.executable, "-m", "whatshooked.simulator.demo.receiver", str(demo.receiver), demo.simulated]
    return [Child("simulator", simulator), Child("receiver", receiver)]


def begin(demo: Demo) -> Iterator[None]:
    """Let the first messages flow, step by step; without them the newcomer can still write some."""
    with httpx.Client(base_url=demo.simulated, trust_env=False, timeout=5) as client:
        for message in _OPENING:
            try:
                client.post("/_sim/inbound", json=message).raise_for_status()
            except httpx.HTTPError as error:
                log.warn("The simulated Meta does not answer", address=demo.simulated, error=str(error))
                return
            for _ in range(_BETWEEN):
                yield


def welcome(address: str, demo: Demo) -> str:
    """Return what a newcomer sees: where things are, what to do next, and a line to copy."""
    body = sample_body("Hello from curl", int(time.time()))
    key = json.loads(demo.config.read_text())["server"]["auth_key"]
    phone = f"{program()} simulate phone" + ("" if demo.simulator == _PORT else f" --sim {demo.simulated}")
    hook = demo.hook or 'the sample, which answers "echo: ..."'
    first = f"stop this one first (Ctrl-C), then {_run('http://localhost:3000/x')}"
    own = "" if demo.hook else f"\n    your own hook       {first}"
    return f"""
  WhatsHooked is ready, with a simulated Meta and a demo account. The lines marked #1, #2 ... are the path of each
  message: in, stored, delivered, reply, ticks. A few come by themselves now.

    gateway   {address}                webhook   {address}/webhooks/whatsapp/demo
    metrics   {address}/metrics        API       {address}/schema
    Meta      {demo.simulated} (simulated)
    hook      {hook}
    cache     curl -H 'X-API-Key: {key}' {address}/api/cache
    config    {demo.config}

  What next:

    chat as a customer  {phone}   (from another terminal, in this folder){own}
    watch what happens  {program()} tail -c {demo.config}   (and `log`, `stats`)
    a real number       {program()} init, then {program()} doctor (docs/setup.md)

  A signed sample message by hand; sent a second time it is known already, and not delivered twice:

curl -i -X POST {address}/webhooks/whatsapp/demo -H 'Content-Type: application/json' \\
  -H 'X-Hub-Signature-256: {sign(body.encode(), demo.secrets["app_secret"])}' \\
  -d {shlex.quote(body)}

  Ctrl-C stops everything.
"""


def _run(hook: str = "") -> str:
    """Return what starts a demo here, with a hook of the newcomer's own if one is given."""
    if program() == "bin/whatshooked":  # in the clone itself, where the Makefile is
        return f"make run HOOK={hook}" if hook else "make run"
    return f"{program()} run --hook {hook}" if hook else f"{program()} run"


def sample_body(text: str, now: int) -> str:
    """Return a webhook body as Meta sends it, with one text message."""
    message = {
        "from": "15550100002",
        "id": f"wamid.DEMO{secrets.token_hex(8).upper()}",
        "timestamp": str(now),
        "type": "text",
        "text": {"body": text},
    }
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": _PHONE, "phone_number_id": _NUMBER_ID},
        "contacts": [{"profile": {"name": "Ana"}, "wa_id": "15550100002"}],
        "messages": [message],
    }
    entry = {"id": _WABA_ID, "changes": [{"field": "messages", "value": value}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}, separators=(",", ":"))


def _document(demo: Demo) -> dict[str, Any]:
    api = {
        "phone_number_id": _NUMBER_ID,
        "business_account_id": _WABA_ID,
        "app_id": _APP_ID,
        "graph_url": demo.simulated,
        **demo.secrets,
    }
    return {
        "server": {"host": "127.0.0.1", "port": demo.port, "auth_key": secrets.token_hex(16)},
        "whatsapp": [{"id": "demo", "type": "business-api", "phone_number": f"+{_PHONE}", "business_api": api}],
        "hooks": [
            _hook("hook", "Your hook", demo.hook, ["message.*"])
            if demo.hook
            else _hook("sample", "Sample receiver", f"http://127.0.0.1:{demo.receiver}/hook", ["message.*"]),
            _hook(
                "story",
                "Tells the path of each message",
                f"http://127.0.0.1:{demo.receiver}/story",
                ["message.received", "hook.success", "hook.failed"],
            ),
        ],
        "media": {"data_path": str(demo.folder.path / "media")},
        "message_cache": {"data_path": str(demo.folder.path / "message_cache")},
        "event_logger": {"enabled": True, "file_dir": str(demo.folder.path / "events")},
    }


def _hook(hook_id: str, name: str, url: str, events: list[str]) -> dict[str, Any]:
    return {"id": hook_id, "name": name, "url": url, "method": "POST", "active": True, "events": events}


def _kept_secrets(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text())["whatsapp"][0]["business_api"]
        return {name: found[name] for name in _SECRETS if isinstance(found.get(name), str)}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def _made() -> str:
    return secrets.token_hex(20)


def _free_port(wanted: int = 0) -> int:
    """Return a free port of loopback, `wanted` if nobody listens there."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    return 0
