"""Backup and restore: what was acknowledged before the backup is there again, whatever state it was in."""

import asyncio
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from tests import files, meta, sends
from tests.commands import run
from tests.conftest import Gateway, account, hook
from tests.disks import disk_of
from tests.event_rows import section
from tests.receiver import Receiver, status
from tests.simulated import Meta
from tests.streams import Rig, until
from whatshooked.cli.backup.command import _alone
from whatshooked.embedded import Embedded
from whatshooked.keys import Keys
from whatshooked.stream import restored
from whatshooked.stream.fsck import examine
from whatshooked.stream.link import Link
from whatshooked.stream.outbox_fsck import examine_outboxes

MakeGateway = Callable[..., Gateway]


def _document(folder: Path, prefix: str, *hooks: dict[str, Any], accounts: list[dict[str, Any]]) -> dict[str, Any]:
    """A gateway whose whole state lies in a folder."""
    return {
        "server": {"host": "127.0.0.1", "port": 0, "auth_key": "api-key-of-the-tests"},
        "whatsapp": accounts,
        "hooks": list(hooks),
        "redis": {"prefix": prefix},
        "message_cache": {"data_path": str(folder / "cache")},
        "media": {"data_path": str(folder / "media")},
        "event_logger": section(folder, "file", "sqlite"),
    }


@asynccontextmanager
async def running(folder: Path, prefix: str, document: dict[str, Any], *, workers: int = 1) -> AsyncIterator[Gateway]:
    """The gateway on the embedded server of its own state."""
    server = Embedded.open(folder / "cache")
    found = Gateway(folder, server.url, prefix, document)
    try:
        await found.start(workers)
        yield found
    finally:
        await found.stop()
        server.close()


async def _told(gateway: Gateway, keys: Keys) -> None:
    """Return once both targets of the log have written what happened."""
    async with Link(gateway.url) as link:

        async def written() -> bool:
            rows = await link.call("XINFO", "GROUPS", keys.activity)
            last = (await link.call("XREVRANGE", keys.activity, "+", "-", "COUNT", 1))[0][0]
            at = [row[row.index(b"last-delivered-id") + 1] for row in rows]
            pending = [row[row.index(b"pending") + 1] for row in rows]
            return len(at) == 2 and set(at) == {last} and pending == [0, 0]

        await until(written, timeout=30)


def _log_rows(folder: Path) -> tuple[set[str], set[str]]:
    """The ids of the rows in files and database."""
    with closing(sqlite3.connect(folder / "events.sqlite")) as database:
        rows = {str(row[0]) for row in database.execute("SELECT ms || '-' || seq FROM event_logs")}
    lines = (folder / "events" / "events.jsonl").read_text().splitlines()
    return {str(json.loads(line)["id"]).rpartition(":")[2] for line in lines}, rows


def _wipe(folder: Path) -> None:
    for name in ("cache", "media", "events"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for path in folder.glob("events.sqlite*"):
        path.unlink()


async def _fill(gateway: Gateway, link: Link, sim: Meta, receiver: Receiver, refusing: Receiver) -> None:
    """Have three events wait, one of them with a file, one that nobody wants, one dead, and a message to be sent."""
    await files.post(gateway, files.message(sim, files.stored(sim)), meta.text("one"), meta.text("two"))
    assert (await gateway.post(meta.webhook(meta.value(statuses=[meta.status("read")])))).status_code == 200
    await gateway.cached(3, state="waiting")
    await gateway.cached(1, state="unmatched")

    async def all_tried() -> bool:
        return len(receiver.received) == 3 and len(refusing.received) >= 3

    await until(all_tried)
    await gateway.stop_workers()
    await Rig(link, Keys(gateway.prefix), "good", "bad").dead("bad")
    message = {"account_id": "silent", "to": "+4915112345678", "text": "hi"}
    sent = await gateway.api("POST", "/api/send", json=message)
    assert sent.status_code < 300, sent.text


async def _state(gateway: Gateway, link: Link) -> tuple[dict[str, str], list[bytes], list[bytes]]:
    """The cached events, and the keys that tell who owes and who took them."""
    listed = {one["id"]: one["state"] for one in await gateway.cached(5)}
    found = [await link.call("KEYS", f"*{gateway.prefix}*{kind}:*") for kind in ("open", "taken")]
    return listed, sorted(found[0]), sorted(found[1])


async def test_everything_comes_back(tmp_path: Path, prefix: str, keys: Keys, receiver: Receiver, sim: Meta) -> None:
    """Waiting, dead, unmatched and finished shares of events, files, outgoing messages and the log are as they were."""
    home, kept = tmp_path / "home", str(tmp_path / "kept")
    home.mkdir()
    async with Receiver(status(503)) as refusing:
        hooks = [hook(i, r.url(), events=["message.received"]) for i, r in (("good", receiver), ("bad", refusing))]
        accounts = [files.of_meta(sim), account(2, "silent", graph_url="http://127.0.0.1:9")]
        document = _document(home, prefix, *hooks, accounts=accounts)
        later = meta.webhook(meta.value(meta.text("after the backup")))
        async with running(home, prefix, document) as gateway, Link(gateway.url) as link:
            await _fill(gateway, link, sim, receiver, refusing)
            before = await _state(gateway, link)
            assert (await run("backup", kept, "-c", str(gateway.path))).code == 0
            assert (await gateway.post(later)).status_code == 200
        rows, pictures = _log_rows(home), files.on_disk(home / "media")
        _wipe(home)
        said = await run("restore", kept, "-c", str(home / "config.json"))
        assert said.code == 0, said.err
        assert "silent: 1 messages waited" in said.out
        assert files.on_disk(home / "media") == pictures
        assert [path.stat().st_nlink for path in pictures] == [2]  # its content is the same file, once
        assert _log_rows(home) == rows
        async with running(home, prefix, document, workers=0) as gateway, Link(gateway.url) as link:
            assert await _state(gateway, link) == before
            assert await examine(link, keys, ["good", "bad"], repair=False) == []
            assert await examine_outboxes(link, keys, repair=False) == []
            found = (await gateway.api("GET", "/api/messages")).json()["messages"]
            assert [(one["state"], one["error"]) for one in found] == [("unknown", restored.ERROR)]
            await _goes_on(gateway, later, receiver, refusing)
            await _told(gateway, keys)
        files_now, database_now = _log_rows(home)
        assert rows[0] < files_now and rows[1] < database_now and files_now == database_now


async def _goes_on(gateway: Gateway, later: bytes, receiver: Receiver, refusing: Receiver) -> None:
    """What was owed is delivered, what came after the backup is new when it comes again, and who had one is spared."""
    refusing.behave = status(200)
    had = len(receiver.received)
    assert (await gateway.post(later)).status_code == 200
    await gateway.add_worker()
    await gateway.api("POST", "/api/cache/replay")
    await gateway.cached(1, state="unmatched", timeout=30)

    async def only_unmatched() -> bool:
        return len((await gateway.api("GET", "/api/cache")).json()["events"]) == 1

    await until(only_unmatched, timeout=30)
    assert sorted(one.json["text"] for one in receiver.received[had:]) == ["after the backup", "hello"]
    assert {"one", "two", "hello", "after the backup"} <= {one.json["text"] for one in refusing.received}


async def test_what_waited_is_sent_when_asked(tmp_path: Path, prefix: str, sim: Meta) -> None:
    """`--send`: a message that waited at the backup is as new as it was, nobody doubts it, and it is sent."""
    home, kept = tmp_path / "home", str(tmp_path / "kept")
    home.mkdir()
    sends.arrive(sim, sim.users[0])
    document = _document(home, prefix, accounts=[files.of_meta(sim)])
    async with running(home, prefix, document, workers=0) as gateway:
        message = {"account_id": "business", "to": sends.ANA, "text": "hi"}
        assert (await gateway.api("POST", "/api/send", json=message)).status_code < 300
        assert (await run("backup", kept, "-c", str(gateway.path))).code == 0
    _wipe(home)
    said = await run("restore", kept, "-c", str(home / "config.json"), "--send")
    assert (said.code, "may have been sent since" in said.out + said.err) == (0, False)
    async with running(home, prefix, document, workers=0) as gateway:

        async def states() -> list[str]:
            return [one["state"] for one in (await gateway.api("GET", "/api/messages")).json()["messages"]]

        async def is_sent() -> bool:
            return (await states())[0] in ("sent", "delivered", "read")

        assert await states() == ["new"]
        await gateway.add_worker()
        await until(is_sent)


async def test_a_backup_under_traffic_has_all_that_was_acknowledged(
    tmp_path: Path, prefix: str, keys: Keys, receiver: Receiver
) -> None:
    """While webhooks come in and the server writes its file anew: what was answered 200 before is in the backup."""
    home, kept = tmp_path / "home", tmp_path / "kept"
    home.mkdir()
    document = _document(home, prefix, hook("h1", receiver.url()), accounts=[account()])
    async with running(home, prefix, document) as gateway, Link(gateway.url) as link:
        bodies = [meta.webhook(meta.value(meta.text(str(n)))) for n in range(400)]
        answered: list[bytes] = []
        stop = asyncio.Event()

        async def traffic() -> None:
            for body in bodies:
                if stop.is_set():
                    return
                assert (await gateway.post(body)).status_code == 200
                answered.append(body)

        async def rewriting() -> None:
            while not stop.is_set():
                await link.batch([("BGREWRITEAOF",)])
                await asyncio.sleep(0.02)

        busy = asyncio.gather(traffic(), rewriting())
        await until(lambda: _reached(answered, 60))
        acknowledged = len(answered)
        said = await run("backup", str(kept), "-c", str(gateway.path))
        stop.set()
        await busy
        assert said.code == 0, said.err
        assert acknowledged < len(answered)
    _wipe(home)
    assert (await run("restore", str(kept), "-c", str(home / "config.json"))).code == 0
    async with running(home, prefix, document, workers=0) as gateway, Link(gateway.url) as link:
        before = await link.call("XLEN", keys.events)
        assert before >= acknowledged
        for body in answered[:acknowledged]:
            assert (await gateway.post(body)).status_code == 200
        assert await link.call("XLEN", keys.events) == before  # known again, each
        assert await examine(link, keys, ["h1"], repair=False) == []


async def _reached(rows: list[bytes], count: int) -> bool:
    return len(rows) >= count


async def test_a_restore_overwrites_nothing(tmp_path: Path, prefix: str, receiver: Receiver) -> None:
    """Where something lies nothing is restored; nor over a backup, nor from a part of one."""
    home, kept = tmp_path / "home", tmp_path / "kept"
    home.mkdir()
    document = _document(home, prefix, hook("h1", receiver.url()), accounts=[account()])
    async with running(home, prefix, document) as gateway:
        await files.post(gateway, meta.text())
        config = str(gateway.path)
        assert (await run("backup", str(kept), "-c", config)).code == 0
        refused = await run("backup", str(kept), "-c", config)
        assert (refused.code, "is there already" in refused.err) == (1, True)
    refused = await run("restore", str(kept), "-c", config)
    assert (refused.code, "stop the gateway and move it away" in refused.err) == (1, True)
    (kept / "backup.json").unlink()
    refused = await run("restore", str(kept), "-c", config)
    assert (refused.code, "no whole backup" in refused.err) == (1, True)
    assert (kept / "config.json").stat().st_mode & 0o777 == 0o600 and kept.stat().st_mode & 0o777 == 0o700


async def test_data_on_disks_of_their_own_comes_back(
    tmp_path: Path, prefix: str, receiver: Receiver, sim: Meta
) -> None:
    """A folder that is a mount point cannot be renamed away or into place: what it holds is made ready inside it."""
    home, kept = tmp_path / "home", str(tmp_path / "kept")
    home.mkdir()
    document = _document(home, prefix, hook("h1", receiver.url()), accounts=[files.of_meta(sim)])
    async with running(home, prefix, document) as gateway:
        await files.post(gateway, files.message(sim, files.stored(sim)))
        await receiver.wait(1)
        pictures = files.on_disk(home / "media")
        assert (await run("backup", kept, "-c", str(gateway.path))).code == 0
    _wipe(home)
    with disk_of("64m", home / "cache") as cache, disk_of("64m", home / "media") as media:
        (cache / ".restoring").mkdir()  # of a restore that was killed
        said = await run("restore", kept, "-c", str(home / "config.json"))
        assert said.code == 0, said.err
        assert [path.name for path in cache.iterdir()] == ["valkey"]
        assert files.on_disk(media) == pictures
        async with running(home, prefix, document, workers=0) as gateway, Link(gateway.url) as link:
            assert await link.call("XLEN", Keys(prefix).events) == 1


async def test_a_backup_holds_no_copy_of_itself(tmp_path: Path, prefix: str) -> None:
    """Into a folder that it is to hold nothing is written, nor beside another backup of the same name."""
    path, kept = tmp_path / "config.json", tmp_path / "kept"
    path.write_text(json.dumps(_document(tmp_path, prefix, accounts=[account()])))
    refused = await run("backup", str(tmp_path / "media" / "backups" / "one"), "-c", str(path))
    assert (refused.code, "which it is to hold: name another folder" in refused.err) == (1, True)
    assert not (tmp_path / "media").exists()
    with _alone(tmp_path / "kept.part"):
        refused = await run("backup", str(kept), "-c", str(path))
    assert (refused.code, "another backup is being made here" in refused.err) == (1, True)
    (tmp_path / "kept.part" / "half").mkdir()  # of one that was killed
    assert (await run("backup", str(kept), "-c", str(path))).code == 0
    assert sorted(path.name for path in kept.iterdir()) == ["backup.json", "config.json"]


async def test_a_backup_is_of_one_prefix(tmp_path: Path, prefix: str, receiver: Receiver) -> None:
    """Restored under another prefix it would look empty: it is refused."""
    home, kept = tmp_path / "home", tmp_path / "kept"
    home.mkdir()
    document = _document(home, prefix, accounts=[account()])
    async with running(home, prefix, document) as gateway:
        assert (await run("backup", str(kept), "-c", str(gateway.path))).code == 0
    document["redis"] = {"prefix": "other"}
    (home / "config.json").write_text(json.dumps(document))
    _wipe(home)
    refused = await run("restore", str(kept), "-c", str(home / "config.json"))
    assert (refused.code, f"its redis.prefix is {prefix}" in refused.err) == (1, True)


async def test_what_lies_elsewhere_is_named(make_gateway: MakeGateway, tmp_path: Path) -> None:
    """A Redis of one's own is no part of the backup: it is refused until somebody says so, and told even then."""
    found, kept = make_gateway(), tmp_path / "kept"
    found.write()
    refused = await run("backup", str(kept), "-c", str(found.path))
    assert (refused.code, "the rest with --without-redis" in refused.err) == (1, True)
    assert not kept.exists()
    said = await run("backup", str(kept), "--without-redis", "-c", str(found.path))
    assert said.code == 0 and "LEFT Redis: redis.url names a server of your own" in said.err


async def test_the_server_of_ours_is_always_in_a_backup(tmp_path: Path, prefix: str) -> None:
    """`--without-redis` would leave out events that nothing else backs up."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(_document(tmp_path, prefix, accounts=[account()])))
    refused = await run("backup", str(tmp_path / "kept"), "--without-redis", "-c", str(path))
    assert (refused.code, "leave --without-redis out" in refused.err) == (1, True)


async def test_what_waits_in_ones_own_redis_is_doubted_when_asked(
    make_gateway: MakeGateway, tmp_path: Path, link: Link, keys: Keys
) -> None:
    """A Redis restored by its own means may send what was sent already, unless `--doubt` is said, folder or none."""
    found = make_gateway(
        media={"data_path": str(tmp_path / "media")}, event_logger={"file_dir": str(tmp_path / "events")}
    )
    await found.start(workers=0)
    message = {"account_id": "business", "to": "+4915112345678", "text": "hi"}
    assert (await found.api("POST", "/api/send", json=message)).status_code < 300
    kept = str(tmp_path / "kept")
    assert (await run("backup", kept, "--without-redis", "-c", str(found.path))).code == 0
    for options, state in (([], "new"), (["--doubt"], "unknown")):
        assert (await run("restore", kept, "-c", str(found.path), *options)).code == 0
        assert [one["state"] for one in (await found.api("GET", "/api/messages")).json()["messages"]] == [state]
    assert (await found.api("POST", "/api/send", json=message)).status_code < 300
    refused = await run("restore", "-c", str(found.path))
    assert (refused.code, "name the folder of a backup" in refused.err) == (1, True)
    alone = await run("restore", "--doubt", "-c", str(found.path))
    assert (alone.code, "1 messages waited" in alone.out) == (0, True)
    assert await examine_outboxes(link, keys, repair=False) == []
