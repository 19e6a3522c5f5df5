"""The Graph client: what Meta's answers come to, where the token goes, and how the call limits are kept."""

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.receiver import Behaviour, Received, Receiver, hang
from tests.simulated import Meta, simulated
from whatshooked.meta import codes, graph, setup, usage
from whatshooked.meta.codes import Retry
from whatshooked.meta.graph import Access, Graph, GraphFailure

TOKEN = "planted-token-of-this-module"


@pytest.fixture
async def client() -> AsyncIterator[Graph]:
    found = Graph(timeout=5.0)
    yield found
    await found.close()


@pytest.fixture
async def meta() -> AsyncIterator[Receiver]:
    """Meta, played by hand."""
    async with Receiver() as found:
        yield found


@pytest.fixture
async def sim() -> AsyncIterator[Meta]:
    async with simulated() as found:
        yield found


def access(meta: Receiver, account: str = "shop") -> Access:
    return Access(f"http://127.0.0.1:{meta.port}", "v25.0", TOKEN, account)


def answers(document: Any, code: int = 200, **headers: str) -> Behaviour:
    """Answer with a JSON document, or with text as it is."""
    body = document.encode() if isinstance(document, str) else json.dumps(document).encode()
    rows = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())

    async def behave(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {code} X\r\n{rows}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    return behave


def error(code: int, **more: Any) -> dict[str, Any]:
    return {"error": {"message": f"(#{code}) No", "type": "OAuthException", "code": code} | more}


async def failed(client: Graph, meta: Receiver, path: str = "1", **more: Any) -> GraphFailure:
    """Return the failure of a call that must fail."""
    found = await client.ask(access(meta), "GET", path, **more)
    assert isinstance(found, GraphFailure), found
    return found


@pytest.mark.parametrize(
    ("code", "status", "retry"),
    [
        (190, 401, Retry.NEVER),
        (100, 400, Retry.NEVER),
        (10, 403, Retry.NEVER),
        (210, 403, Retry.NEVER),
        (3, 500, Retry.NEVER),
        (131045, 500, Retry.NEVER),
        (2, 503, Retry.LATER),
        (4, 400, Retry.LATER),
        (80007, 400, Retry.LATER),
        (130429, 400, Retry.LATER),
        (1, 400, Retry.FEW),
        (131000, 500, Retry.FEW),
        (131056, 400, Retry.PACED),
        (131049, 400, Retry.PACED),
        (999_999, 400, Retry.NEVER),
        (999_999, 500, Retry.LATER),
    ],
)
async def test_a_failure_is_classified_by_its_code(
    client: Graph, meta: Receiver, code: int, status: int, retry: Retry
) -> None:
    """Never by the HTTP status alone: throttling comes as 400, a missing permission as 500. Unknown codes go by it."""
    meta.behave = answers(error(code), status)
    found = await failed(client, meta)
    assert (found.status, found.code, found.retry, found.reached) == (status, code, retry, True)


async def test_a_transient_unknown_error_may_be_tried_again(client: Graph, meta: Receiver) -> None:
    """Meta's own word counts where we know nothing; codes with a pace of their own say how long to wait."""
    meta.behave = answers(error(999_999, is_transient=True), 400)
    assert (await failed(client, meta)).retry is Retry.LATER
    meta.behave = answers(error(131048), 400)
    assert (await failed(client, meta)).wait >= 3600
    assert codes.retry(131048, 400) is Retry.PACED


@pytest.mark.parametrize("body", ["<html>Sorry</html>", "", "[]", '{"error": "x"}', '{"error": {"code": null}}'])
async def test_a_broken_answer_at_5xx_is_tried_again(client: Graph, meta: Receiver, body: str) -> None:
    """HTML and empty bodies happen: no code, no talk of tokens, worth another try."""
    meta.behave = answers(body, 503)
    found = await failed(client, meta)
    assert (found.code, found.retry, "token" in found.hint) == (0, Retry.LATER, False)


async def test_metas_words_and_details_are_kept(client: Graph, meta: Receiver) -> None:
    """Message, what it says for users, and the details; error_data may be a text."""
    told = error(131009, error_user_msg="Choose another.", error_data={"details": "body.text is too long"})
    meta.behave = answers(told, 400)
    found = await failed(client, meta)
    assert found.message == "(#131009) No Choose another. body.text is too long"
    assert found.line == f"HTTP 400 131009: {found.message}"
    meta.behave = answers(error(100, error_subcode=33, error_data="gone"), 400)
    assert (await failed(client, meta)).line == "HTTP 400 100/33: (#100) No gone"


async def test_no_secret_comes_back(client: Graph, meta: Receiver) -> None:
    """Tokens, PINs and codes that an answer repeats are masked, in a URL's writing too; an access hides its own."""
    meta.behave = answers(error(100) | {"a": TOKEN, "b": "app%7Csecret-1", "c": "app|secret-1", "d": "123456"}, 400)
    asked = {"input_token": "app|secret-1"}
    found = await failed(client, meta, params=asked, json={"pin": 123456, "inner": {"verify_token": "planted-verify"}})
    assert "***" in found.text
    for secret in (TOKEN, "secret-1", "123456"):
        assert secret not in repr(found)
    meta.behave = answers({"error": {"code": 1, "message": "see planted-verify"}}, 400)
    found = await failed(client, meta, json={"inner": {"verify_token": "planted-verify"}})
    assert "planted" not in repr(found)
    assert TOKEN not in repr(access(meta))


async def test_the_token_goes_to_no_other_host(client: Graph, meta: Receiver) -> None:
    """A redirect is an error, whatever its code, and is not followed."""
    async with Receiver() as stranger:
        for code in (301, 302, 307, 308):
            meta.behave = answers("", code, Location=stranger.url("/v25.0/1"))
            found = await failed(client, meta)
            assert (found.status, found.retry) == (code, Retry.NEVER)
        assert not stranger.received
    assert {one.headers["authorization"] for one in meta.received} == {f"Bearer {TOKEN}"}


async def test_pages_are_followed_by_cursor_alone(client: Graph, meta: Receiver) -> None:
    """The `next` of an answer is never called: it could name any host."""
    async with Receiver() as stranger:

        async def behave(request: Received, writer: asyncio.StreamWriter) -> None:
            place = int(request.query.get("after", "0"))
            page: dict[str, Any] = {"data": [{"id": str(place)}, "odd"]}
            if place < 3:
                page["paging"] = {"next": stranger.url(), "cursors": {"after": str(place + 1)}}
            await answers(page)(request, writer)

        meta.behave = behave
        rows = await client.pages(access(meta), "1/phone_numbers", {"fields": "id"})
        assert rows == [{"id": str(place)} for place in range(4)]
        assert all(one.query["fields"] == "id" for one in meta.received)
        assert not stranger.received


async def test_paging_ends(client: Graph, meta: Receiver) -> None:
    """A cursor that repeats itself ends it; a failure on the way is the answer."""
    page = {"data": [{"id": "1"}], "paging": {"next": "x", "cursors": {"after": "same"}}}
    meta.behave = answers(page)
    rows = await client.pages(access(meta), "1/phone_numbers")
    assert isinstance(rows, list) and len(rows) == 2
    meta.behave = answers(error(190), 401)
    assert isinstance(await client.pages(access(meta), "1/phone_numbers"), GraphFailure)


async def test_a_call_ends_in_time(client: Graph, meta: Receiver) -> None:
    """The time is for the whole call: a drip of bytes does not prolong it. Nobody knows then whether it was done."""

    async def drip(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 X\r\nContent-Length: 1000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b" ")
            await asyncio.sleep(0.02)

    for behave in (drip, hang):
        meta.behave = behave
        start = time.monotonic()
        found = await failed(client, meta, seconds=0.3)
        assert time.monotonic() - start < 2
        assert (found.reached, found.uncertain, found.retry) == (False, True, Retry.LATER)


async def test_a_connection_that_never_comes_is_certain(client: Graph) -> None:
    """A firewall that drops everything, or a pool without a free place: nothing has left, so nothing is in doubt."""
    with contextlib.ExitStack() as opened:
        listener = opened.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):  # the queue of connections that nobody takes is full
            waiting = opened.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        known = Access(f"http://127.0.0.1:{listener.getsockname()[1]}", "v25.0", TOKEN)
        found = await client.ask(known, "POST", "1/messages", json={}, seconds=1.0)
    assert isinstance(found, GraphFailure)
    assert (found.uncertain, found.retry, "ConnectTimeout" in found.text) == (False, Retry.LATER, True)


@pytest.mark.parametrize("value", ["Infinity", "nan", 10**400, -1, [1]], ids=["inf", "nan", "huge", "negative", "list"])
async def test_a_nonsensical_use_of_the_limit_is_not_believed(client: Graph, meta: Receiver, value: Any) -> None:
    """Whatever the headers say, the answer counts, and the next call is made."""
    rows = {"1": [{"call_count": value, "estimated_time_to_regain_access": value}]}
    meta.behave = answers({"id": "1"}, X_Business_Use_Case_Usage=json.dumps(rows), X_App_Usage=json.dumps(rows["1"][0]))
    for _ in range(2):
        assert await client.ask(access(meta), "GET", "1") == {"id": "1"}


async def test_a_refused_connection_is_certain(client: Graph) -> None:
    """Nothing went out, so a send may be made again without doubt."""
    found = await client.ask(Access("http://127.0.0.1:9", "v25.0", TOKEN), "POST", "1/messages", json={})
    assert isinstance(found, GraphFailure)
    assert (found.reached, found.uncertain, found.retry) == (False, False, Retry.LATER)


async def test_what_cannot_be_written_is_a_failure(client: Graph, meta: Receiver) -> None:
    """Half of a surrogate pair or NaN fits no JSON; a line end fits no header: said, never raised."""
    for document in ({"text": "\ud83d"}, {"latitude": float("nan")}):
        found = await client.ask(access(meta), "POST", "1/messages", json=document)
        assert isinstance(found, GraphFailure)
        assert (found.retry, found.uncertain) == (Retry.NEVER, False)
    odd = Access(f"http://127.0.0.1:{meta.port}", "v25.0", "planted\nx")
    found = await client.ask(odd, "GET", "1")
    assert isinstance(found, GraphFailure) and "planted" not in repr(found)
    assert not meta.received


async def test_an_odd_id_stays_one_part_of_the_path(client: Graph, meta: Receiver) -> None:
    """An id of a config or a webhook cannot name another object, nor add a query."""
    meta.behave = answers({"id": "1", "display_phone_number": "+1"})
    for odd in ("../2", "2/messages", "2?fields=x", "2#x", ".."):
        await setup.number(client, access(meta), odd)
        path = meta.received[-1].target.partition("?")[0]
        assert path.startswith("/v25.0/") and path.count("/") == 2 and ".." not in path


def used(percent: int, regain: int = 0) -> str:
    rows = [{"type": "x", "call_count": percent, "total_cputime": 1, "total_time": 1}]
    return json.dumps({"200": [rows[0] | {"estimated_time_to_regain_access": regain}]})


async def test_calls_are_spaced_out_near_the_limit(
    client: Graph, meta: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above 75 % each call keeps its distance from the last, below it none does."""
    monkeypatch.setattr(usage, "WIDEST", 0.4)
    for percent, least, most in ((74, 0.0, 0.15), (95, 0.25, 2.0)):
        meta.behave = answers({}, X_Business_Use_Case_Usage=used(percent))
        await client.ask(access(meta), "GET", "1")
        start = time.monotonic()
        await client.ask(access(meta), "GET", "1")
        assert least <= time.monotonic() - start < most


async def test_at_the_limit_calls_are_refused_early(client: Graph, meta: Receiver) -> None:
    """With the time Meta named; another account's calls and this one's messages have limits of their own."""
    meta.behave = answers({}, X_Business_Use_Case_Usage=used(100, regain=30))
    await client.ask(access(meta), "GET", "1")
    found = await failed(client, meta)
    assert (found.reached, found.retry, round(found.wait, -2)) == (False, Retry.LATER, 1800)
    assert "calls go on in 30 min" in found.text
    assert len(meta.received) == 1
    meta.behave = answers({})
    assert await client.ask(access(meta, "other"), "GET", "1") == {}
    assert await client.ask(access(meta), "POST", "1/messages", json={}) == {}


async def test_the_apps_limit_holds_for_all_of_its_calls(client: Graph, meta: Receiver) -> None:
    """X-App-Usage at 100 %: whoever uses this token waits, messages too."""
    meta.behave = answers({}, X_App_Usage='{"call_count":100,"total_time":1,"total_cputime":1}')
    await client.ask(access(meta), "GET", "1")
    for path in ("1", "1/messages"):
        found = await client.ask(access(meta, "other"), "GET", path)
        assert isinstance(found, GraphFailure) and found.wait > graph.PATIENCE


async def test_retry_after_is_kept(client: Graph, meta: Receiver) -> None:
    """After a throttled call of the account no other goes out; one user's limit holds nobody else back."""
    meta.behave = answers(error(131056), 429, Retry_After="30")
    assert (await failed(client, meta)).wait == 30
    meta.behave = answers(error(80008), 400, Retry_After="30")
    assert (await failed(client, meta)).wait == 30
    found = await failed(client, meta)
    assert (found.reached, len(meta.received)) == (False, 2)


def test_usage_headers_that_are_odd() -> None:
    """No header, no JSON, other shapes: nothing is known then; numbers may be texts."""
    for value in ("", "x", "[]", '{"200": 5}', '{"200": [5]}', '{"200": [{"call_count": null}]}', "[" * 5000):
        assert usage.read({"x-business-use-case-usage": value, "x-app-usage": value}) == (0, 0, 0)
    rows = '{"200": [{"call_count": "28", "estimated_time_to_regain_access": "2"}], "201": [{"total_time": 41}]}'
    assert usage.read({"x-business-use-case-usage": rows, "x-app-usage": '{"call_count": 9}'}) == (9, 41, 120)


def test_what_is_known_of_a_limit_grows_old() -> None:
    """A percentage is believed for an hour, and accounts that come and go do not fill memory."""
    budgets = usage.Budgets()
    budgets.note("a", 99, 0, 0.0)
    budgets.book(["a"], 0.0)
    assert budgets.pause(["a"], 0.0) > 0
    assert budgets.pause(["a"], 3601.0) == 0
    for place in range(1500):
        budgets.note(f"b{place}", 80, 0, float(place))
    assert len(budgets._budgets) == 1000


async def test_uploads_and_forms_go_out(client: Graph, sim: Meta) -> None:
    """A file with its own type beside form fields, as media needs it; the simulator takes it."""
    there = Access(sim.url, "v25.0", sim.token)
    text = ("note.txt", b"hello", "text/plain")
    found = await client.ask(
        there, "POST", f"{sim.number.id}/media", data={"messaging_product": "whatsapp"}, files={"file": text}
    )
    assert isinstance(found, dict) and found["id"]
    path = f"{sim.app.id}/subscriptions"
    app = Access(sim.url, "v25.0", f"{sim.app.id}|{sim.secret}")
    rows = await client.pages(app, path)
    assert isinstance(rows, list) and rows[0]["object"] == "whatsapp_business_account"


async def test_an_object_that_is_no_number(client: Graph, meta: Receiver) -> None:
    """An answer without a phone number is not the number that was asked for, though it is a 200."""
    meta.behave = answers({"id": "200", "name": "Shop"})
    found = await setup.number(client, access(meta), "200")
    assert isinstance(found, GraphFailure)
    assert "no phone number's" in found.text


async def test_objects_of_odd_types(client: Graph, meta: Receiver) -> None:
    """Ids as numbers, lists as null, objects as texts: read as far as they go, never raised."""
    meta.behave = answers(
        {
            "id": 1,
            "display_phone_number": 49,
            "throughput": "HIGH",
            "webhook_configuration": [],
            "health_status": {"entities": [None, {"id": 200, "entity_type": "WABA", "errors": "x"}]},
        }
    )
    number = await setup.number(client, access(meta), "1", whole=True)
    assert not isinstance(number, GraphFailure)
    assert (number.id, number.phone, number.owner("WABA")) == ("1", "49", "200")
    meta.behave = answers(
        {"data": {"app_id": 3, "is_valid": True, "scopes": None, "granular_scopes": [{"scope": "s"}]}}
    )
    token = await setup.debug_token(client, access(meta), "t")
    assert not isinstance(token, GraphFailure)
    assert (token.app_id, token.scopes, dict(token.targets)) == ("3", (), {})
    meta.behave = answers(
        {"data": [{"object": "page"}, {"object": "whatsapp_business_account", "fields": ["messages"]}]}
    )
    found = await setup.subscriptions(client, access(meta), "3")
    assert isinstance(found, list)
    assert [list(one.fields) for one in found] == [["messages"]]
    meta.behave = answers({"success": False})
    assert isinstance(await setup.set_pin(client, access(meta), "1", "123456"), GraphFailure)
