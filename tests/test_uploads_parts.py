"""The parts of uploads: Meta's calls for files, files in bodies, ids that are remembered, and memory."""

import asyncio
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from tests.conftest import Gateway, account
from tests.simulated import Meta
from tests.stored import keep
from whatshooked.config import Account
from whatshooked.keys import Keys
from whatshooked.media.local import LocalStore
from whatshooked.meta.graph import Access, Graph, GraphFailure
from whatshooked.meta.media import delete, look_up, upload
from whatshooked.meta.send import stored
from whatshooked.meta.send.stored import AtMeta
from whatshooked.simulator.media.samples import sample
from whatshooked.stream.link import Link
from whatshooked.stream.uploads import Uploaded

ACCOUNT = "business"
MakeGateway = Callable[..., Gateway]


async def test_an_id_is_a_number_s_own(link: Link, keys: Keys) -> None:
    """An account that gets another number uploads its files for it."""
    uploaded = Uploaded(link, keys)
    await uploaded.remember(ACCOUNT, "1", "a.pdf", AtMeta("77", "Ü.pdf"))
    await uploaded.remember(ACCOUNT, "1", "b.pdf", AtMeta("78", ""))
    assert await uploaded.find(ACCOUNT, "1", "a.pdf") == ("77", "Ü.pdf")
    assert await uploaded.find(ACCOUNT, "1", "b.pdf") == ("78", "")
    assert await uploaded.find(ACCOUNT, "2", "a.pdf") is None


def test_the_largest_file_of_each_kind() -> None:
    """As Meta's page on media has it."""
    types = {"image": "image/png", "video": "video/mp4", "audio": "audio/ogg; codecs=opus", "sticker": "image/webp"}
    most = {"image": 5 << 20, "video": 16 << 20, "audio": 16 << 20, "sticker": 500 << 10, "document": 100 << 20}
    for kind, size in most.items():
        assert stored.fault(kind, types.get(kind, "text/csv"), size) == ""
        assert f"Meta takes {size} at most" in stored.fault(kind, types.get(kind, "text/csv"), size + 1)


async def test_a_large_file_is_not_held_in_memory(tmp_path: Path) -> None:
    """It is sent as it is read."""
    size, received = 24 << 20, 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        head = await reader.readuntil(b"\r\n\r\n")
        total = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        while received < total:
            received += len(await reader.read(1 << 16))
        writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{"id":"77"}')
        await writer.drain()
        writer.close()

    store = LocalStore(tmp_path)
    await keep(store, "a.pdf", b"x" * size)
    server, graph = await asyncio.start_server(serve, "127.0.0.1", 0), Graph()
    access = Access(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", "v1", "token")
    tracemalloc.start()
    async with store.opened("business", "a.pdf") as file:
        assert file is not None
        assert await upload(graph, access, "1", file.content, "application/pdf", "a.pdf", seconds=30) == "77"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert file.content.closed
    assert (received > size, peak < size / 4) == (True, True), peak
    await graph.close()
    server.close()
    async with store.opened("business", "b.pdf") as file:
        assert file is None


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
    assert [tuple(use) for use in stored.uses(body)] == [
        ("image", "a.jpg", "interactive.header.image"),
        ("video", "b.mp4", "template.components[0].parameters[0].video"),
        ("image", "a.jpg", "image"),
    ]
    stored.fill(body, {"a.jpg": AtMeta("1", "a"), "b.mp4": AtMeta("2", "b")})
    assert stored.uses(body) == []
    assert body["image"] == {"id": "1", "caption": "c"}
