"""One connection to Redis that sends a batch of commands in one write and reads the answers in order.

redis-py brings the connection (URL, TLS, password, RESP), hiredis packs the commands; nothing in between costs a
pipeline object or a coroutine per command. Only this folder speaks X* commands and loads scripts.
"""

import asyncio
import re
from collections.abc import Sequence
from importlib import resources
from typing import Any, Self

import hiredis
from redis.asyncio.connection import Connection, ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError, ResponseError

from whatshooked.errors import StartError, StreamUnavailable

Command = tuple[str | bytes | int | float, ...]
#: What Redis answers: bytes, ints, lists of them, or an error of one command of a batch.
Reply = Any

#: Seconds a batch may take before the connection is given up; far above any answer of a healthy server.
TIMEOUT = 5.0


#: How a script takes in what several have in common.
_included = re.compile(r"^-- include (shared/\w+)\.lua\n", re.MULTILINE)


def _text(name: str) -> str:
    return resources.files("whatshooked.stream").joinpath("scripts", f"{name}.lua").read_text()


class Script:
    """A Lua script of `scripts/`: its text, and its SHA once a connection has loaded it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = _included.sub(lambda found: _text(found[1]), _text(name))
        self.sha = ""

    def call(self, keys: Sequence[str], *args: str | bytes | float) -> Command:
        """Return the command that runs it on `keys`."""
        return ("EVALSHA", self.sha, len(keys), *keys, *args)


class Scripts:
    """All the scripts; their names are those of the design's steps."""

    def __init__(self) -> None:
        self.activity = Script("activity")
        self.activity_group = Script("activity_group")
        self.activity_trim = Script("activity_trim")
        self.turn = Script("turn")
        self.group = Script("group")
        self.beat = Script("beat")
        self.add = Script("add")
        self.route = Script("route")
        self.done = Script("done")
        self.retry = Script("retry")
        self.media_done = Script("media_done")
        self.renew = Script("renew")
        self.budget = Script("budget")
        self.claim = Script("claim")
        self.recover = Script("recover")
        self.newer = Script("newer")
        self.layout = Script("layout")
        self.replay = Script("replay")
        self.discard = Script("discard")
        self.forget = Script("forget")
        self.drop = Script("drop")
        self.fsck = Script("fsck")
        self.peek = Script("peek")
        self.ledger = Script("ledger")
        self.outbox_add = Script("outbox_add")
        self.outbox_claim = Script("outbox_claim")
        self.outbox_settle = Script("outbox_settle")
        self.outbox_status = Script("outbox_status")
        self.outbox_decide = Script("outbox_decide")
        self.outbox_resume = Script("outbox_resume")
        self.outbox_forget = Script("outbox_forget")
        self.outbox_show = Script("outbox_show")
        self.outbox_fsck = Script("outbox_fsck")
        self.outbox_drop = Script("outbox_drop")

    def all(self) -> list[Script]:
        """Return every script."""
        return list(vars(self).values())


class Link:
    """A connection of one user at a time: a second batch waits until the first has its answers."""

    def __init__(self, url: str, *, timeout: float = TIMEOUT) -> None:
        try:
            self._pool = ConnectionPool.from_url(url, socket_connect_timeout=timeout)
            self._pool.make_connection()  # type: ignore[no-untyped-call] # only made: it knows what the URL's query may say
        except (TypeError, ValueError) as error:
            raise StartError(f"redis.url: {error}; correct the part behind the question mark") from error
        self._timeout = timeout
        self._connection: Connection | None = None
        self._lock = asyncio.Lock()
        self.scripts = Scripts()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; the next call opens another."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.disconnect(nowait=True)

    async def call(self, *command: str | bytes | float) -> Reply:
        """Return the answer to one command; raises StreamUnavailable as `batch` does, and for an error answer."""
        (reply,) = checked(await self.batch([command]))
        return reply

    async def now(self) -> int:
        """Return the server's time (unix ms), the clock of every due time and lease; raises StreamUnavailable."""
        seconds, micros = await self.call("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    async def batch(self, commands: Sequence[Command], *, patience: float = 0.0) -> list[Reply]:
        """Return the answers to `commands`, an error of one of them as a value in its place.

        `patience` are the seconds that a blocking command among them may take on top. Raises StreamUnavailable when the
        connection fails or Redis does not answer in time: what was sent may or may not have been done.
        """
        async with self._lock:
            try:
                async with asyncio.timeout(self._timeout + patience):
                    return await self._exchange(commands)
            except (RedisError, OSError, TimeoutError, asyncio.CancelledError) as error:
                # Answers may still be under way: the connection cannot be used for anything else.
                await self.close()
                if isinstance(error, asyncio.CancelledError):
                    raise
                raise StreamUnavailable(f"Redis: {str(error) or 'no answer in time'}") from error

    async def run(self, script: Script, keys: Sequence[str], *args: str | bytes | float) -> Reply:
        """Return a script's answer, loading it again if Redis lost it; raises StreamUnavailable."""
        (reply,) = await self.run_all([(script, keys, args)])
        if isinstance(reply, RedisError):
            raise StreamUnavailable(f"{script.name}: {reply}") from reply
        return reply

    async def run_all(
        self, calls: Sequence[tuple[Script, Sequence[str], Sequence[str | bytes | float]]]
    ) -> list[Reply]:
        """Return the answers of several script calls sent at once, an error in its place; raises StreamUnavailable."""
        if self._connection is None:
            await self.batch([])  # connecting loads the scripts, whose SHAs the commands carry
        replies = await self.batch([script.call(keys, *args) for script, keys, args in calls])
        if any(isinstance(reply, NoScriptError) for reply in replies):
            await self.batch([("SCRIPT", "LOAD", script.text) for script in self.scripts.all()])
            lost = [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
            again = await self.batch([calls[i][0].call(calls[i][1], *calls[i][2]) for i in lost])
            for i, reply in zip(lost, again, strict=True):
                replies[i] = reply
        return replies

    async def _exchange(self, commands: Sequence[Command]) -> list[Reply]:
        if self._connection is not None and _hung_up(self._connection):
            await self.close()  # while we were idle: nothing is sent yet, so nothing is in doubt
        connection = self._connection or await self._connect()
        if not commands:
            return []
        await connection.send_packed_command(_packed(commands), check_health=False)
        return [await _answer(connection) for _ in commands]

    async def _connect(self) -> Connection:
        connection: Connection = self._pool.make_connection()  # type: ignore[no-untyped-call] # redis-py 5 has no types here
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            await self._load(connection)
        except BaseException:  # also when whoever waits for it gives up: nobody else closes it then
            await connection.disconnect(nowait=True)
            raise
        self._connection = connection
        return connection

    async def _load(self, connection: Connection) -> None:
        scripts = self.scripts.all()
        await connection.send_packed_command(
            _packed([("SCRIPT", "LOAD", script.text) for script in scripts]), check_health=False
        )
        for script in scripts:
            reply = await _answer(connection)
            if isinstance(reply, RedisError):
                raise reply
            script.sha = reply.decode()


def checked(replies: list[Reply]) -> list[Reply]:
    """Return a batch's answers as they are; raises StreamUnavailable when one of them is an error."""
    for reply in replies:
        if isinstance(reply, RedisError):
            raise StreamUnavailable(str(reply)) from reply
    return replies


def named(row: list[Reply], name: bytes) -> Reply:
    """Return a value of a reply that names each before it, as XINFO's do; raises ValueError without it."""
    return row[row.index(name) + 1]


def _hung_up(connection: Connection) -> bool:
    reader = connection._reader
    return reader is None or reader.at_eof()


def _packed(commands: Sequence[Command]) -> bytes:
    return b"".join([hiredis.pack_command(command) for command in commands])  # type: ignore[arg-type] # its stub names 1-tuples


async def _answer(connection: Connection) -> Reply:
    try:
        return await connection.read_response(disable_decoding=True)
    except RedisConnectionError:  # a LOADING answer is one too: everything behind it would fail the same way
        raise
    except ResponseError as error:
        return error
