"""Faults by rule around the application: errors in place of an answer, and answers that never come."""

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any

from whatshooked.simulator import rules
from whatshooked.simulator.graph import refusals
from whatshooked.simulator.rules import Rule
from whatshooked.simulator.world.world import Logged, World

#: Linger on, for no time at all.
_NO_LINGER = struct.pack("ii", 1, 0)
_HTML = b"<!DOCTYPE html><html><head><title>Error</title></head><body>Sorry, something went wrong.</body></html>"

Send = Callable[[Any], Awaitable[None]]
Receive = Callable[[], Awaitable[Any]]


class Faulty:
    """An ASGI application that answers as `app` does unless a rule of the world says otherwise."""

    def __init__(self, app: Any, world: World) -> None:
        self._app = app
        self._world = world

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer one request, and note that it may have changed the state."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        rule = None
        if not _is_ours(scope["path"]):
            rule = rules.chosen(self._world.rules, scope["method"], scope["path"])
        try:
            await self._answer(rule, scope, receive, send)
        finally:
            self._world.touch()

    async def _answer(self, rule: Rule | None, scope: Any, receive: Receive, send: Send) -> None:
        if rule is None:
            await self._app(scope, receive, send)
        elif rule.fault in rules.AFTER:
            await self._afterwards(rule, scope, receive, send)
        else:
            await self._instead(rule, scope, receive, send)

    async def _instead(self, rule: Rule, scope: Any, receive: Receive, send: Send) -> None:
        """Do nothing of what was asked, and answer with the rule's error or not at all."""
        while (await receive()).get("more_body"):
            continue
        refusal = _refusal(rule)
        status = 0 if rule.fault == "reset" else refusal.status if refusal else 503
        code = refusal.code if refusal else 0
        now = self._world.clock.now()
        self._world.calls.append(Logged(at=now, method=scope["method"], path=scope["path"], status=status, code=code))
        if not status:
            await _break_off(receive, send)
            return
        body, kind = _HTML, b"text/html; charset=utf-8"
        if refusal is not None:
            body, kind = json.dumps(refusal.body(self._world.trace())).encode(), b"application/json"
        headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _afterwards(self, rule: Rule, scope: Any, receive: Receive, send: Send) -> None:
        """Let the call do its work, then answer too late, drip by drip, or not at all."""
        messages: list[Any] = []

        async def keep(message: Any) -> None:
            messages.append(message)

        await self._app(scope, receive, keep)
        if rule.fault == "slow_body" and await self._unless_gone(receive, _drip(messages, rule.seconds, send)):
            return
        if rule.fault == "hang_after":
            await self._unless_gone(receive, asyncio.sleep(rule.seconds))
        await _break_off(receive, send)

    async def _unless_gone(self, receive: Receive, work: Awaitable[None]) -> bool:
        """Do the work, or stop when the caller has gone or the server is about to; return whether it was done."""
        tasks = [asyncio.ensure_future(one) for one in (work, receive(), self._world.stopping.wait())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # an error in it is ours to see
            return tasks[0] in done
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _drip(messages: list[Any], seconds: float, send: Send) -> None:
    """Send an answer byte by byte, in so many seconds."""
    start = messages[0]
    body = b"".join(message.get("body", b"") for message in messages[1:])
    await send(start)
    for place in range(len(body)):
        await asyncio.sleep(seconds / len(body))
        await send({"type": "http.response.body", "body": body[place : place + 1], "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _break_off(receive: Receive, send: Any) -> None:
    """Break the connection without an answer: uvicorn's `send` belongs to the cycle that holds the transport.

    Without lingering a close is a reset (RST) instead of an orderly end, as a host that dies makes it.
    """
    transport = send.__self__.transport
    if not transport.is_closing():  # the caller may have gone before
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        transport.abort()
    while (await receive())["type"] != "http.disconnect":
        continue


def _is_ours(path: str) -> bool:
    return path.startswith(tuple(f"{ours}/" for ours in rules.OURS)) or path in rules.OURS


def _refusal(rule: Rule) -> refusals.Refusal | None:
    """Return the error that a rule answers with, None for a page that is no JSON."""
    match rule.fault:
        case "error_2":
            text = "(#2) Service temporarily unavailable"
            return refusals.Refusal(500, 2, text, transient=True)
        case "error_131016":
            return refusals.message(131016, "Service unavailable", "A service is temporarily unavailable.", status=500)
        case "error":
            return refusals.Refusal(rule.status, rule.code, f"(#{rule.code}) {rule.text}")
        case _:
            return None
