"""Somebody to forget, events that are theirs or name them, and a look at whether anything does."""

import base64
import json
import uuid
from pathlib import Path
from typing import Any

from tests import meta
from tests.streams import Rig
from whatshooked import events
from whatshooked.events import Event
from whatshooked.meta.person import Person
from whatshooked.stream.intake import Addition
from whatshooked.stream.link import Link
from whatshooked.stream.person import Erased, erase

ANA, USER, BO = "4917612345098", "DE.88451209655302741923", "4915100000002"
PERSON = Person([ANA, USER])


def wamid(number: str = ANA, lead: int = 2) -> str:
    """A message id as Meta makes them: the number in base64, behind so many bytes."""
    return "wamid." + base64.b64encode(b"\x1c" * lead + number.encode() + b"\x15" + uuid.uuid4().bytes).decode()


def event(kind: str = "message.received", contact: Any = None, **item: Any) -> Event:
    """An event about Bo, unless its item says otherwise."""
    about = {"message.received": {"from": BO, "type": "text"}}.get(kind, {"recipient_id": BO, "status": "read"})
    raw = json.dumps({"id": f"wamid.{uuid.uuid4().hex}", "timestamp": "1790000000"} | about | item).encode()
    told = json.dumps(contact).encode() if contact else b""
    return Event(events.ENTRY_VERSION, kind, "business", raw, to=meta.PHONE, contact=told)


def quoting(text: str = f"call {ANA} or wa.me/{ANA}") -> Event:
    """A message of Bo's that quotes the number, and one of Ana's messages."""
    return event(text={"body": text}, context={"from": ANA, "id": wamid()})


OWN = (
    event(**{"from": ANA, "from_user_id": USER}, contact={"wa_id": ANA, "user_id": USER}),
    event(**{"from": USER}),
    event("message.read", recipient_id=ANA),
    event("message.read", recipient_id="1203633", recipient_type="group", recipient_participant_id=ANA),
    event("meta.user_preferences", wa_id=ANA, user_id=USER),
    event("meta.smb_message_echoes", **{"from": meta.PHONE, "to": ANA}),
    event("message.read", recipient_id="", id=wamid(lead=1)),
)


async def nothing(files: set[tuple[str, str]]) -> None:
    """There are no files."""


async def add(rig: Rig, *found: Event) -> list[str]:
    """Append events; returns their ids."""
    rows = [Addition(events.encode(one), uuid.uuid4().bytes, 20_000) for one in found]
    return [added.id for added in await rig.intake.add(rows)]


async def routed(rig: Rig, found: Event, *hooks: str, **more: Any) -> str:
    """Append an event and route it to hooks, or park it; returns its id."""
    (event_id,) = await add(rig, found)
    await rig.route(await rig.read(), *hooks, **more)
    return event_id


async def forget(rig: Rig, person: Person = PERSON, *, patience: float = 0.0) -> Erased:
    """Erase the person, and nothing is left of them in any key."""
    return await erase(rig.link, rig.keys, person, nothing, patience=patience)


async def dump(link: Link) -> list[bytes]:
    """All names and values of all keys, read in another way than the code under test does."""
    found: list[bytes] = []
    for name in await link.call("KEYS", "*"):
        kind = (await link.call("TYPE", name)).decode()
        reads = {"string": ("GET", name), "hash": ("HGETALL", name), "set": ("SMEMBERS", name)}
        ranges = {"zset": ("ZRANGE", name, "0", "-1"), "list": ("LRANGE", name, "0", "-1")}
        reply = await link.call(*(reads | ranges | {"stream": ("XRANGE", name, "-", "+")})[kind])
        found += [name, repr(reply).encode()]
    return found


def traces(*names: str) -> list[bytes]:
    """What stands in a file that holds a name, plain or in base64 at any place."""
    hidden = []
    for name in names:
        for lead in range(3):
            text = base64.b64encode(bytes(lead) + name.encode()).rstrip(b"=")
            hidden.append(text[4 if lead else 0 : -4])
    return [*(name.encode() for name in names), *hidden]


def holding(folder: Path, *names: str) -> list[str]:
    """The files below a folder that hold a trace of a name, in what they hold or are called."""
    found = []
    for path in folder.rglob("*"):
        text = str(path.relative_to(folder)).encode() + (path.read_bytes() if path.is_file() else b"")
        if any(trace in text for trace in traces(*names)):
            found.append(str(path.relative_to(folder)))
    return found
