"""`simulate burst`: many messages at an exact rate, how long their answers took, and how many a gateway took."""

import argparse
import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from math import ceil

from msgspec import Struct
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError

from whatshooked.cli.simulate.command import carried_out
from whatshooked.cli.simulate.news import News, news_of
from whatshooked.cli.simulate.target import Direct, Object, Refused, StandIn, Target, made, opened

#: Requests under way at once; above it the sender waits, and says how late it was.
_AT_ONCE = 1000
#: How far a message may move among its neighbours.
_NEIGHBOURS = 20
_TIMEOUT = timedelta(seconds=30)
#: Seconds without any webhook after which the rest is given up.
_SILENCE = 10.0


class Request(Struct, frozen=True):
    """One POST."""

    url: str
    headers: dict[str, str]
    body: bytes


class Answer(Struct, frozen=True):
    """What came of it: the status (0 = nothing) and body, seconds until it was there, and by how many it began late."""

    status: int
    body: bytes
    seconds: float
    late: float


def burst(options: argparse.Namespace) -> int:
    """Send a burst; 1 when not all of it was taken."""
    return carried_out(_burst(options))


async def _burst(options: argparse.Namespace) -> int:
    async with opened(options) as target:
        requests = _requests(target, options.count, options.users)
        if isinstance(target, StandIn):
            before = await _doubled(target)
            async with news_of(target) as news, _turned(target, options):
                answers, seconds = await _send(requests, options.rate)
                taken = await _taken(news, answers)
            twice = await _doubled(target) - before
            more = [f"webhooks taken by the gateway: {taken} of {len(answers)}"]
        else:
            order = plan(options.count, options.duplicates, random.Random(), disorder=options.disorder)
            answers, seconds = await _send([requests[place] for place in order], options.rate)
            taken, twice, more = len(answers), len(order) - options.count, []
    if options.duplicates:
        more.insert(0, f"sent twice: {twice} of {options.count} messages")
    print("\n".join(report(answers, seconds, options.rate) + more))
    return 0 if taken == len(answers) and all(answer.status == 200 for answer in answers) else 1


def plan(count: int, duplicates: float, chance: random.Random, *, disorder: bool) -> list[int]:
    """Return which message is sent when: `duplicates` is the share that is sent again, a little later."""
    twice = chance.sample(range(count), round(count * duplicates))
    places = [(place + 0.0, place) for place in range(count)]
    places += [(place + 1 + chance.random() * _NEIGHBOURS, place) for place in twice]
    if disorder:
        places = [(at + chance.random() * _NEIGHBOURS, place) for at, place in places]
    return [place for _, place in sorted(places)]


def report(answers: Sequence[Answer], seconds: float, rate: float) -> list[str]:
    """Return what came of a burst, as lines; `seconds` passed from the first POST to the last."""
    took = sorted(answer.seconds * 1000 for answer in answers)
    statuses = Counter(answer.status for answer in answers)
    good = statuses.pop(200, 0)
    pace = f" ({(len(answers) - 1) / seconds:.1f}/s, asked for {rate:g}/s)" if seconds else ""
    lines = [
        f"sent {len(answers)} in {seconds:.2f} s{pace}",
        f"ok   {good}",
        f"p50  {quantile(took, 0.5):.1f} ms",
        f"p99  {quantile(took, 0.99):.1f} ms",
        *(f"{f'HTTP {status}' if status else 'no answer'}: {count}" for status, count in statuses.most_common()),
    ]
    late = max((answer.late for answer in answers), default=0.0)
    return [*lines, f"this machine could not keep the rate: up to {late:.1f} s late"] if late > 1 else lines


def quantile(rising: Sequence[float], share: float) -> float:
    """Return the smallest value that this share of the values does not exceed."""
    return rising[max(ceil(len(rising) * share) - 1, 0)] if rising else 0.0


@asynccontextmanager
async def _turned(target: StandIn, options: argparse.Namespace) -> AsyncIterator[None]:
    """Let the stand-in send webhooks twice and out of order, and as before when the block ends."""
    before = await target.ask("GET", "knobs")
    wanted = {"duplicates": options.duplicates, "disorder": options.disorder}
    await target.ask("PATCH", "knobs", json=wanted)
    try:
        yield
    finally:
        await target.ask("PATCH", "knobs", json={name: before[name] for name in wanted})


async def _doubled(target: StandIn) -> int:
    """Return how many webhooks the stand-in has sent twice so far."""
    return int((await target.ask("GET", "webhooks", params={"last": 1}))["doubled"])


async def _taken(news: News, answers: Sequence[Answer]) -> int:
    """Return of how many messages the gateway took the webhook, once it has taken all or none comes any more."""
    ours = {json.loads(answer.body)["message_id"] for answer in answers if answer.status == 200}
    left = set(ours)
    until = time.monotonic() + _SILENCE
    while left and (item := await news.take(lambda _: True, until - time.monotonic())) is not None:
        if item["kind"] == "webhook" and item["status"] == 200 and left.intersection(item["messages"]):
            left.difference_update(item["messages"])
            until = time.monotonic() + _SILENCE
    return len(ours) - len(left)


def _requests(target: Target, count: int, users: int) -> list[Request]:
    """Return the messages, made beforehand: making them must not take from the rate."""
    messages: list[Object] = [
        {"text": f"message {number + 1}", "from": f"1555020{number % users:04d}"} for number in range(count)
    ]
    if isinstance(target, Direct):
        posts = [made(target.maker, message) for message in messages]
        return [Request(target.url, post.headers, post.body) for post in posts]
    if not isinstance(target, StandIn):
        raise Refused("a burst goes to the stand-in or to a gateway")
    kind = {"content-type": "application/json"}
    bodies = [json.dumps({"number": target.number_id} | message).encode() for message in messages]
    return [Request(f"{target.url}/_sim/inbound", kind, body) for body in bodies]


async def _send(requests: Sequence[Request], rate: float) -> tuple[list[Answer], float]:
    """POST each at its time by the clock: the nth is due n / rate seconds after the first, however the others fare.

    Returns the answers, and the seconds from the first POST to the last.
    """
    answers: list[Answer] = []
    room = asyncio.Semaphore(_AT_ONCE)
    async with ClientBuilder().no_proxy().follow_redirects(False).build() as client:
        start = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for place, request in enumerate(requests):
                due = start + place / rate
                if (left := due - time.perf_counter()) > 0:
                    await asyncio.sleep(left)
                await room.acquire()
                group.create_task(_post(client, request, due, answers, room.release))
            seconds = time.perf_counter() - start
    return answers, seconds


async def _post(client: Client, request: Request, due: float, answers: list[Answer], done: Callable[[], None]) -> None:
    start = time.perf_counter()
    status, body = 0, b""
    try:
        building = client.post(request.url).headers(request.headers).body_bytes(request.body).timeout(_TIMEOUT)
        answer = await building.build().send()
        status, body = answer.status, bytes(await answer.bytes())
    except (PyreqwestError, ValueError):
        status = 0
    finally:
        done()
    answers.append(Answer(status, body, time.perf_counter() - start, start - due))
