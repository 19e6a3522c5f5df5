"""The way out: which callback URL an update goes to, and a POST that is tried until it is answered with 200.

Source: Meta's pages on webhooks and overrides; the exact times of retries are not documented, their end (7 days) is.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from datetime import timedelta
from ipaddress import ip_address
from itertools import accumulate, chain, repeat, takewhile
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from msgspec import Struct
from pyreqwest.client import ClientBuilder
from pyreqwest.exceptions import PyreqwestError
from pyreqwest.http import Url

from whatshooked.simulator.webhooks import wire
from whatshooked.simulator.webhooks.wire import Update
from whatshooked.simulator.world.model import Number, Waba

if TYPE_CHECKING:
    from whatshooked.simulator.world.world import World

#: Seconds after which an update is dropped.
GIVE_UP = 7 * 86_400.0
#: Seconds between tries: at once, then with falling frequency, at last twice a day.
_PAUSES = (1.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 2 * 3600.0, 6 * 3600.0, 12 * 3600.0)
#: Seconds from the first try to each.
TRIES = tuple(takewhile(lambda after: after < GIVE_UP, accumulate(chain(_PAUSES, repeat(_PAUSES[-1])), initial=0.0)))
#: Fields that follow an override; all others go to the app's URL.
FOLLOW_OVERRIDES = frozenset(
    {
        "messages",
        "message_echoes",
        "calls",
        "consumer_profile",
        "messaging_handovers",
        "group_lifecycle_update",
        "group_participants_update",
        "group_settings_update",
        "group_status_update",
        "smb_message_echoes",
        "smb_app_state_sync",
        "history",
        "account_settings_update",
    }
)
#: Simulated seconds that a POST of several updates waits for more, and by which disorder holds updates back.
_BATCH_SECONDS, _DISORDER_SECONDS = 0.2, 3.0
#: Attempts that are remembered, and bytes that we read of an answer.
_REMEMBERED, _ANSWER = 10_000, 64 * 1024


class Attempt(Struct, kw_only=True):
    """One POST of a webhook; `status` 0 when nothing answered, then `error` says why."""

    at: float
    url: str
    body: bytes
    headers: dict[str, str]
    #: Which try of this body it was, from 1.
    number: int
    #: Ids of the messages and of the messages whose statuses it carries.
    messages: list[str] = []
    status: int = 0
    error: str = ""


class Parcel(Struct, kw_only=True):
    """What one POST carries to one app's URL: its updates, and the bytes that are the same in every try."""

    url: str
    app_id: str
    updates: Sequence[Update]
    body: bytes
    headers: dict[str, str]


class Webhooks:
    """Sends updates; `attempts` is the log of all POSTs.

    `dropped` counts bodies that were given up, `doubled` updates that were sent twice.
    """

    def __init__(self, world: "World", hosts: tuple[str, ...]) -> None:
        self._world = world
        self._hosts = frozenset(host.lower() for host in hosts)
        self.attempts: deque[Attempt] = deque(maxlen=_REMEMBERED)
        self.dropped = 0
        self.doubled = 0
        self._waiting: dict[tuple[str, str], list[Update]] = {}
        #: One for each body that was not POSTed yet.
        self._untried: set[asyncio.Event] = set()
        builder = ClientBuilder().no_proxy().follow_redirects(False).referer(False)
        self._client = builder.user_agent(wire.USER_AGENT).build()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    def publish(self, waba: Waba, number: Number | None, field: str, value: wire.Object) -> int:
        """Send an update to every subscribed app; return to how many: 0 is "verified, yet nothing arrives"."""
        targets = self._targets(waba, number.id if number else "", field)
        number_id = number.id if number else ""
        update = Update(waba_id=waba.id, number_id=number_id, business_id=waba.business_id, field=field, value=value)
        for place in targets:
            self._put(place, update)
            if self._world.random.random() < self._world.knobs.duplicates:
                self.doubled += 1
                self._put(place, update)
        self._world.touch()
        return len(targets)

    async def tried(self) -> None:
        """Wait until all that was published so far, and is not held back by disorder, was POSTed once."""
        for place in tuple(self._waiting):
            self._flush(place)
        for body in tuple(self._untried):
            await body.wait()

    async def verify(self, url: str, verify_token: str) -> str:
        """Return "" when a callback URL echoes our challenge, else what is wrong with it."""
        if not self.allowed(url):
            return _outside(url)
        challenge = str(self._world.random.randrange(10**9, 10**10))
        query = {"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": verify_token}
        asked = f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"
        status, answer, error = await self._ask("GET", asked, {"user-agent": wire.VERIFIER}, b"")
        if error:
            return f"no answer from {url}: {error}"
        if status != 200 or answer != challenge.encode():
            return f"The URL couldn't be validated. Response does not match challenge (HTTP {status})."
        return ""

    def allowed(self, url: str) -> bool:
        """Return whether a URL is on this machine or on a host that was allowed by name: we call no other."""
        try:
            found = Url(url)  # the client's own reading: another might see another host in an odd URL
        except ValueError:
            return False
        host = (found.host_str or "").strip("[]")
        return found.scheme in ("http", "https") and (host in self._hosts or is_loopback(host))

    def _targets(self, waba: Waba, number_id: str, field: str) -> list[tuple[str, str]]:
        """Return URL and id of each subscribed app that wants the field: the number's URL, else WABA's, else app's."""
        found = []
        number = self._world.state.numbers.get(number_id)
        for app_id, of_waba in waba.subscribed.items():
            app = self._world.state.apps.get(app_id)
            wanted = app.subscription if app else None
            if wanted is None or not wanted.active or field not in wanted.fields:
                continue
            of_number = number.override if number and number.override else None
            if of_number is not None and of_number.app_id not in ("", app_id):
                of_number = None
            chosen = (of_number or of_waba) if field in FOLLOW_OVERRIDES else None
            found.append((chosen.uri if chosen else wanted.callback_url, app_id))
        return found

    def _put(self, place: tuple[str, str], update: Update) -> None:
        if self._world.knobs.disorder:
            self._world.soon(self._collect_later(place, update))
        else:
            self._collect(place, update)

    async def _collect_later(self, place: tuple[str, str], update: Update) -> None:
        await self._world.clock.sleep(self._world.random.random() * _DISORDER_SECONDS)
        self._collect(place, update)

    def _collect(self, place: tuple[str, str], update: Update) -> None:
        waiting = self._waiting.setdefault(place, [])
        waiting.append(update)
        if len(waiting) >= self._world.knobs.batch:
            self._flush(place)
        elif len(waiting) == 1:
            self._world.soon(self._flush_later(place))

    async def _flush_later(self, place: tuple[str, str]) -> None:
        await self._world.clock.sleep(_BATCH_SECONDS)
        self._flush(place)

    def _flush(self, place: tuple[str, str]) -> None:
        for parcel in self._parcels(place, self._waiting.pop(place, [])):
            tried = asyncio.Event()
            self._untried.add(tried)
            self._world.soon(self._deliver(parcel, tried))

    def _parcels(self, place: tuple[str, str], updates: Sequence[Update]) -> list[Parcel]:
        """Return updates as POSTs, in two halves while one would be larger than Meta's are."""
        app = self._world.state.apps.get(place[1])
        if app is None or not updates:
            return []
        knobs = self._world.knobs
        document = wire.envelope(updates, int(self._world.clock.now()), mix=knobs.mix)
        body = wire.serialise(document, raw_utf8=knobs.raw_utf8)
        if len(body) > wire.LARGEST and len(updates) > 1:
            half = len(updates) // 2
            return self._parcels(place, updates[:half]) + self._parcels(place, updates[half:])
        headers = wire.headers(body, app.secret, old_secret=app.old_secret, signature=knobs.signature, sha1=knobs.sha1)
        return [Parcel(url=place[0], app_id=app.id, updates=updates, body=body, headers=headers)]

    async def _deliver(self, parcel: Parcel, tried: asyncio.Event) -> None:
        """POST until 200 comes, the same bytes each time, or seven days are over; `tried` is set after the first.

        When each try is due follows from the first, so that a clock set forward makes up for those in between.
        """
        clock = self._world.clock
        start = clock.now()
        for number, after in enumerate(TRIES, 1):
            await clock.sleep(start + after - clock.now())
            if number > 1:
                self._repeat_elsewhere(parcel)
            try:
                status = await self._try(parcel, number)
            finally:
                self._untried.discard(tried)
                tried.set()
            if status == 200:
                return
        self.dropped += 1

    def _repeat_elsewhere(self, parcel: Parcel) -> None:
        """Send to the other apps too: Meta's retries go to every subscribed app, also to those that had answered."""
        others: dict[tuple[str, str], list[Update]] = {}
        for update in parcel.updates:
            waba = self._world.state.wabas.get(update.waba_id)
            for place in self._targets(waba, update.number_id, update.field) if waba else ():
                if place[1] != parcel.app_id:
                    others.setdefault(place, []).append(update)
        for place, updates in others.items():
            for copy in self._parcels(place, updates):
                self._world.soon(self._try_once(copy))

    async def _try_once(self, parcel: Parcel) -> None:
        await self._try(parcel, 1)

    async def _try(self, parcel: Parcel, number: int) -> int:
        """Make one attempt, remember it and tell of it; return its status, 0 when nothing answered."""
        messages = wire.message_ids(parcel.updates)
        attempt = Attempt(
            at=self._world.clock.now(),
            url=parcel.url,
            body=parcel.body,
            headers=parcel.headers,
            number=number,
            messages=messages,
        )
        if self.allowed(parcel.url):
            attempt.status, _, attempt.error = await self._ask("POST", parcel.url, parcel.headers, parcel.body)
        else:
            attempt.error = _outside(parcel.url)
        self.attempts.append(attempt)
        news = {"url": attempt.url, "status": attempt.status, "error": attempt.error, "number": number}
        self._world.tell({"kind": "webhook", **news, "messages": messages})
        return attempt.status

    async def _ask(self, method: str, url: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes, str]:
        """Return status, answer (its beginning) and "", or 0, nothing and why there is no answer."""
        timeout = timedelta(seconds=self._world.knobs.webhook_timeout)
        try:
            request = self._client.request(method, url).headers(headers).timeout(timeout)
            async with (request.body_bytes(body) if body else request).build_streamed() as answer:
                return answer.status, bytes(await answer.body_reader.read(_ANSWER) or b""), ""
        except (PyreqwestError, ValueError) as error:
            return 0, b"", type(error).__name__


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine's own loopback."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _outside(url: str) -> str:
    try:
        host = Url(url).host_str
    except ValueError as error:
        return f"{url!a} is no URL ({error})"
    return f"{host} is not this machine: start the simulator with --allow-host {host}"
