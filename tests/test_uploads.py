"""Files that messages send: put into the store over the API, uploaded to Meta once, and named by its id."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import API_KEY, Gateway, account
from tests.files import on_disk
from tests.sends import ANA, arrive
from tests.simulated import Meta
from tests.streams import until
from whatshooked.errors import StoreUnavailable
from whatshooked.keys import Keys
from whatshooked.media.local import LocalStore
from whatshooked.media.retention import Limits
from whatshooked.media.store import About
from whatshooked.meta.graph import GraphFailure
from whatshooked.meta.media import upload
from whatshooked.meta.send import prepare
from whatshooked.simulator.media.samples import sample
from whatshooked.simulator.rules import Rule
from whatshooked.stream.link import Link
from whatshooked.stream.outbox import Outbox
from whatshooked.stream.submit import entry

ACCOUNT = "business"
MakeGateway = Callable[..., Gateway]


@pytest.fixture
async def shop(make_gateway: MakeGateway, sim: Meta, tmp_path: Path) -> Gateway:
    """A gateway whose account is the simulator's number, and whose first customer has just written."""
    number = account(phone_number_id=sim.number.id, access_token=sim.token, graph_url=sim.url)
    gateway = make_gateway(accounts=[number], media={"data_path": str(tmp_path / "files"), "max_bytes": 100_000})
    await gateway.start()
    arrive(sim, sim.users[0])
    return gateway


@pytest.fixture
def outbox(link: Link, keys: Keys) -> Outbox:
    """The outbox under this test's prefix."""
    return Outbox(link, keys)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Keeps uploads from beginning until it is set."""
    opened = asyncio.Event()

    async def slow(*arguments: Any, **named: Any) -> str | GraphFailure:
        await opened.wait()
        return await upload(*arguments, **named)

    monkeypatch.setattr("workers.uploads.upload", slow)
    return opened


async def put(gateway: Gateway, content: bytes, mime_type: str, **query: str) -> Any:
    """Store a file over the API."""
    headers = {"x-api-key": API_KEY, "content-type": mime_type}
    url = f"{gateway.base}/api/media/business"
    return await gateway.client.post(url, content=content, headers=headers, params=query)


async def kept(gateway: Gateway, kind: Any, **query: str) -> str:
    """Store a sample; returns its name."""
    file = sample(kind)
    answer = await put(gateway, file.content, file.mime_type, **query)
    return str(answer.json()["filename"])


async def taken(sim: Meta, count: int) -> list[Any]:
    """The messages that Meta took, once they are as many."""

    async def enough() -> bool:
        return len([one for one in sim.state.messages.values() if one.outgoing]) >= count

    await until(enough)
    return [one for one in sim.state.messages.values() if one.outgoing]


def uploads(sim: Meta) -> int:
    """How many files were uploaded to Meta."""
    return sum(1 for call in sim.world.calls if call.method == "POST" and call.path.endswith("/media"))


@pytest.mark.parametrize("kind", ["image", "video", "document", "sticker"])
async def test_a_stored_file_is_sent(shop: Gateway, sim: Meta, kind: Any, tmp_path: Path) -> None:
    """Stored over the API, named in a message, uploaded once for two messages, and Meta has the very bytes."""
    file = sample(kind)
    answer = await put(shop, file.content, file.mime_type, filename=file.filename)
    assert answer.status_code == 201
    name = answer.json()["filename"]
    assert [path.name for path in on_disk(tmp_path / "files")] == [name]
    for _ in range(2):
        body = {"to": ANA, "type": kind, kind: {"stored": name}}
        sent = await shop.api("POST", "/api/messages?wait=10", json=body)
        assert sent.json()["state"] == "sent", sent.text
    await taken(sim, 2)
    assert uploads(sim) == 1
    (media,) = sim.state.media.values()
    assert (media.content, media.mime_type) == (file.content, file.mime_type)


async def test_a_file_that_went_fails_its_message(shop: Gateway, sim: Meta, outbox: Outbox) -> None:
    """A clear error, and the next message to the same person goes out."""
    for number, kind in enumerate(("image", "video")):
        name = "x.jpg" if number == 0 else await kept(shop, "image")
        body = {"to": ANA, "type": kind, kind: {"stored": name}}
        await outbox.add(ACCOUNT, [entry(f"m1-{number}", prepare(body, country_code="1"))])
    assert (await shop.api("POST", "/api/send?wait=10", json={"to": ANA, "text": "hi"})).json()["state"] == "sent"
    errors = {one.id: one.error for one in await outbox.page(ACCOUNT, "failed")}
    assert "no stored file x.jpg" in errors["m1-0"]
    assert "it is image/jpeg, not a video" in errors["m1-1"]
    assert uploads(sim) == 0


async def test_what_meta_does_not_take_fails_its_message(shop: Gateway, sim: Meta) -> None:
    """Meta's own words for a file of a wrong type stand in the message's error."""
    answer = await put(shop, b"MZ...", "application/x-msdownload", filename="a.exe")
    body = {"to": ANA, "type": "document", "document": {"stored": answer.json()["filename"]}}
    sent = await shop.api("POST", "/api/messages?wait=10", json=body)
    assert sent.json()["state"] == "failed"
    assert "its file was not taken" in sent.text


async def test_messages_wait_for_one_upload(
    shop: Gateway, sim: Meta, outbox: Outbox, gate: asyncio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upload that outlasts every lease leaves no message unknown, counts as no try, and is made once for all."""
    monkeypatch.setattr("workers.outbox.LEASE_MS", 1_500)
    monkeypatch.setattr("workers.outbox.BEGINS_WITHIN", 0.3)
    monkeypatch.setattr("workers.uploads.AGAIN_MS", 100, raising=False)
    monkeypatch.setattr("workers.outbox.TIMEOUT", 60.0)
    name, first, count = await kept(shop, "image"), {"to": ANA}, 6
    users = [{"to": f"+4915112345{number:03d}"} for number in range(count - 1)]
    for user in (first, *users):
        body = {**user, "type": "image", "image": {"stored": name}}
        assert (await shop.api("POST", "/api/messages", json=body)).status_code == 202
    assert (await shop.api("POST", "/api/messages", json={"to": ANA, "text": "after it"})).status_code == 202

    async def told(part: str) -> bool:
        return len([one for one in await outbox.page(ACCOUNT) if part in one.error]) >= count

    await until(lambda: told("its file is being uploaded"))
    await asyncio.sleep(2.0)  # longer than a lease
    assert (await outbox.counts(ACCOUNT))["unknown"] == 0
    gate.set()

    async def over() -> bool:
        counts = await outbox.counts(ACCOUNT)
        return counts["new"] + counts["sending"] == 0

    await until(over)
    assert uploads(sim) == 1
    found = await outbox.page(ACCOUNT)
    assert {one.attempts for one in found} == {1}, "no try was counted while the file was on its way"
    assert not [one for one in found if one.state == "unknown"]
    kinds = [one.type for one in await taken(sim, 2) if one.user_id == sim.users[0].id]
    assert kinds == ["image", "text"], "the order of the line is kept"


async def test_a_worker_that_stops_gives_back_what_waits_for_its_file(
    shop: Gateway, sim: Meta, outbox: Outbox, gate: asyncio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the message has left: the next worker sends it at once."""
    monkeypatch.setattr("workers.process.GRACE", 0.2)
    name = await kept(shop, "image")
    await shop.api("POST", "/api/messages", json={"to": ANA, "type": "image", "image": {"stored": name}})

    async def begun() -> bool:
        return (await outbox.counts(ACCOUNT))["sending"] == 1

    await until(begun)
    await shop.stop_workers()
    (record,) = await outbox.page(ACCOUNT)
    assert (record.state, record.attempts, record.error) == ("new", 0, "the worker stopped")
    gate.set()
    await shop.add_worker()
    await taken(sim, 1)


async def test_a_refused_message_lets_its_file_be_uploaded_anew(shop: Gateway, sim: Meta) -> None:
    """Meta's id may be what it was refused for: the next message does not take it."""
    name = await kept(shop, "image")
    await sim.control("POST", "rules", json={"path": "*/messages", "fault": "error", "status": 400, "code": 100})
    body = {"to": ANA, "type": "image", "image": {"stored": name}}
    states = [(await shop.api("POST", "/api/messages?wait=10", json=body)).json()["state"] for _ in range(3)]
    assert (states, uploads(sim)) == (["failed", "sent", "sent"], 2)
    stranger = await shop.api("POST", "/api/messages?wait=10", json=body | {"to": "+4915112345000"})
    again = await shop.api("POST", "/api/messages?wait=10", json=body)
    assert (stranger.json()["state"], again.json()["state"]) == ("failed", "sent")
    assert uploads(sim) == 2, "who it was for was refused, not what was in it"


async def test_files_of_waiting_messages_stay(
    shop: Gateway, sim: Meta, tmp_path: Path, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Retention removes a file that no message waits for, and leaves those of the others, however many they are."""
    monkeypatch.setattr("whatshooked.stream.outbox_view._A_PAGE", 2, raising=False)
    monkeypatch.setattr("workers.files.Limits", lambda *_: Limits(60.0, 0))
    await shop.stop_workers()
    lone, *names = [await kept(shop, "image", filename=f"{number}.jpg") for number in range(6)]
    for name in names:
        await shop.api("POST", "/api/messages", json={"to": ANA, "type": "image", "image": {"stored": name}})
    for path in (tmp_path / "files").rglob("*"):
        if path.is_file():
            os.utime(path, (time.time() - 4_000,) * 2)
    assert await outbox.waiting_files(ACCOUNT) == set(names)
    sim.world.rules.append(Rule(fault="error", path="*/media", count=0))
    worker = await shop.add_worker()
    await worker._files.sweep()
    assert {path.name for path in on_disk(tmp_path / "files")} == set(names)
    assert lone not in names


async def test_a_message_is_refused_for_its_file_at_once(shop: Gateway, tmp_path: Path) -> None:
    """A file that is not there, of another kind, or too large: each at its place in the request."""
    image, text = await kept(shop, "image"), (await put(shop, b"x", "text/plain")).json()["filename"]
    large = (await put(shop, b"x" * 90_000, "image/webp")).json()["filename"]

    async def faults(kind: str, name: str, **more: Any) -> Any:
        body = {"to": ANA, "type": kind, kind: {"stored": name}} | more
        answer = await shop.api("POST", "/api/messages", json=body)
        return answer.json()["error"]["faults"] if answer.status_code == 422 else answer.status_code

    assert await faults("image", "nope.jpg") == ["image.stored: there is no such file"]
    assert await faults("image", "../x") == ["image.stored: there is no such file"]
    (fault,) = await faults("image", text)
    assert fault.startswith("image.stored: it is text/plain, not an image")
    header = {"type": "image", "image": {"stored": "no.jpg"}}
    action = {"buttons": [{"type": "reply", "reply": {"id": "1", "title": "Yes"}}]}
    buttons = {"type": "button", "header": header, "body": {"text": "?"}, "action": action}
    answer = await shop.api("POST", "/api/messages", json={"to": ANA, "interactive": buttons})
    assert answer.json()["error"]["faults"] == ["interactive.header.image.stored: there is no such file"]
    assert await faults("document", text) == await faults("sticker", large) == await faults("image", image) == 202


async def test_what_was_taken_is_not_refused_for_a_file_that_went(shop: Gateway, tmp_path: Path) -> None:
    """Asked again with its Idempotency-Key, a message is the one that it was."""
    name = await kept(shop, "image")
    headers = {"x-api-key": API_KEY, "idempotency-key": "one"}
    body = {"to": ANA, "type": "image", "image": {"stored": name}}
    url = f"{shop.base}/api/messages?wait=10"
    first = await shop.client.post(url, headers=headers, json=body)
    on_disk(tmp_path / "files")[0].unlink()
    again = await shop.client.post(url, headers=headers, json=body)
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    headers["idempotency-key"] = "two"
    assert (await shop.client.post(url, headers=headers, json=body)).status_code == 422


async def test_a_store_that_is_away_refuses_no_message(shop: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be back by the time the message is sent."""

    async def away(*_: Any) -> Any:
        raise StoreUnavailable("no disk")

    monkeypatch.setattr("whatshooked.media.local.LocalStore.about", away, raising=False)
    body = {"to": ANA, "type": "image", "image": {"stored": "x.jpg"}}
    assert (await shop.api("POST", "/api/messages", json=body)).status_code == 202


async def test_an_error_of_ours_beside_a_file_is_not_the_message_s(
    shop: Gateway, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the message has left: it waits, and is not unknown."""
    name, about, errors = await kept(shop, "image"), LocalStore.about, [RuntimeError("a bug")]

    async def buggy(store: LocalStore, account_id: str, filename: str) -> About | None:
        if errors:
            raise errors.pop()
        return await about(store, account_id, filename)

    monkeypatch.setattr("workers.uploads.AGAIN_MS", 50)
    monkeypatch.setattr(LocalStore, "about", buggy)
    await outbox.add(
        ACCOUNT, [entry("m1", prepare({"to": ANA, "type": "image", "image": {"stored": name}}, country_code="1"))]
    )

    async def sent() -> bool:
        return bool(await outbox.page(ACCOUNT, "sent"))

    await until(sent)
    assert not errors


@pytest.mark.parametrize(("told", "shown"), [({}, "Bill 7.pdf"), ({"filename": "b.pdf"}, "b.pdf")])
async def test_a_document_is_called_as_its_file_is(shop: Gateway, sim: Meta, told: Any, shown: str) -> None:
    """The name it was stored with, unless the message says another; the second message knows it, too."""
    name = await kept(shop, "document", filename="Bill 7.pdf")
    for _ in range(2):
        body = {"to": ANA, "type": "document", "document": {"stored": name, **told}}
        assert (await shop.api("POST", "/api/messages?wait=10", json=body)).json()["state"] == "sent"
    assert [one.body["document"]["filename"] for one in await taken(sim, 2)] == [shown, shown]


async def test_an_upload_without_an_answer_is_made_again(shop: Gateway, sim: Meta) -> None:
    """Nothing of a message left with its file: it is sent later, and never unknown."""
    await sim.control("POST", "rules", json={"path": "*/media", "fault": "reset"})
    name = (await put(shop, sample("image").content, "image/jpeg")).json()["filename"]
    sent = await shop.api("POST", "/api/messages?wait=15", json={"to": ANA, "type": "image", "image": {"stored": name}})
    assert sent.json()["state"] == "sent", sent.text
    assert uploads(sim) == 2


async def test_bad_uploads_are_refused(shop: Gateway, tmp_path: Path) -> None:
    """Too large, empty, for nobody, or without credentials: each says so, and leaves nothing."""
    assert (await put(shop, b"x" * 100_001, "image/png")).status_code == 413
    assert (await put(shop, b"", "image/png")).status_code == 400
    answer = await shop.api("POST", "/api/media/nobody", content=b"x")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_account")
    answer = await shop.api("POST", "/api/media/business", files={"file": ("a.png", b"x")})
    assert answer.status_code == 415
    assert "curl --data-binary @FILE" in answer.text
    answer = await shop.client.post(f"{shop.base}/api/media/business", content=b"x", headers={"x-api-key": "no"})
    assert answer.status_code == 401
    await asyncio.sleep(0.1)
    assert [path for path in (tmp_path / "files").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("told", ["image/png; a=" + "x" * 50_000, "no type", "application/octet-stream"])
async def test_a_type_that_is_none_says_nothing(shop: Gateway, told: str) -> None:
    """Then the name for people tells the type."""
    assert (await put(shop, b"x", told, filename="a.png")).json()["mime_type"] == "image/png"
    assert (await put(shop, b"x", told)).json()["mime_type"] == "application/octet-stream"
