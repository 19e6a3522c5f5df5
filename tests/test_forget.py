"""A person forgotten everywhere at once: a grep of every file finds nothing of them, and the others miss nothing."""

import asyncio
import base64
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests import meta
from tests.conftest import Gateway, account, hook
from tests.postgres import Postgres, postgres
from tests.receiver import Receiver
from tests.streams import until
from tests.test_eventlog import logged, read, rows
from whatshooked.embedded import Embedded
from whatshooked.keys import Keys
from whatshooked.meta.person import Person
from whatshooked.stream.link import Link

__all__ = ["postgres"]

WHO = "4915199887766"
OTHER = "4915100000001"


def wamid_of(number: str, ending: str) -> str:
    """A message id as Meta makes them: the number stands in its base64."""
    inside = b"\x1d\x18\x0d" + number.encode() + b"\x15\x02\x00\x11\x18\x12" + ending.encode() + b"\x00"
    return "wamid." + base64.b64encode(inside).decode()


def message(number: str, text: str, ending: str) -> dict[str, Any]:
    return meta.text(text, **{"from": number, "id": wamid_of(number, ending)})


def body(number: str, *messages: dict[str, Any]) -> bytes:
    contacts = [{"profile": {"name": "Ana"}, "wa_id": number, "user_id": f"DE.{number[::-1]}"}]
    return meta.webhook(meta.value(*messages, contacts=contacts))


def naming(folder: Path, person: Person) -> list[Path]:
    """Every file below a folder with a byte of the person in it, plain, in base64, or compressed."""
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()):
        content = path.read_bytes()
        if path.suffix == ".gz":
            content += subprocess.run(["gzip", "-dc", str(path)], capture_output=True, check=True).stdout
        if person.is_named(content) or person.is_named(path.name):
            found.append(path)
    return found


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Embedded]:
    """A Valkey of this test's own, whose files are looked through."""
    found = Embedded.open(tmp_path / "redis")
    yield found
    found.close()


async def test_no_byte_is_left_anywhere(
    make_gateway: Callable[..., Gateway], receiver: Receiver, tmp_path: Path, server: Embedded, postgres: Postgres
) -> None:
    """Redis' files, media, log files, SQLite's and PostgreSQL's hold nothing of the person; counts of rows stay."""
    section = logged(tmp_path, targets=["file", "sqlite", "postgres"], payloads=True, file={"rotate_bytes": 65_536})
    database = msgspec.to_builtins(postgres.fresh())
    gateway = make_gateway(
        hook("h1", receiver.url(), events=["message.received"]),
        event_logger=section,
        database=database,
        redis={"url": server.url, "prefix": "forget"},
        media={"data_path": str(tmp_path / "media"), "max_wait": 0.5},
    )
    await gateway.start()
    for number in range(40):
        who = WHO if number % 2 else OTHER
        text = f"my number is {WHO} " + "and more words " * 60 if number % 8 == 0 else f"text {number} " * 40
        await gateway.post(body(who, message(who, text, f"{number:04d}")))
    told = [meta.status("read", id=wamid_of(who, "out"), recipient_id=who) for who in (WHO, OTHER)]
    await gateway.post(meta.webhook(meta.value(statuses=told)))
    await rows(gateway, 40 * 3 + 2 + 2, "postgres")
    person = Person([WHO, f"DE.{WHO[::-1]}"])
    counts = {target: len(read(gateway, target)) for target in ("file", "sqlite", "postgres")}
    assert naming(tmp_path, person)
    assert naming(postgres.data, person)

    answer = await gateway.api("DELETE", f"/api/people/+{WHO}?confirm=true", timeout=120)
    receipt = answer.json()
    assert answer.status_code == 200, receipt
    assert receipt["left"] == []
    assert receipt["names"] == 2
    assert receipt["events"] == 21
    assert receipt["log_rows"]["file"] == receipt["log_rows"]["sqlite"] == receipt["log_rows"]["postgres"] > 60
    assert receipt["person"].endswith(WHO[-2:])
    assert WHO not in answer.text

    await gateway.stop_workers()
    assert naming(tmp_path, person) == []
    assert naming(postgres.data, person) == []
    for target, count in counts.items():
        found = read(gateway, target)
        assert len(found) >= count
        assert sum(1 for row in found if row.conversation == OTHER) == 20 * 3 + 2


async def test_it_holds_for_what_comes_in_meanwhile(
    make_gateway: Callable[..., Gateway], receiver: Receiver, tmp_path: Path, server: Embedded
) -> None:
    """A customer who writes while being forgotten is forgotten with what they wrote; another one loses nothing."""
    gateway = make_gateway(
        hook("h1", receiver.url()), event_logger=logged(tmp_path), redis={"url": server.url, "prefix": "forget"}
    )
    await gateway.start()
    done = asyncio.Event()

    async def write() -> int:
        count = 0
        while not done.is_set() and count < 150:
            await gateway.post(body(WHO, message(WHO, f"still here {count}", f"w{count:04d}")))
            await gateway.post(body(OTHER, message(OTHER, f"me too {count}", f"o{count:04d}")))
            count += 1
            await asyncio.sleep(0.01)
        return count

    writing = asyncio.create_task(write())
    await asyncio.sleep(0.5)
    answer = await gateway.api("DELETE", f"/api/people/{WHO}?confirm=true", timeout=120)
    done.set()
    count = await writing
    assert answer.status_code == 200
    again = (await gateway.api("DELETE", f"/api/people/{WHO}?confirm=true", timeout=120)).json()
    assert again["left"] == []
    await gateway.stop_workers()
    assert naming(tmp_path, Person([WHO])) == []
    texts = {one.json["text"] for one in receiver.received if one.json["from"] == OTHER}
    assert texts == {f"me too {number}" for number in range(count)}


async def test_the_command_gives_a_receipt(
    make_gateway: Callable[..., Gateway], receiver: Receiver, tmp_path: Path
) -> None:
    """`whatshooked forget` does it from the terminal, once it is confirmed, and says what was touched."""
    gateway = make_gateway(hook("h1", receiver.url()), event_logger=logged(tmp_path, targets=["sqlite"]))
    await gateway.start()
    await gateway.post(body(WHO, message(WHO, "hello", "0001")))
    await rows(gateway, 3, "sqlite")
    command = (sys.executable, "-m", "whatshooked", "forget", f"+{WHO}", "-c", str(gateway.path))
    unsure = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
    assert unsure.returncode == 1
    assert "--confirm" in unsure.stderr
    sure = await asyncio.to_thread(subprocess.run, (*command, "--confirm", "--json"), capture_output=True, text=True)
    receipt = json.loads(sure.stdout)
    assert (receipt["events"], receipt["log_rows"]) == (1, {"sqlite": 3})
    assert WHO not in sure.stdout + sure.stderr

    async def is_masked() -> bool:
        return all(row.conversation in ("", "forgotten") for row in read(gateway, "sqlite"))

    await until(is_masked)


async def test_a_target_of_earlier_times_is_not_left_out(
    make_gateway: Callable[..., Gateway], receiver: Receiver, tmp_path: Path, postgres: Postgres
) -> None:
    """Rows in a database that the config still names, though the log is off by now, are masked as well."""
    database = msgspec.to_builtins(postgres.fresh())
    section = logged(tmp_path, targets=["postgres", "file"])
    gateway = make_gateway(hook("h1", receiver.url()), event_logger=section, database=database)
    await gateway.start()
    await gateway.post(body(WHO, message(WHO, "hello", "0001")))
    await rows(gateway, 3, "postgres")
    await rows(gateway, 3)
    await gateway.stop()
    later = make_gateway(hook("h1", receiver.url()), event_logger=section | {"enabled": False}, database=database)
    await later.start()
    receipt = (await later.api("DELETE", f"/api/people/{WHO}?confirm=true", timeout=120)).json()
    assert (receipt["log_rows"], receipt["left"]) == ({"file": 3, "postgres": 3}, [])
    assert {row.conversation for row in read(later, "postgres")} == {"forgotten"}


async def test_the_log_tells_other_names_of_the_person(
    make_gateway: Callable[..., Gateway], receiver: Receiver, tmp_path: Path, link: Link, keys: Keys
) -> None:
    """Where history is over, the log still knows under which user id they wrote: Meta's ids hold the number."""
    gateway = make_gateway(hook("h1", receiver.url()), event_logger=logged(tmp_path, targets=["file", "sqlite"]))
    await gateway.start()
    user = "DE.8877665544332211"
    hidden = meta.text("no number here", **{"id": wamid_of(WHO, "u1"), "from_user_id": user})
    del hidden["from"]
    await gateway.post(meta.webhook(meta.value(hidden, contacts=[])))
    await rows(gateway, 3, "sqlite")
    await rows(gateway, 3)
    (row,) = await rows(gateway, 1, types=("message.received",))
    assert row.conversation == user
    await gateway.api("DELETE", f"/api/cache/event/delete?id={row.event_id}")
    await gateway.stop_workers()
    await link.call("XTRIM", keys.events, "MAXLEN", 0)
    await gateway.add_worker()
    receipt = (await gateway.api("DELETE", f"/api/people/{WHO}?confirm=true", timeout=120)).json()
    assert (receipt["names"], receipt["left"]) == (2, [])
    assert naming(tmp_path / "events", Person([WHO, user])) == []
    assert {one.conversation for one in read(gateway, "sqlite")} <= {"", "forgotten"}


async def test_the_names_are_known_until_all_is_forgotten(
    make_gateway: Callable[..., Gateway],
    receiver: Receiver,
    tmp_path: Path,
    link: Link,
    keys: Keys,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A target that was down at the first try is told every name at the second, though Redis has none of them."""
    monkeypatch.setattr("whatshooked.people.PATIENCE", 1.0)
    gateway = make_gateway(hook("h1", receiver.url()), event_logger=logged(tmp_path, targets=["file"]))
    await gateway.start()
    await gateway.post(body(WHO, message(WHO, "hello", "0001")))
    await rows(gateway, 3)
    events = tmp_path / "events"
    events.rename(tmp_path / "aside")
    events.write_text("in the way")
    first = (await gateway.api("DELETE", f"/api/people/{WHO}?confirm=true", timeout=120)).json()
    assert first["names"] == 2
    assert any("could not be reached" in one for one in first["left"])
    events.unlink()
    (tmp_path / "aside").rename(events)
    second = (await gateway.api("DELETE", f"/api/people/{WHO}?confirm=true", timeout=120)).json()
    assert (second["names"], second["left"]) == (2, [])
    assert second["log_rows"]["file"] >= 3
    assert await link.call("KEYS", f"{keys.prefix}:forgetting:*") == []


async def test_a_masked_log_forgets_by_events(
    make_gateway: Callable[..., Gateway], receiver: Receiver, tmp_path: Path
) -> None:
    """Where rows do not show numbers, those of the person's events lose their texts; what cannot be known is said."""
    section = logged(tmp_path, targets=["file", "sqlite"], mask=["numbers"])
    gateway = make_gateway(hook("h1", receiver.url()), event_logger=section)
    await gateway.start()
    for who in (WHO, OTHER):
        await gateway.post(body(who, message(who, f"words of {who[-2:]}", "0001")))
    for target in ("file", "sqlite"):
        await rows(gateway, 6, target)
    receipt = (await gateway.api("DELETE", f"/api/people/{WHO}?confirm=true", timeout=120)).json()
    assert receipt["log_rows"] == {"file": 3, "sqlite": 3}
    assert any("mask hides numbers" in one for one in receipt["left"])
    for target in ("file", "sqlite"):
        texts = {row.text for row in read(gateway, target)}
        assert f"words of {OTHER[-2:]}" in texts
        assert f"words of {WHO[-2:]}" not in texts


@pytest.mark.parametrize("place", ["account", "hook", "number"])
async def test_what_is_ours_is_no_person(make_gateway: Callable[..., Gateway], receiver: Receiver, place: str) -> None:
    """A number that is the id of an account or hook, or an account's own, is refused before anything goes."""
    own = account(id_=WHO) if place == "account" else account()
    if place == "number":
        own["phone_number"] = f"+{WHO}"
    gateway = make_gateway(hook(WHO if place == "hook" else "h1", receiver.url()), accounts=[own])
    await gateway.start(workers=0)
    answer = await gateway.api("DELETE", f"/api/people/{WHO}?confirm=true")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_person")
    assert WHO not in answer.text


@pytest.mark.parametrize("name", ["abc", "12", "%2B", "+0"])
async def test_what_is_no_person_is_refused(
    make_gateway: Callable[..., Gateway], receiver: Receiver, name: str
) -> None:
    """Neither a number nor a user id: 400, and nothing is looked for; without `confirm` nothing happens either."""
    gateway = make_gateway(hook("h1", receiver.url()))
    await gateway.start(workers=0)
    answer = await gateway.api("DELETE", f"/api/people/{name}?confirm=true")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_person")
    answer = await gateway.api("DELETE", f"/api/people/{WHO}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "confirm_missing")
