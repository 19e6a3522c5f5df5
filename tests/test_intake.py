"""The intake as Meta and strangers meet it: verification, signatures, and bodies of every badness."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests import meta
from tests.conftest import Gateway, account, hook
from tests.receiver import Receiver

LIMIT = 4 * 1024 * 1024
EMPTY = b'{"object":"whatsapp_business_account","entry":[]}'
#: cloud-api.md, 1.3, key "test_app_secret": bodies and the digests of exactly these bytes.
VECTORS = (
    (EMPTY, "dec6a680679a968e7e0319355b23599cbfc54502c0784668e9618baa0c633756"),
    (
        b'{"object": "whatsapp_business_account", "entry": []}',
        "56cbbaf4961c6cfdae48b7f116c047e5eb513d2c931baae63a2bc1afd26f803a",
    ),
    (
        b'{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"t":"'
        rb"\u00e4\u00f6 a\u0040b.c https:\/\/x.y \ud83d\ude00"
        b'"}}]}]}',
        "0b5785e1a97c1adaee39466e4d59292b899569babc6cda87174552e7a68f4e36",
    ),
    (
        '{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"t":"'
        'äö a@b.c https://x.y 😀"}}]}]}'.encode(),
        "8f9f343f2019ce30fccc79a6c05cf07f7aed328a04328619880da6bbf409e155",
    ),
)
#: Values of every type that is not the expected one.
WRONG: tuple[Any, ...] = (None, True, 5, -1.5, "text", [], {}, [[]], [None], {"a": {"b": [1]}}, "")

#: Items that a strict parser refuses, or that break one which is not careful.
HEAD = '"type":"text","from":"1","timestamp":"1"'
DEEP = "[" * 10_000 + "]" * 10_000
BAD_ITEMS = {
    "deep list": f'{{"id":"w1",{HEAD},"text":{DEEP}}}',
    "deep object": f'{{"id":"w2",{HEAD},"text":' + '{"a":' * 10_000 + "1" + "}" * 10_001,
    "deep item": DEEP,
    "NaN": f'{{"id":"w3",{HEAD},"location":{{"latitude":NaN,"longitude":-Infinity}}}}',
    "surrogate": f'{{"id":"w4",{HEAD},"text":{{"body":"\\ud800"}}}}',
    "surrogate key": f'{{"id":"w5",{HEAD},"\\udfff":1}}',
    "surrogate id": f'{{"id":"\\ud83d",{HEAD}}}',
    "huge numbers": f'{{"id":"w6",{HEAD},"n":{"9" * 5000},"e":1e999}}',
    "control": f'{{"id":"w7",{HEAD},"text":{{"body":"a\x01b"}}}}',
    "doubled keys": f'{{"id":"w8",{HEAD},"id":"w9","type":5}}',
}


@pytest.fixture
async def web(make_gateway: Callable[..., Gateway], receiver: Receiver) -> Gateway:
    """A gateway without workers: what is posted stays in the stream."""
    found = make_gateway(hook("h1", receiver.url()))
    await found.start(workers=0)
    return found


async def verify(gateway: Gateway, account_id: str = "business", **params: str) -> httpx.Response:
    named = {f"hub.{key}": value for key, value in params.items()}
    return await gateway.client.get(f"{gateway.base}/webhooks/whatsapp/{account_id}", params=named)


async def test_verification(web: Gateway) -> None:
    """Meta's challenge is echoed for the account's own token, and for nothing else."""
    right = await verify(web, mode="subscribe", verify_token=meta.VERIFY_TOKEN, challenge="1158201444")
    assert (right.status_code, right.text) == (200, "1158201444")
    assert right.headers["content-type"].startswith("text/plain")
    markup = await verify(web, mode="subscribe", verify_token=meta.VERIFY_TOKEN, challenge="<script>&+ä")
    assert markup.text == "<script>&+ä"
    for params in (
        {"mode": "subscribe", "verify_token": "wrong", "challenge": "1"},
        {"mode": "subscribe", "verify_token": meta.VERIFY_TOKEN + "x", "challenge": "1"},
        {"mode": "subscribe", "verify_token": "ü", "challenge": "1"},
        {"mode": "subscribe", "challenge": "1"},
        {"mode": "unsubscribe", "verify_token": meta.VERIFY_TOKEN, "challenge": "1"},
        {},
    ):
        assert (await verify(web, **params)).status_code == 403, params


async def test_an_unknown_account_is_404(web: Gateway) -> None:
    """A POST at a path that is nobody's, also with a right signature; a verification there is 403."""
    token = {"mode": "subscribe", "verify_token": meta.VERIFY_TOKEN, "challenge": "1"}
    for name in ("nobody", "", "business/more", "Business", "%00", "..%2fbusiness"):
        assert (await verify(web, name, **token)).status_code == 403, name
        assert (await web.post(meta.webhook(meta.value(meta.text())), name)).status_code == 404, name


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
async def test_other_methods_are_405(web: Gateway, method: str) -> None:
    """The answer names the two that are allowed."""
    answer = await web.client.request(method, f"{web.base}/webhooks/whatsapp/business")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, POST"


async def test_signatures(web: Gateway, link: Any, keys: Any) -> None:
    """No signature is 401, a wrong one 403, and neither leaves anything in the stream."""
    body = meta.webhook(meta.value(meta.text()))
    url = f"{web.base}/webhooks/whatsapp/business"
    assert (await web.client.post(url, content=body)).status_code == 401
    assert (await web.client.post(url, content=body, headers={"x-hub-signature-256": ""})).status_code == 401
    right = meta.signed(body)["x-hub-signature-256"]
    for wrong in (
        meta.signed(body, "other")["x-hub-signature-256"],
        meta.signed(body + b" ")["x-hub-signature-256"],
        right.removeprefix("sha256="),
        right[:-1],
        right.replace("sha256", "sha1"),
        "sha256=",
        "sha256=\u00fc",
        "x" * 5000,
    ):
        named = {b"x-hub-signature-256": wrong.encode("latin-1")}
        assert (await web.client.post(url, content=body, headers=named)).status_code == 403
    assert (await web.client.post(url, content=body, headers={"x-hub-signature": "sha1=ab"})).status_code == 401
    assert not await link.call("EXISTS", keys.events) or not await link.call("XLEN", keys.events)
    assert (await web.client.post(url, content=body, headers={"X-Hub-Signature-256": right})).status_code == 200


async def test_a_taken_webhook_is_answered_without_a_body(web: Gateway) -> None:
    """A 200 that says it is empty, so that the connection serves for the next."""
    answer = await web.post(meta.webhook(meta.value(meta.text())))
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")


async def test_the_vectors_over_http(make_gateway: Callable[..., Gateway]) -> None:
    """The bytes of the wire are what is signed: escapes, spaces and UTF-8 as they came."""
    gateway = make_gateway(accounts=[account(app_secret="test_app_secret")])
    await gateway.start(workers=0)
    url = f"{gateway.base}/webhooks/whatsapp/business"
    for number, (body, digest) in enumerate(VECTORS):
        for given, status in ((digest, 200), (digest.upper(), 200), (VECTORS[number - 1][1], 403)):
            answer = await gateway.client.post(url, content=body, headers={"x-hub-signature-256": f"sha256={given}"})
            assert answer.status_code == status, body


async def test_two_secrets_while_one_is_replaced(make_gateway: Callable[..., Gateway]) -> None:
    """Either signs; a third does not."""
    gateway = make_gateway(accounts=[account(app_secret=["old-secret", "new-secret"])])
    await gateway.start(workers=0)
    statuses = [(await gateway.post(EMPTY, secret=name)).status_code for name in ("old-secret", "new-secret", "third")]
    assert statuses == [200, 200, 403]


async def test_without_a_secret_everything_is_taken(make_gateway: Callable[..., Gateway], receiver: Receiver) -> None:
    """An account without app_secret takes bodies with any signature or none."""
    open_account = account()
    del open_account["business_api"]["app_secret"]
    gateway = make_gateway(hook("h1", receiver.url()), accounts=[open_account])
    await gateway.start()
    for headers in ({}, {"x-hub-signature-256": "sha256=00"}):
        body = meta.webhook(meta.value(meta.text()))
        url = f"{gateway.base}/webhooks/whatsapp/business"
        assert (await gateway.client.post(url, content=body, headers=headers)).status_code == 200
    await receiver.wait(2)


async def test_what_is_no_webhook_is_400(web: Gateway) -> None:
    """Exactly what is not a JSON object with an `entry`; anything inside is kept."""
    refused = (
        b"",
        b" ",
        b"[]",
        b"{}",
        b"5",
        b"null",
        b'"entry"',
        b"not json",
        b'{"object":"x"}',
        b'{"entry":[}',
        b"\xff",
    )
    for body in refused:
        assert (await web.post(body)).status_code == 400, body
    for body in (EMPTY, b'{"entry":5}', b'{"entry":null}', b'{"entry":{}}', b'{"entry":[5,null,"x",[]]}'):
        assert (await web.post(body)).status_code == 200, body


def bad_bodies() -> Iterator[tuple[str, bytes]]:
    """Yield bodies with a bad part beside the good texts "one" and "two"."""
    for name, bad in BAD_ITEMS.items():
        yield name, with_item(bad)
    for wrong in WRONG:
        part = {"field": "messages", "value": wrong}
        yield f"value {wrong!r}", body_of([{"id": "1", "changes": [right(), part]}])
        yield f"change {wrong!r}", body_of([{"id": "1", "changes": [wrong, right()]}])
        yield f"entry {wrong!r}", body_of([wrong, {"id": "1", "changes": [right()]}])
        yield f"field {wrong!r}", body_of([{"id": "1", "changes": [part | {"field": wrong}, right()]}])
        yield f"id {wrong!r}", body_of([{"id": wrong, "time": wrong, "changes": [right()]}])
        yield f"item {wrong!r}", with_item(json.dumps(wrong))
        for key in ("metadata", "contacts", "statuses", "errors", "messaging_product"):
            yield f"{key} {wrong!r}", one_value(good() | {key: wrong})


def right() -> dict[str, Any]:
    return {"field": "messages", "value": good()}


def with_item(bad: str) -> bytes:
    """A body with a bad item between two texts."""
    return one_value(good() | {"messages": ["@"]}).replace(b'"@"', spliced(bad).encode())


def good() -> dict[str, Any]:
    """A value with two texts that were never sent before."""
    return meta.value(meta.text("one"), meta.text("two"))


def spliced(bad: str) -> str:
    """Two texts with a bad item between them, as the members of an array."""
    return f"{json.dumps(meta.text('one'))},{bad},{json.dumps(meta.text('two'))}"


def one_value(value: Any) -> bytes:
    return body_of([{"id": "1", "changes": [{"field": "messages", "value": value}]}])


def body_of(entry: list[Any]) -> bytes:
    return json.dumps({"object": "whatsapp_business_account", "entry": entry}).encode()


async def test_a_bad_part_never_costs_its_neighbours(gateway: Gateway, receiver: Receiver) -> None:
    """Nesting, NaN, surrogates and wrong types at every level: 200, and both good texts beside it are delivered."""
    bodies = list(bad_bodies())
    answers = await asyncio.gather(*(gateway.post(body) for _, body in bodies))
    assert {name: one.status_code for (name, _), one in zip(bodies, answers, strict=True)} == {
        n: 200 for n, _ in bodies
    }
    await gateway.post(meta.webhook(meta.value(meta.text("last"))))
    await receiver.wait(2 * len(bodies) + 1, event="message.received")
    await gateway.cached(0)
    texts = [one.json["text"] for one in receiver.of("message.received")]
    assert texts.count("one") == texts.count("two") == len(bodies)
    assert texts.count("last") == 1


async def test_a_cut_body_is_400_at_every_cut(web: Gateway) -> None:
    """No prefix of a webhook is taken for one, and none is a 5xx."""
    body = meta.webhook(meta.value(meta.text()))
    cuts = [body[:end] for end in range(0, len(body), 7)]
    answers = await asyncio.gather(*(web.post(cut) for cut in cuts))
    assert {one.status_code for one in answers} == {400}


async def chunked(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 65_536):
        yield body[start : start + 65_536]


def sized(size: int) -> bytes:
    """A good webhook of exactly so many bytes."""
    empty = meta.webhook(meta.value(meta.text("")))
    return empty.replace(b'"body": ""', b'"body": "' + b"x" * (size - len(empty)) + b'"')


async def test_four_megabytes_and_no_more(gateway: Gateway, receiver: Receiver) -> None:
    """Exactly 4 MiB are taken and delivered whole; a byte more is 413, whether its length was declared or not."""
    url = f"{gateway.base}/webhooks/whatsapp/business"
    for send in (lambda b: b, chunked):
        body = sized(LIMIT)
        assert len(body) == LIMIT
        answer = await gateway.client.post(url, content=send(body), headers=meta.signed(body))
        assert answer.status_code == 200
        large = sized(LIMIT + 1)
        answer = await gateway.client.post(url, content=send(large), headers=meta.signed(large))
        assert answer.status_code == 413
    got = await receiver.wait(2)
    assert all(len(one.json["text"]) > LIMIT - 1000 for one in got)
    assert (await gateway.post(meta.webhook(meta.value(meta.text("after"))))).status_code == 200
    assert (await receiver.wait(3))[2].json["text"] == "after"


async def test_a_huge_declared_length_is_refused_unread(web: Gateway) -> None:
    """413 comes at once, before the sender has sent anything of it."""
    parts = urlsplit(web.base)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(b"POST /webhooks/whatsapp/business HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
    async with asyncio.timeout(5):
        assert (await reader.readline()).split()[1] == b"413"
    writer.close()


async def test_a_sender_that_hangs_up_leaves_nothing(web: Gateway, link: Any, keys: Any) -> None:
    """Half a body and a closed connection: nothing is taken, and the next webhook is."""
    body = meta.webhook(meta.value(meta.text()))
    parts = urlsplit(web.base)
    _, writer = await asyncio.open_connection(parts.hostname, parts.port)
    head = b"POST /webhooks/whatsapp/business HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" % len(body)
    writer.write(head + b"X-Hub-Signature-256: %b\r\n\r\n" % meta.signed(body)["x-hub-signature-256"].encode())
    writer.write(body[:-5])
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert (await web.post(body)).status_code == 200
    assert await link.call("XLEN", keys.events) == 1
