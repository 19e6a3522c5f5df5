"""Hostile data: what Graph, a config, a slow sender or a stranger in Redis may do, and what it must not cost."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest

from tests import meta
from tests.conftest import Gateway, account, hook
from tests.logged import logged
from tests.receiver import Receiver
from whatshooked.config import Hook
from whatshooked.errors import StartError
from whatshooked.hooks.delivery import Refused, Sender
from whatshooked.keys import Keys
from whatshooked.meta import setup
from whatshooked.meta.graph import Access, Graph, GraphFailure
from whatshooked.meta.objects import Number
from whatshooked.stream.leases import Wish, claim
from whatshooked.stream.link import Link
from whatshooked.stream.settle import Settler, Taken
from whatshooked.web import webhook
from whatshooked.web.gateway import Gateway as WebGateway
from whatshooked.web.webhook import Webhook

TOKEN = "planted-token-of-this-module"


def answer(status: int, body: bytes, *headers: bytes) -> bytes:
    """A whole HTTP answer."""
    lines = (b"HTTP/1.1 %d X" % status, b"Content-Length: %d" % len(body), *headers)
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


async def asked(raw: bytes, *, endless: bool = False) -> Number | GraphFailure:
    """Return what a Graph that answers these bytes comes to; `endless` repeats their last byte for ever."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(raw)
            while endless and not writer.is_closing():
                writer.write(raw[-1:] * 65_536)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    graph = Graph(timeout=5)
    try:
        return await setup.number(graph, Access(url, "v25.0", TOKEN), "1")
    finally:
        await graph.close()
        server.close()


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize(
    "raw",
    [b'{"error":{"message":"\xff"}}', b'{"verified_name":"\xff"}', b'{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}"],
    ids=["error not utf-8", "name not utf-8", "too deep"],
)
async def test_a_graph_answer_that_is_no_json_is_an_error(status: int, raw: bytes) -> None:
    """It is told as an error of this account and never raised: that would end the worker."""
    assert isinstance(await asked(answer(status, raw)), GraphFailure)


@pytest.mark.parametrize("charset", [b"hex", b"rot13", b"zlib", b"idna", b"undefined", b"utf-7", b"no-such"])
async def test_the_charset_that_graph_names_is_not_believed(charset: bytes) -> None:
    """Python has charsets that decode no text and raise when asked to; the error is read as UTF-8 all the same."""
    raw = answer(400, b'{"error":{"code":190}}', b"Content-Type: text/html; charset=" + charset)
    found = await asked(raw)
    assert isinstance(found, GraphFailure)
    assert found.code == 190


async def test_the_token_is_masked_before_an_error_is_cut() -> None:
    """An error that repeats the token where it is cut shows no part of it."""
    for start in range(570, 605):
        found = await asked(answer(400, b"x" * start + TOKEN.encode()))
        assert isinstance(found, GraphFailure)
        assert "planted" not in found.text


@pytest.mark.parametrize("status", [200, 500])
async def test_an_endless_graph_answer_costs_nothing(status: int) -> None:
    """It is read for 2 MB and given up."""
    async with asyncio.timeout(4):
        found = await asked(b"HTTP/1.1 %d X\r\n\r\nx" % status, endless=True)
    assert isinstance(found, GraphFailure)
    assert len(found.text) <= 600


@pytest.mark.parametrize("url", ["http://999.1.1.1/", "http://exa%mple/", "http://xn--a/", "http://[v1.a]/"])
async def test_a_url_that_the_client_refuses_is_a_failed_attempt(url: str) -> None:
    """An address that the config takes and the client does not fails like one that nobody answers at."""
    sender = Sender()
    target = Hook(id="h", name="h", url=url, method="POST", active=True)
    result = await sender.post(target, "message.received", "a", "1-1", b"{}")
    await sender.close()
    assert isinstance(result, Refused)
    assert "config" in result.error


@pytest.mark.parametrize("query", ["foo=bar", "db=abc", "socket_timeout=x"])
def test_a_redis_url_with_an_odd_query_is_refused_in_one_line(query: str) -> None:
    """Without its password, and not by a traceback."""
    with pytest.raises(StartError, match=r"^redis\.url: ") as refused:
        Link(f"redis://user:planted@127.0.0.1:1?{query}")
    assert "planted" not in str(refused.value)
    assert "\n" not in str(refused.value)


class Sending:
    """A webhook sent to the bare intake in two parts; `between` happens while the second is under way."""

    def __init__(self, body: bytes, between: Callable[[], Any]) -> None:
        half = len(body) // 2
        self._parts = [body[:half], body[half:]]
        self._between = between
        self.status = 0

    async def receive(self) -> Any:
        """Return the next part."""
        if len(self._parts) == 1:
            found = self._between()
            if asyncio.iscoroutine(found):
                await found
        part = self._parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(self._parts)}

    async def send(self, message: Any) -> None:
        """Take the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]

    async def run(self, gateway: WebGateway) -> int:
        """Return the answer's status."""
        scope: Any = {"type": "http", "path": "/webhooks/whatsapp/business", "method": "POST", "headers": []}
        await Webhook(gateway)(scope, self.receive, self.send)
        return self.status


@pytest.fixture
async def intake(make_gateway: Callable[..., Gateway], redis_url: str) -> AsyncIterator[tuple[Gateway, WebGateway]]:
    """A gateway's file, and the web process's own part of it without a server."""
    gateway = make_gateway(accounts=[account(1, "business"), account(2, "other")])
    gateway.write()
    found = WebGateway(gateway.config, redis_url)
    yield gateway, found
    await found.stop()


async def test_an_account_that_goes_while_its_body_comes_takes_nothing(
    intake: tuple[Gateway, WebGateway], link: Link, keys: Keys
) -> None:
    """A reload that removes an account removes its signer too: a body begun before must not pass unsigned."""
    gateway, web = intake

    def remove() -> None:
        gateway.document["whatsapp"] = gateway.document["whatsapp"][1:]
        gateway.write()
        web.reload()

    assert await Sending(meta.webhook(meta.value(meta.text())), remove).run(web) == 404
    assert await link.call("EXISTS", keys.events) == 0


async def test_a_body_that_does_not_come_is_given_up(
    intake: tuple[Gateway, WebGateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came of it is memory that any stranger could hold for ever."""
    monkeypatch.setattr(webhook, "BODY_PATIENCE", 0.05)
    assert await Sending(b"x" * 100, lambda: asyncio.sleep(60)).run(intake[1]) == 408


async def test_a_large_odd_body_does_not_hold_up_the_others(
    make_gateway: Callable[..., Gateway], receiver: Receiver
) -> None:
    """While 200 KB of the costliest JSON are taken apart the process goes on answering."""
    gateway = make_gateway(hook("h1", receiver.url()))
    await gateway.start(workers=0)
    costly = b'{"object":"x","entry":[' + b'{"a":[[1,' * 20_000
    sent = asyncio.create_task(gateway.post(costly))
    longest, loop = 0.0, asyncio.get_running_loop()
    while not sent.done():
        before = loop.time()
        await asyncio.sleep(0.001)
        longest = max(longest, loop.time() - before)
    assert sent.result().status_code == 400
    assert longest < 0.25


async def test_an_entry_of_a_stranger_does_not_end_the_claiming(
    make_gateway: Callable[..., Gateway], receiver: Receiver, link: Link, keys: Keys
) -> None:
    """An entry that is due and cannot be read is passed by, and what comes after it is delivered."""
    gateway = make_gateway(hook("h1", receiver.url()))
    await gateway.start()
    blob = msgspec.msgpack.encode([1, b"", "a", b"{}"]).replace(b"\xc4\x00", b"\xa1\xff")
    event_id = (await link.call("XADD", keys.events, "1-1", "e", blob)).decode()
    await link.call("HSET", keys.open(event_id), "h1", "w|0|0|0|0|")
    await link.call("ZADD", keys.due("h1"), 1, event_id)
    await gateway.post(meta.webhook(meta.value(meta.text())))
    await receiver.wait(1)
    async with asyncio.timeout(5):
        while not (await link.call("HGET", keys.open(event_id), "h1") or b"").startswith(b"l"):
            await asyncio.sleep(0.02)
    assert not gateway.workers[0]._loops["claimer"].done()


async def test_a_strange_key_keeps_no_other_outcome_from_being_recorded(link: Link, keys: Keys) -> None:
    """An event whose key somebody else has written is said and passed by; its neighbours in the batch are settled."""
    await link.call("SET", keys.open("1-1"), "no hash")
    await link.call("HSET", keys.open("1-2"), "h1", "l|1|1|0|0|")
    settler = Settler(link, keys, pause=0.01)
    with logged() as log:
        outcomes = [settler.record(Taken(event_id, "h1")) for event_id in ("1-1", "1-2")]
        async with asyncio.timeout(5):
            assert await asyncio.gather(*outcomes) == [False, True]
        assert log.holding("Outcome cannot be recorded")
    assert not await link.call("EXISTS", keys.open("1-2"))


async def test_outcomes_wait_for_redis_and_say_so(keys: Keys) -> None:
    """While Redis is away they are tried again for ever, and somebody hears of it."""
    async with Link("redis://127.0.0.1:9") as nowhere:
        settler = Settler(nowhere, keys, pause=0.01)
        with logged() as log:
            waiting = settler.record(Taken("1-1", "h1"))
            async with asyncio.timeout(5):
                while not log.holding("Outcomes could not be recorded"):
                    await asyncio.sleep(0.01)
        assert not waiting.done()
        await settler.drain(patience=5)
        assert waiting.exception() is not None


async def test_a_strange_key_stops_the_claims_of_its_hook_alone(link: Link, keys: Keys) -> None:
    """What one hook's keys hold is no other hook's trouble."""
    for event_id in ("1-1", "1-2"):
        await link.call("XADD", keys.events, event_id, "e", b"blob")
    await link.call("SET", keys.open("1-1"), "no hash")
    await link.call("HSET", keys.open("1-2"), "good", "w|0|0|0|0|")
    await link.call("ZADD", keys.due("bad"), 1, "1-1")
    await link.call("ZADD", keys.due("good"), 1, "1-2")
    with logged() as log:
        found = await claim(link, keys, [Wish("bad", 4, 1000), Wish("good", 4, 1000)])
        assert log.holding("Due events cannot be claimed")
    assert [lease.event_id for lease in found["good"].leases] == ["1-2"]
    assert "bad" not in found
