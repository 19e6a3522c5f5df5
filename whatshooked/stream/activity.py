"""What happened, noted in the step that did it: the `activity` stream, which the event log and `tail` read.

A record names an event or a message and copies nothing of it, so that a person who is forgotten stands in none. Nothing
is written while nobody wants to know: neither the config's event log nor anybody who watches.
"""

import contextlib
import functools
import os
import socket
from collections.abc import Callable

import msgspec
from redis.exceptions import NoScriptError

from whatshooked.errors import StreamUnavailable
from whatshooked.keys import Keys
from whatshooked.stream.link import Command, Link, checked

#: Seconds for which somebody who watches is believed to watch on.
WATCH_SECONDS = 10

_pack = msgspec.msgpack.Encoder().encode


class Note(msgspec.Struct, array_like=True, frozen=True):
    """What was done, and how it ended; what does not apply is empty."""

    type: str
    account_id: str = ""
    hook_id: str = ""
    state: str = ""
    attempt: int = 0
    status: int = 0
    duration_ms: float = 0.0
    error: str = ""
    actor: str = ""


class Told(msgspec.Struct, array_like=True, frozen=True):
    """A record: its subject (an event's id; in an account's own stream a message's), and the note."""

    subject: str
    note: Note
    #: Where only the script knew it.
    attempt: int = 0


class Activity:
    """Whether somebody wants to know what happens: the config's event log, or who watches."""

    def __init__(self, logged: Callable[[], bool] = lambda: False) -> None:
        self._logged = logged
        self._watched = False

    @property
    def on(self) -> bool:
        """Return whether to note what is done."""
        return self._watched or self._logged()

    async def look(self, link: Link, keys: Keys) -> None:
        """Learn whether somebody watches; raises StreamUnavailable."""
        self._watched = bool(await link.call("EXISTS", keys.watched))

    async def tell(self, link: Link, keys: Keys, note: Note, *commands: Command) -> None:
        """Run commands, and note behind them what they did: in one write, since no script can do both.

        Their keys have no slot in common with the stream's. Raises StreamUnavailable.
        """
        if not self.on:
            checked(await link.batch(commands))
            return
        if not link.scripts.activity.sha:
            await link.batch([])  # connecting loads the scripts
        told = link.scripts.activity.call([keys.activity], 1, record("", note))
        *done, noted = await link.batch([*commands, told])
        checked(done)
        if isinstance(noted, NoScriptError):  # Redis was restarted under the connection
            await link.run(link.scripts.activity, [keys.activity], 1, record("", note))

    async def tell_reload(self, link: Link, keys: Keys, taken: bool, role: str) -> None:
        """Note that this process, in its `role`, read the config again, and whether it took it."""
        state = "loaded" if taken else "refused"
        actor = f"{role}:{os.getpid()}@{socket.gethostname()}"
        with contextlib.suppress(StreamUnavailable):  # the process's own log has it as well
            await self.tell(link, keys, Note("config.reloaded", state=state, actor=actor))


#: For who has nothing to tell.
NOBODY = Activity()


def packed(note: Note) -> bytes:
    """Return a note as scripts take it that know its subject themselves."""
    return _pack(note)


def record(subject: str, note: Note) -> bytes:
    """Return a whole record as scripts take it."""
    return _pack((subject, note))


@functools.lru_cache(maxsize=4096)
def came_in(event_type: str, account_id: str) -> bytes:
    """Return the note of an event that comes in: it is the same for all of a type and account."""
    return _pack((event_type, account_id, "", "received"))


def began(subject: str, account_id: str, hook_id: str) -> bytes:
    """Return the record of a first attempt that begins."""
    return b"\x92" + _pack(subject) + _began(account_id, hook_id)


@functools.lru_cache(maxsize=4096)
def _began(account_id: str, hook_id: str) -> bytes:
    return _pack(Note("hook.triggered", account_id, hook_id, "in_flight", 1))


async def watch(link: Link, keys: Keys) -> None:
    """Say that somebody watches, for some seconds; raises StreamUnavailable."""
    await link.call("SET", keys.watched, "1", "EX", WATCH_SECONDS)
