"""Signed webhooks as whole HTTP requests, made ahead so that sending costs next to nothing."""

import json

from whatshooked.meta.signature import sign

SECRET = "meta-app-secret-of-the-bench"
NUMBER_ID = "100000000000001"
#: Bytes of a body that holds one message.
SIZE = 700
#: Opens every message id; the event's number in the ledger follows, in DIGITS digits.
MARK = b"wamid.BENCH"
DIGITS = 12

_HOLE = "#" * DIGITS
_STAMP = "1767225600"


def requests(path: str, first: int, count: int, messages: int = 1) -> list[bytes]:
    """Return `count` POSTs of `messages` messages each, the messages numbered from `first`."""
    parts = _template(messages).split(_HOLE.encode())
    made = []
    for number in range(first, first + count * messages, messages):
        body = parts[0] + b"".join(b"%012d" % (number + i) + part for i, part in enumerate(parts[1:]))
        made.append(_head(path, body) + body)
    return made


def _template(messages: int) -> bytes:
    short = _body(messages, "")
    return _body(messages, "x" * (SIZE - len(short))) if messages == 1 else _body(messages, "x" * 80)


def _body(messages: int, text: str) -> bytes:
    name = MARK.decode() + _HOLE
    message = {"from": "4915112345678", "id": name, "timestamp": _STAMP, "type": "text", "text": {"body": text}}
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "4930111000", "phone_number_id": NUMBER_ID},
        "contacts": [{"profile": {"name": "Ana Silva"}, "wa_id": "4915112345678"}],
        "messages": [message] * messages,
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
