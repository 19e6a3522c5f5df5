"""The demo of a `run` without a config: an account, a hook to the sample receiver, and a signed message to send."""

import json
import os
import secrets
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from whatshooked.meta.signature import sign

_NUMBER_ID = "100000000000001"
_PHONE = "15550100001"


@dataclass(frozen=True)
class Demo:
    """The demo's config file, the sample receiver's port and the app secret that signs its messages."""

    config: Path
    port: int
    secret: str


def prepare(folder: Path) -> Demo:
    """Write the demo's config; its app secret stays the same from run to run."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.json"
    port = _free_port()
    app_secret = _kept_secret(path) or secrets.token_hex(16)
    config = {
        "server": {"host": "127.0.0.1", "port": int(os.environ.get("PORT") or 8080), "auth_key": secrets.token_hex(16)},
        "whatsapp": [
            {
                "id": "demo",
                "type": "business-api",
                "phone_number": f"+{_PHONE}",
                "business_api": {
                    "phone_number_id": _NUMBER_ID,
                    "access_token": "demo",
                    "verify_token": secrets.token_hex(16),
                    "app_secret": app_secret,
                    "graph_url": f"http://127.0.0.1:{port}/graph",
                },
            }
        ],
        "hooks": [
            {
                "id": "sample",
                "name": "Sample receiver",
                "url": f"http://127.0.0.1:{port}/hook",
                "method": "POST",
                "active": True,
                "events": ["message.*"],
            }
        ],
        "message_cache": {"data_path": str(folder / "message_cache")},
    }
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(config, file, indent=2)
    return Demo(path, port, app_secret)


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
    entry = {"id": "200000000000001", "changes": [{"field": "messages", "value": value}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}, separators=(",", ":"))


def welcome(address: str, demo: Demo) -> str:
    """Return what a newcomer sees: where things are, and a line to copy."""
    body = sample_body("Hello from the demo", int(time.time()))
    key = json.loads(demo.config.read_text())["server"]["auth_key"]
    return f"""
  WhatsHooked is ready, with a demo account and a sample receiver as its hook.

    gateway   {address}
    webhook   {address}/webhooks/whatsapp/demo
    metrics   {address}/metrics        API   {address}/schema
    cache     curl -H 'X-API-Key: {key}' {address}/api/cache
    config    {demo.config}

  Send a signed sample message from another terminal: it is answered with 200, and arrives here:

curl -i -X POST {address}/webhooks/whatsapp/demo -H 'Content-Type: application/json' \\
  -H 'X-Hub-Signature-256: {sign(body.encode(), demo.secret)}' \\
  -d '{body}'

  Send the same line again: it is known already, and not delivered twice.
  Your own set-up: write config.json (whatshooked schema helps), or -c FILE. Ctrl-C stops everything.
"""


def _kept_secret(path: Path) -> str:
    try:
        found = json.loads(path.read_text())["whatsapp"][0]["business_api"]["app_secret"]
    except (OSError, ValueError, LookupError, TypeError):
        return ""
    return found if isinstance(found, str) else ""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
