"""Signed webhooks as whole HTTP requests, made ahead so that sending costs next to nothing."""

import json
import time
from typing import Any

from whatshooked.meta.signature import sign

SECRET = "meta-app-secret-of-the-bench"
NUMBER_ID, CUSTOMER = "100000000000001", "4915112345678"
#: Bytes of a body that holds one message.
SIZE = 700
#: Opens every message id; the event's number in the ledger follows, in DIGITS digits.
MARK = b"wamid.BENCH"
DIGITS = 12

_HOLE = "#" * DIGITS
_STAMP = "1767225600"


def requests(path: str, first: int, count: int, messages: int = 1, files: int = 0) -> list[bytes]:
    """Return `count` POSTs of `messages` messages each, the messages numbered from `first`.

    With a port in `files` each is one message with a file that lies there.
    """
    if files:
        numbers = range(first, first + count)
        return [_head(path, body) + body for body in (_with_file(number, files) for number in numbers)]
    parts = _template(messages).split(_HOLE.encode())
    made = []
    for number in range(first, first + count * messages, messages):
        body = parts[0] + b"".join(b"%012d" % (number + i) + part for i, part in enumerate(parts[1:]))
        made.append(_head(path, body) + body)
    return made


def _with_file(number: int, port: int) -> bytes:
    url = f"http://127.0.0.1:{port}/{number:012d}"
    image = {"id": f"{number:012d}", "mime_type": "image/jpeg", "url": url}
    name = f"{MARK.decode()}{number:012d}"
    # The time is now: an old URL would be looked up.
    return _webhook({"from": CUSTOMER, "id": name, "timestamp": f"{time.time():.0f}", "type": "image", "image": image})


def _template(messages: int) -> bytes:
    short = _body(messages, "")
    return _body(messages, "x" * (SIZE - len(short))) if messages == 1 else _body(messages, "x" * 80)


def _body(messages: int, text: str) -> bytes:
    name = MARK.decode() + _HOLE
    message = {"from": CUSTOMER, "id": name, "timestamp": _STAMP, "type": "text", "text": {"body": text}}
    return _webhook(*[message] * messages)


def _webhook(*messages: dict[str, Any]) -> bytes:
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "4930111000", "phone_number_id": NUMBER_ID},
        "contacts": [{"profile": {"name": "Ana Silva"}, "wa_id": CUSTOMER}],
        "messages": messages,
    }
    entry = {"id": "200000000000001", "changes": [{"field": "messages", "value": value}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


def _head(path: str, body: bytes) -> bytes:
    lines = (
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "User-Agent: facebookexternalua",
        "Content-Type: application/json",
        f"X-Hub-Signature-256: {sign(body, SECRET)}",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n"
