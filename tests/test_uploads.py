"""Files that messages send: put into the store over the API, uploaded to Meta once, and named by its id."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import API_KEY, Gateway, account
from tests.files import on_disk
from tests.sends import ANA, arrive
from tests.simulated import Meta
from tests.streams import until
from whatshooked.config import Account
from whatshooked.meta.graph import Access, Graph, GraphFailure
from whatshooked.meta.media import delete, look_up, upload
from whatshooked.meta.send import stored
from whatshooked.simulator.media.samples import sample

MakeGateway = Callable[..., Gateway]


@pytest.fixture
async def shop(make_gateway: MakeGateway, sim: Meta, tmp_path: Path) -> Gateway:
    """A gateway whose account is the simulator's number, and whose first customer has just written."""
    number = account(phone_number_id=sim.number.id, access_token=sim.token, graph_url=sim.url)
    gateway = make_gateway(accounts=[number], media={"data_path": str(tmp_path / "files"), "max_bytes": 100_000})
    await gateway.start()
    arrive(sim, sim.users[0])
    return gateway


async def put(gateway: Gateway, content: bytes, mime_type: str, **query: str) -> Any:
    """Store a file over the API."""
    headers = {"x-api-key": API_KEY, "content-type": mime_type}
    url = f"{gateway.base}/api/media/business"
    return await gateway.client.post(url, content=content, headers=headers, params=query)


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


async def test_a_file_that_is_not_there_fails_its_message(shop: Gateway, sim: Meta) -> None:
    """A clear error, and the next message to the same person goes out."""
    missing = await shop.api(
        "POST", "/api/messages?wait=10", json={"to": ANA, "type": "image", "image": {"stored": "x.jpg"}}
    )
    assert (missing.json()["state"], uploads(sim)) == ("failed", 0)
    assert "no stored file x.jpg" in missing.text
    assert (await shop.api("POST", "/api/send?wait=10", json={"to": ANA, "text": "hi"})).json()["state"] == "sent"


async def test_what_meta_does_not_take_fails_its_message(shop: Gateway, sim: Meta) -> None:
    """Meta's own words for a file of a wrong type stand in the message's error."""
    answer = await put(shop, b"MZ...", "application/x-msdownload", filename="a.exe")
    name = answer.json()["filename"]
    sent = await shop.api("POST", "/api/messages?wait=10", json={"to": ANA, "type": "image", "image": {"stored": name}})
    assert sent.json()["state"] == "failed"
    assert "its file was not taken" in sent.text


async def test_an_upload_without_an_answer_is_made_again(
    shop: Gateway, sim: Meta, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of a message left with its file: it is sent later, and never unknown."""
    monkeypatch.setattr("workers.outcome.UPLOAD_AGAIN", 0.1)
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
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no_account")
    answer = await shop.client.post(f"{shop.base}/api/media/business", content=b"x", headers={"x-api-key": "no"})
    assert answer.status_code == 401
    await asyncio.sleep(0.1)
    assert [path for path in (tmp_path / "files").rglob("*") if path.is_file()] == []


async def test_the_helpers_of_meta_s_files(sim: Meta, make_gateway: MakeGateway) -> None:
    """Upload, look-up and deletion, typed; what Meta does not have is a failure with its code."""
    known = account(phone_number_id=sim.number.id, access_token=sim.token, graph_url=sim.url)
    gateway = make_gateway(accounts=[known])
    gateway.write()
    one: Account = gateway.config.whatsapp[0]
    graph, access, file = Graph(), Access.of(one), sample("image")
    media_id = await upload(graph, access, sim.number.id, file.content, file.mime_type, "a.jpg", seconds=5)
    assert isinstance(media_id, str)
    place = await look_up(graph, access, media_id, seconds=5)
    assert not isinstance(place, GraphFailure)
    assert (place.mime_type, place.size) == (file.mime_type, len(file.content))
    assert await delete(graph, access, media_id) is None
    gone = await look_up(graph, access, media_id, seconds=5)
    assert isinstance(gone, GraphFailure)
    assert (gone.code, gone.subcode) == (100, 33)
    assert isinstance(await delete(graph, access, media_id), GraphFailure)
    await graph.close()


def test_files_are_found_wherever_a_body_holds_them() -> None:
    """Headers of interactive messages and parameters of templates bring files, too; text that looks so brings none."""
    body = {
        "text": {"body": '{"image": {"stored": "no"}}'},
        "interactive": {"header": {"type": "image", "image": {"stored": "a.jpg"}}, "body": {"stored": "no"}},
        "template": {"components": [{"parameters": [{"type": "video", "video": {"stored": "b.mp4"}}]}]},
        "image": {"stored": "a.jpg", "caption": "c"},
    }
    assert stored.named(body) == ["a.jpg", "b.mp4"]
    stored.fill(body, {"a.jpg": "1", "b.mp4": "2"})
    assert stored.named(body) == []
    assert body["image"] == {"id": "1", "caption": "c"}
