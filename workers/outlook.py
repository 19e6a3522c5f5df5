"""What will go wrong with an account soon, or has done so in silence: said once per change, and shown as metrics."""

import hashlib
import time
from datetime import UTC, datetime

from whatshooked import logs
from whatshooked.config import Account
from whatshooked.config.rules import days_of_version
from whatshooked.keys import Keys
from whatshooked.meta import setup
from whatshooked.meta.graph import Access, Graph
from whatshooked.meta.objects import Token
from whatshooked.stream.link import Link
from workers.traffic import Traffic

log = logs.get("accounts")

#: Seconds between two looks at an account's token.
TOKEN_EVERY = 3600
_DAY = 86_400
#: Days before a token's end at which it is said, and said again.
_TOKEN_NOTICE = (14, 3, 1, 0)
_VERSION_NOTICE = (90, 30, 7, 0)


class Outlook:
    """Looks ahead for each account; only a worker whose turn it is asks."""

    def __init__(self, link: Link, keys: Keys, graph: Graph, traffic: Traffic) -> None:
        self._link = link
        self._keys = keys
        self._graph = graph
        self._traffic = traffic
        #: What was said of each account: said again when it changes.
        self._said: dict[tuple[str, str], int] = {}

    async def look(self, account: Account) -> None:
        """Look at token and version, of an account that is connected; raises StreamUnavailable."""
        await self._token(account)
        self._version(account)

    async def _token(self, account: Account) -> None:
        expires = await self._expiry(account)
        if expires is None:
            return
        days = (expires - time.time()) / _DAY if expires else float("inf")
        if self._is_news(account, "token", _step(days, _TOKEN_NOTICE)):
            hint = "make a token of a system user that never expires, set access_token, reload"
            log.warn("Access token expires soon", account_id=account.id, days_left=round(days, 1), hint=hint)

    async def _expiry(self, account: Account) -> int | None:
        """Return when the token ends (unix seconds, 0 = never), None when Meta does not say.

        Meta is asked once an hour, and when the token is another one: what the old one's end was means nothing then.
        """
        key, now, api = self._keys.account(account.id), int(time.time()), account.business_api
        if api is None:
            return None
        asked, expires, of = await self._link.call("HMGET", key, "token_asked", "token_expires", "token_of")
        mark = hashlib.blake2b(api.access_token.encode(), digest_size=8).hexdigest()
        if asked and now - int(asked) < TOKEN_EVERY and (of or b"").decode() == mark:
            return int(expires) if expires else None
        found = await setup.debug_token(self._graph, Access.of(account), api.access_token)
        known = found.expires_at if isinstance(found, Token) and found.is_valid else None
        told = "" if known is None else str(known)
        await self._link.call("HSET", key, "token_asked", now, "token_expires", told, "token_of", mark)
        return known

    def _version(self, account: Account) -> None:
        if account.business_api is None:
            return
        version = account.business_api.api_version
        days = days_of_version(version, datetime.now(UTC).date())
        step = _step(float("inf") if days is None else days, _VERSION_NOTICE)
        self._said.setdefault((account.id, "version"), step)  # the config's warnings at start have said that
        if self._is_news(account, "version", step):
            text = "Graph API version is retired" if days is not None and days <= 0 else "Graph API version ends soon"
            hint = "set api_version to a newer one"
            log.warn(text, account_id=account.id, api_version=version, days_left=days, hint=hint)

    async def listen(self, account: Account) -> None:
        """Look whether an account has fallen silent; raises StreamUnavailable."""
        hours = await self._traffic.silent(account.id)
        await self._link.call("HSET", self._keys.account(account.id), "silent_hours", hours)
        if self._is_news(account, "silence", int(hours > 0)):
            hint = "whatshooked doctor: is the app still subscribed to the WABA, does the callback URL lead here?"
            log.warn("No message on a number that is busy at this hour", account_id=account.id, hours=hours, hint=hint)

    def _is_news(self, account: Account, what: str, step: int) -> bool:
        """Return whether something is wrong (`step` above 0) and was not said yet."""
        before, self._said[account.id, what] = self._said.get((account.id, what), 0), step
        return step > before


def _step(days: float, notice: tuple[int, ...]) -> int:
    """Return how many of the days at which something is said are reached."""
    return sum(days <= one for one in notice)
