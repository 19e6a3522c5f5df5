"""The event log from end to end: what happens at the gateway is in its targets, once, whatever becomes of them."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tests import meta
from tests.conftest import Gateway, account, hook
from tests.postgres import Postgres, postgres
from tests.receiver import Received, Receiver, status
from tests.simulated import Meta
from tests.streams import until
from whatshooked.eventlog.row import Row, Wanted
from whatshooked.eventlog.targets import open_target
from whatshooked.keys import FIRST_SHARD, Keys
from whatshooked.stream.activity import watch
from whatshooked.stream.follow import lags
from whatshooked.stream.link import Link
from workers.process import Process

__all__ = ["postgres"]

MakeGateway = Callable[..., Gateway]


def logged(folder: Path, **more: Any) -> dict[str, Any]:
    """The section of a config whose log is on, in one folder."""
    places = {"file_dir": str(folder / "events"), "sqlite_path": str(folder / "events.sqlite")}
    return {"enabled": True, "targets": ["file"]} | places | more


def read(gateway: Gateway, target: Any = "file", **wanted: Any) -> list[Row]:
    """A target's rows, oldest first, but for those of the account's connection."""
    opened = open_target(target, gateway.config)
    try:
        found = list(opened.rows(Wanted(newest_first=False, **wanted)))
    finally:
        opened.close()
    return [row for row in found if not row.type.startswith("whatsapp.")]


async def rows(gateway: Gateway, count: int, target: Any = "file", **wanted: Any) -> list[Row]:
    """The same once there are so many; raises TimeoutError."""
    async with asyncio.timeout(20):
        while len(found := await asyncio.to_thread(read, gateway, target, **wanted)) < count:
            await asyncio.sleep(0.1)
    return found


async def test_an_event_and_its_attempt_are_logged(
    make_gateway: MakeGateway, receiver: Receiver, tmp_path: Path
) -> None:
    """A message that a hook takes leaves three rows: it came in, the attempt began, it was accepted."""
    gateway = make_gateway(hook("h1", receiver.url()), event_logger=logged(tmp_path))
    await gateway.start()
    message = meta.text("Hello")
    await gateway.post(meta.webhook(meta.value(message)))
    came, began, taken = await rows(gateway, 3)
    assert (came.type, came.state, came.text) == ("message.received", "received", "Hello")
    assert (began.type, began.hook_id, began.attempt, began.text) == ("hook.triggered", "h1", 1, "")
    assert (taken.type, taken.state, taken.status, taken.hook_id) == ("hook.success", "accepted", 200, "h1")
    assert taken.duration_ms > 0
    for row in (came, began, taken):
        assert (row.account_id, row.conversation) == ("business", meta.CUSTOMER)
        assert (row.event_id, row.message_id, row.message_type) == (came.event_id, message["id"], "text")


async def test_all_targets_have_the_same_rows(
    make_gateway: MakeGateway, receiver: Receiver, tmp_path: Path, postgres: Postgres
) -> None:
    """File, SQLite and PostgreSQL show the same, to the last column."""
    database = msgspec.to_builtins(postgres.fresh())
    section = logged(tmp_path, targets=["file", "sqlite", "postgres"])
    gateway = make_gateway(hook("h1", receiver.url()), event_logger=section, database=database)
    await gateway.start()
    failed = meta.status("failed", errors=[{"code": 131026, "title": "Message undeliverable"}])
    await gateway.post(meta.webhook(meta.value(meta.text("Grüße 👋")), meta.value(statuses=[failed])))
    in_file = await rows(gateway, 6)
    assert await rows(gateway, 6, "sqlite") == in_file
    assert await rows(gateway, 6, "postgres") == in_file
    (told,) = [row for row in in_file if row.type == "message.failed"]
    assert (told.status, told.error, told.conversation) == (131026, "Message undeliverable", meta.CUSTOMER)


async def test_a_reply_is_logged_from_its_hook_to_meta(
    make_gateway: MakeGateway, receiver: Receiver, sim: Meta, tmp_path: Path
) -> None:
    """What a hook's answer asked to send is followed under the event that caused it, with who gets it."""
    receiver.behave = _echo
    known: dict[str, Any] = {
        "phone_number_id": sim.number.id,
        "access_token": sim.token,
        "app_secret": sim.secret,
    }
    accounts = [account(**known, graph_url=sim.url)]
    gateway = make_gateway(hook("h1", receiver.url()), accounts=accounts, event_logger=logged(tmp_path))
    await gateway.start()
    assert sim.app.subscription is not None
    sim.app.subscription.callback_url = f"{gateway.base}/webhooks/whatsapp/business"
    await sim.control("POST", "inbound", json={"kind": "text", "text": "hello", "from": sim.users[0].id})
    found = await rows(gateway, 3, types=("outbox.*",))
    assert [(row.type, row.state) for row in found] == [
        ("outbox.new", "new"),
        ("outbox.sending", "sending"),
        ("outbox.sent", "sent"),
    ]
    (came,) = await rows(gateway, 1, types=("message.received",))
    for row in found:
        assert (row.event_id, row.hook_id, row.conversation) == (came.event_id, "h1", came.conversation)
    assert found[0].text == "echo"
    assert found[-1].message_id.startswith("wamid.")
    ours = {msgspec.json.decode(row.data)["outbox_id"] for row in found}
    assert len(ours) == 1


async def _echo(request: Received, writer: asyncio.StreamWriter) -> None:
    answer = b'{"send_message": true, "text": "echo"}' if request.event == "message.received" else b"ok"
    await status(200, answer)(request, writer)


async def test_a_file_is_logged_as_stored_or_why_not(
    make_gateway: MakeGateway, receiver: Receiver, tmp_path: Path
) -> None:
    """A message whose file cannot be had says so in the log, beside its delivery."""
    gateway = make_gateway(
        hook("h1", receiver.url()), event_logger=logged(tmp_path), media={"max_wait": 1, "data_path": str(tmp_path)}
    )
    await gateway.start()
    image = {"id": "900", "mime_type": "image/jpeg", "sha256": "", "caption": "look"}
    await gateway.post(meta.webhook(meta.value(meta.text() | {"type": "image", "image": image})))
    (failed,) = await rows(gateway, 1, types=("media.*",))
    assert (failed.type, failed.state, failed.message_type) == ("media.failed", "failed", "image")
    assert failed.error
    assert [row.text for row in await rows(gateway, 1, types=("message.received",))] == ["look"]


async def test_a_target_that_is_down_delays_only_itself(
    make_gateway: MakeGateway, receiver: Receiver, tmp_path: Path, link: Link, keys: Keys
) -> None:
    """Deliveries and the other target go on; its lag is in the metrics; it gets everything once it is back, once."""
    (tmp_path / "events").write_text("in the way")
    section = logged(tmp_path, targets=["file", "sqlite"])
    gateway = make_gateway(hook("h1", receiver.url()), event_logger=section)
    await gateway.start()
    for _ in range(20):
        await gateway.post(meta.webhook(meta.value(meta.text())))
    await receiver.wait(20)
    whole = await rows(gateway, 60, "sqlite")
    streams = {FIRST_SHARD: (keys.activity, keys.dropped)}

    async def is_behind() -> bool:
        found = await lags(link, streams, ["file", "sqlite"])
        return found["file"].seconds > 0.5 and found["sqlite"].seconds == 0

    await until(is_behind)
    text = (await gateway.client.get(f"{gateway.base}/metrics")).text
    (line,) = [one for one in text.splitlines() if one.startswith('whatshooked_log_lag_seconds{target="file"}')]
    assert float(line.split()[-1]) > 0
    assert 'whatshooked_log_errors_total{target="file"}' in text or "whatshooked_log_errors" in text
    (tmp_path / "events").unlink()
    assert await rows(gateway, len(whole)) == whole


async def test_one_worker_writes_and_another_goes_on_after_it(
    make_gateway: MakeGateway, receiver: Receiver, tmp_path: Path
) -> None:
    """Of two workers one writes; when it stops the other one does, and no row is lost or doubled."""
    gateway = make_gateway(hook("h1", receiver.url()), event_logger=logged(tmp_path))
    await gateway.start(workers=2)
    first, second = gateway.workers
    for worker in (first, second):
        await gateway.post(meta.webhook(*(meta.value(meta.text()) for _ in range(10))))
        await receiver.wait(10)
        gateway.workers.remove(worker)
        await worker.stop()
        await gateway.add_worker()
    found = await rows(gateway, 60)
    assert len({row.id for row in found}) == len(found) == 60
    assert [row.id for row in found] == sorted((row.id for row in found), key=lambda i: [*map(int, i.split("-"))])


async def test_a_log_is_turned_on_by_a_reload(make_gateway: MakeGateway, receiver: Receiver, tmp_path: Path) -> None:
    """The config of a running gateway can turn the log on; what came before is not in it."""
    gateway = make_gateway(hook("h1", receiver.url()))
    gateway.write()
    worker = await gateway.add_worker()
    await gateway.serve()  # last, so that SIGHUP is its own
    await gateway.post(meta.webhook(meta.value(meta.text("before"))))
    await receiver.wait(1)
    gateway.document["event_logger"] = logged(tmp_path)
    gateway.write()
    os.kill(os.getpid(), signal.SIGHUP)
    worker.reload()
    await rows(gateway, 2, types=("config.reloaded",))
    await gateway.post(meta.webhook(meta.value(meta.text("after"))))
    assert [row.text for row in await rows(gateway, 1, types=("message.received",))] == ["after"]


async def test_a_log_that_is_turned_off_is_not_written(
    make_gateway: MakeGateway, receiver: Receiver, tmp_path: Path, link: Link, keys: Keys
) -> None:
    """Whoever watches has things noted, and no target gets them; nor is there a process for no target at all."""
    gateway = make_gateway(hook("h1", receiver.url()), event_logger=logged(tmp_path))
    await gateway.start()
    (worker,) = gateway.workers
    await gateway.post(meta.webhook(meta.value(meta.text("before"))))
    before = await rows(gateway, 3)
    for section in (logged(tmp_path, enabled=False), logged(tmp_path, targets=[])):
        gateway.document["event_logger"] = section
        gateway.write()
        worker.reload()
        await watch(link, keys)
        await until(lambda: _has_no_process(worker))
        count = len(receiver.received)
        await gateway.post(meta.webhook(meta.value(meta.text("off"))))
        await receiver.wait(count + 1)
        await asyncio.sleep(1.0)
        assert await _has_no_process(worker)
    assert [row.text for row in read(gateway) if row.type == "message.received"] == ["before"]
    assert len(read(gateway)) <= len(before) + 1


async def _has_no_process(worker: Process) -> bool:
    return worker._eventlog._process is None


@pytest.mark.parametrize("mask", [["numbers"], ["texts"], ["numbers", "texts"]])
async def test_people_are_masked_as_the_config_says(
    make_gateway: MakeGateway, receiver: Receiver, tmp_path: Path, mask: list[str]
) -> None:
    """A masked log has no byte of the number, plain or in a message's id, or none of the text."""
    section = logged(tmp_path, mask=mask, payloads=True)
    gateway = make_gateway(hook("h1", receiver.url()), event_logger=section)
    await gateway.start()
    await gateway.post(
        meta.webhook(meta.value(meta.text("my secret words", id="wamid.HBgNNDkxNTExMjM0NTY3OBUCABEYEg==")))
    )
    await rows(gateway, 3)
    written = b"".join(path.read_bytes() for path in (tmp_path / "events").iterdir() if path.is_file())
    shows_number = meta.CUSTOMER.encode() in written or b"NDkxNTEx" in written
    assert shows_number == ("numbers" not in mask)
    assert (b"my secret words" in written) == ("texts" not in mask)
    assert b"78" in written


async def test_a_row_holds_the_payload_when_it_is_wanted(
    make_gateway: MakeGateway, receiver: Receiver, tmp_path: Path
) -> None:
    """With `payloads` the row of an event has what hooks receive of it."""
    gateway = make_gateway(hook("h1", receiver.url()), event_logger=logged(tmp_path, payloads=True))
    await gateway.start()
    await gateway.post(meta.webhook(meta.value(meta.text("Hello"))))
    (got,) = await receiver.wait(1)
    came, *_ = await rows(gateway, 3)
    assert msgspec.json.decode(came.data) == got.json


async def test_with_the_log_off_nothing_is_made(make_gateway: MakeGateway, receiver: Receiver, tmp_path: Path) -> None:
    """No folder, no database, no key."""
    gateway = make_gateway(hook("h1", receiver.url()), event_logger=logged(tmp_path, enabled=False))
    await gateway.start()
    await gateway.post(meta.webhook(meta.value(meta.text())))
    await receiver.wait(1)
    answer: httpx.Response = await gateway.client.get(f"{gateway.base}/metrics")
    await gateway.stop()
    assert not (tmp_path / "events").exists()
    assert not (tmp_path / "events.sqlite").exists()
    assert "whatshooked_log_lag_seconds{" not in answer.text
