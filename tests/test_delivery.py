"""Receivers of every badness: what counts as taken, what is tried again, and what an attempt looks like on the wire."""

import asyncio
import base64
import hashlib
import hmac
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests import meta
from tests.conftest import Gateway, hook
from tests.receiver import Behaviour, Received, Receiver, hang, status
from whatshooked.config.model import Hook
from whatshooked.hooks import retry
from whatshooked.hooks.delivery import ANSWER_LIMIT, Delivered, Refused, Result, Sender

TIMEOUT = 1.0


@pytest.fixture
async def sender() -> AsyncIterator[Sender]:
    found = Sender()
    yield found
    await found.close()


def target(url: str, **more: Any) -> Hook:
    known: dict[str, Any] = {"id": "h1", "name": "h1", "url": url, "method": "POST", "active": True, "timeout": TIMEOUT}
    return Hook(**known | more)


async def attempt(sender: Sender, to: Hook, event_id: str = "1-1") -> Result:
    """Make one attempt; it must be over soon after the hook's timeout, whatever the receiver does."""
    start = time.monotonic()
    result = await sender.post(to, "message.received", "business", event_id, b'{"a":1}')
    assert time.monotonic() - start < to.timeout + 1.0
    return result


def raw(answer: bytes) -> Behaviour:
    """Answer with bytes as they are, and close."""

    async def behave(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        writer.close()

    return behave


async def drip(_: Received, writer: asyncio.StreamWriter) -> None:
    """A byte of the answer every 0.3 s: no single read is late, the whole is."""
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 100:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.3)


async def drip_body(_: Received, writer: asyncio.StreamWriter) -> None:
    """The status at once, then a byte of the body every 0.3 s."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
    while True:
        writer.write(b"x")
        await asyncio.sleep(0.3)


async def endless(_: Received, writer: asyncio.StreamWriter) -> None:
    """A 200 whose body never ends."""
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"%x\r\n%b\r\n" % (65_536, b"x" * 65_536)
    while True:
        writer.write(chunk)
        await writer.drain()


async def reset(_: Received, writer: asyncio.StreamWriter) -> None:
    """Break the connection off with a RST."""
    found: socket.socket = writer.get_extra_info("socket")
    found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@pytest.mark.parametrize("code", [200, 201, 202, 204, 299])
async def test_any_2xx_is_taken(sender: Sender, receiver: Receiver, code: int) -> None:
    """The status decides, not the body."""
    receiver.behave = status(code, b"" if code == 204 else b"not json")
    result = await attempt(sender, target(receiver.url()))
    assert isinstance(result, Delivered)
    assert result.status == code


@pytest.mark.parametrize("code", [300, 304, 307, 400, 401, 404, 410, 413, 429, 500, 503, 599, 999])
async def test_anything_else_is_refused(sender: Sender, receiver: Receiver, code: int) -> None:
    """Also statuses by which some senders stop for good: an operator mends the hook, nothing is lost."""
    receiver.behave = status(code, b"" if code == 304 else b"no")
    result = await attempt(sender, target(receiver.url()))
    assert result == Refused(code, result.seconds, f"HTTP {code}")


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(sender: Sender, receiver: Receiver, code: int) -> None:
    """What it points to gets nothing: neither the event nor the headers."""
    async with Receiver() as other:
        receiver.behave = raw(
            b"HTTP/1.1 %d X\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % (code, other.url().encode())
        )
        result = await attempt(sender, target(receiver.url(), headers={"Authorization": "Bearer t"}))
        assert (result.status, other.received) == (code, [])


@pytest.mark.parametrize("behave", [hang, drip, drip_body])
async def test_the_timeout_is_total(sender: Sender, receiver: Receiver, behave: Behaviour) -> None:
    """However the time passes, the attempt is over when it is up, and counts as failed."""
    receiver.behave = behave
    result = await attempt(sender, target(receiver.url()))
    assert result == Refused(0, result.seconds, "timeout")
    assert result.seconds == pytest.approx(TIMEOUT, abs=0.5)


async def test_an_endless_answer_is_taken_and_cut(sender: Sender, receiver: Receiver) -> None:
    """A 2xx whose body does not end is a 2xx; 64 KB of it are read, at once, and its connection is given up."""
    receiver.behave = endless
    result = await attempt(sender, target(receiver.url()))
    assert isinstance(result, Delivered)
    assert ANSWER_LIMIT < len(result.answer) < 3 * ANSWER_LIMIT
    assert result.seconds < TIMEOUT
    receiver.behave = status(200)
    assert isinstance(await attempt(sender, target(receiver.url())), Delivered)


async def test_an_answer_is_read_whole_up_to_its_limit(sender: Sender, receiver: Receiver) -> None:
    """In however many pieces it comes: a hook's reply stands in it."""

    async def in_pieces(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")
        for _part in range(6):
            writer.write(b"y" * 10_000)
            await asyncio.sleep(0.02)

    receiver.behave = in_pieces
    result = await attempt(sender, target(receiver.url()))
    assert isinstance(result, Delivered)
    assert result.answer == b"y" * 60_000


@pytest.mark.parametrize(
    "behave",
    [
        reset,
        raw(b""),
        raw(b"HTTP/1.1 200 OK\r\nContent-Len"),
        raw(b"220 smtp.example ESMTP\r\n"),
        raw(b"\x16\x03\x01\x00\xff" * 50),
        raw(b"HTTP/1.1 200 OK\r\nX: " + b"h" * 2_000_000 + b"\r\n\r\n"),
        raw(b"HTTP/1.1 200 OK\r\n" + b"X-H: 1\r\n" * 100_000 + b"\r\n"),
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"),
    ],
    ids=["reset", "closed", "cut head", "smtp", "tls", "huge header", "many headers", "cut body"],
)
async def test_what_is_no_http_answer_is_a_failure(sender: Sender, receiver: Receiver, behave: Behaviour) -> None:
    """Never an exception, never a 2xx, and one clear line on why."""
    receiver.behave = behave
    result = await attempt(sender, target(receiver.url()))
    assert isinstance(result, Refused)
    assert result.status == 0
    assert result.error
    assert "\n" not in result.error
    assert str(receiver.port) not in result.error


async def test_nobody_there(sender: Sender) -> None:
    """A refused connection and a name that does not resolve are failures as well."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        result = await attempt(sender, target(f"http://127.0.0.1:{taken.getsockname()[1]}/"))
    assert isinstance(result, Refused)
    assert "refused" in result.error.lower()
    result = await attempt(sender, target("http://nobody.invalid/", timeout=5.0))
    assert isinstance(result, Refused)
    assert result.error


async def test_a_kept_connection_that_was_closed_is_no_failure(sender: Sender, receiver: Receiver) -> None:
    """Servers close idle connections: the next attempt opens another, and the receiver sees each event once."""

    async def once(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()
        writer.close()

    receiver.behave = once
    for number in range(20):
        result = await attempt(sender, target(receiver.url()), f"{number}-1")
        assert isinstance(result, Delivered), result
        await asyncio.sleep(0)
    ids = [one.headers["webhook-id"] for one in receiver.received]
    assert ids == [f"{number}-1.h1" for number in range(20)]


async def test_proxies_of_the_environment_are_ignored(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy variable of the machine must not send events elsewhere."""
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    sender = Sender()
    assert isinstance(await attempt(sender, target(receiver.url())), Delivered)
    await sender.close()


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "GET"])
async def test_an_attempt_on_the_wire(sender: Sender, receiver: Receiver, method: str) -> None:
    """Content-Length and never chunks, our User-Agent, the config's headers as given, the query kept to the letter."""
    query = "a=1&a=%2F+%20&b&c=%E4&d=x=y&e=[1]&token=s%3Dt"
    headers = {
        "Authorization": "Bearer tök".encode().decode("latin-1"),
        "X-Custom-Header": "a, b;c",
        "Content-Type": "x/y",
    }
    result = await attempt(sender, target(receiver.url(f"/p%20a/th;v=1?{query}"), method=method, headers=headers))
    assert isinstance(result, Delivered), result
    (got,) = receiver.received
    assert got.method == method
    assert got.target == f"/p%20a/th;v=1?{query}&event=message.received&account_id=business"
    assert got.body == b'{"a":1}'
    assert got.headers["content-length"] == "7"
    assert "transfer-encoding" not in got.headers
    assert got.headers["user-agent"].startswith("WhatsHooked/")
    assert got.headers["x-custom-header"] == "a, b;c"
    assert got.headers["content-type"] == "x/y"
    assert got.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert "webhook-signature" not in got.headers
    assert "referer" not in got.headers


@pytest.mark.parametrize("secret", ["plain-text-secret", "whsec_" + base64.b64encode(b"k" * 32).decode()])
async def test_the_signature_verifies(sender: Sender, receiver: Receiver, secret: str) -> None:
    """Standard Webhooks: HMAC-SHA256 over id, timestamp and body, with the key that `whsec_` encodes."""
    await attempt(sender, target(receiver.url(), secret=secret))
    (got,) = receiver.received
    key = base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()
    signed = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert got.headers["webhook-signature"] == f"v1,{expected}"
    assert abs(int(got.headers["webhook-timestamp"]) - time.time()) < 5


def test_the_schedule() -> None:
    """13 delays as the contract says, varied by a fifth at most, then no more; hook.* three."""
    seconds = [3, 10, 30, 120, 600, 1800, 3600, 7200, 18000, 36000, 50400, 72000, 86400]
    for number, delay in enumerate(seconds, 1):
        assert retry.delay_ms(number, "message.received", spread=0) == delay * 1000
        assert retry.delay_ms(number, "message.received", spread=-1) == delay * 800
        assert retry.delay_ms(number, "message.received", spread=1) == delay * 1200
        found = [retry.delay_ms(number, "message.received") or 0 for _ in range(200)]
        assert delay * 800 <= min(found) < delay * 1000 < max(found) <= delay * 1200
    assert retry.delay_ms(14, "message.received") is None
    assert [retry.delay_ms(n, "hook.failed", spread=0) for n in range(1, 5)] == [3000, 10_000, 30_000, None]


async def test_all_attempts_carry_one_webhook_id(
    make_gateway: Callable[..., Gateway], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three refusals and a 2xx: one id, one body, and the hook's failures are seen in the cache until then."""
    monkeypatch.setattr(retry, "SCHEDULE", (0.2,) * 13)
    gateway = make_gateway(hook("h1", receiver.url()))
    receiver.behave = status(500)
    await gateway.start()
    await gateway.post(meta.webhook(meta.value(meta.text())))
    await receiver.wait(3)
    (cached,) = await gateway.cached(1)
    shown = cached["hooks"]["h1"]
    assert cached["state"] == "waiting"
    assert (shown["last_status"], shown["last_error"]) == (500, "HTTP 500")
    assert shown["attempts"] >= 2
    receiver.behave = status(200)
    await gateway.cached(0)
    assert len({(one.headers["webhook-id"], one.body) for one in receiver.received}) == 1


async def test_after_the_last_retry_an_event_is_dead_and_kept(
    make_gateway: Callable[..., Gateway], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """14 attempts, no more; then it waits in the cache for a replay."""
    monkeypatch.setattr(retry, "SCHEDULE", (0.01,) * 13)
    gateway = make_gateway(hook("h1", receiver.url()))
    receiver.behave = status(410)
    await gateway.start()
    await gateway.post(meta.webhook(meta.value(meta.text())))
    (cached,) = await gateway.cached(1, state="dead")
    assert (cached["hooks"]["h1"]["state"], cached["hooks"]["h1"]["attempts"]) == ("dead", 14)
    assert len(receiver.received) == 14
    receiver.behave = status(200)
    answer = await gateway.api("POST", f"/api/cache/event/replay?id={cached['id']}")
    assert answer.json() == {"replayed": 1}
    await receiver.wait(15)
    await gateway.cached(0)


@pytest.mark.parametrize("id_", ["my hook", "hook ä/é ☎", "a:b{c}|d", "%41"])
async def test_hook_ids_of_any_kind(make_gateway: Callable[..., Gateway], receiver: Receiver, id_: str) -> None:
    """Spaces, other alphabets and the marks of our own keys: delivered, switched, listed, and safe as a header."""
    gateway = make_gateway(hook(id_, receiver.url()))
    await gateway.start()
    receiver.behave = status(500)
    await gateway.post(meta.webhook(meta.value(meta.text())))
    (got,) = await receiver.wait(1)
    assert got.headers["webhook-id"].isascii()
    assert " " not in got.headers["webhook-id"]
    (cached,) = await gateway.cached(1)
    assert list(cached["hooks"]) == [id_]
    receiver.behave = status(200)
    await gateway.cached(0)
