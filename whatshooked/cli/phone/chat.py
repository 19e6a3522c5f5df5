"""One chat of the phone: what is typed becomes messages, what happens appears on the screen."""

import asyncio
import time
from pathlib import Path

from msgspec import Struct

from whatshooked.cli.phone import words as phone_words
from whatshooked.cli.phone.messages import choices, shown
from whatshooked.cli.phone.screen import Screen
from whatshooked.cli.phone.words import Chat, Said
from whatshooked.cli.simulate.news import News
from whatshooked.cli.simulate.target import Direct, Object, Target
from whatshooked.meta.items import digits

#: How far a message may come, the least first; `200` is the gateway's answer to its webhook.
_RANKS = ("200", "sent", "delivered", "read", "played", "failed")


class Me(Struct):
    """Who types: `who` as the target takes it, and the user id once it is known; and whom they write to."""

    who: str
    name: str
    business: str
    user_id: str = ""


class Phone:
    """Shows one chat and writes in it; messages of other people are not shown."""

    def __init__(self, target: Target, screen: Screen, me: Me) -> None:
        self.me = me
        #: When something of this chat last happened (monotonic).
        self._heard = time.monotonic()
        self._target = target
        self._screen = screen
        self._chat = Chat()
        #: Message id -> its number on the screen.
        self._shown: dict[str, int] = {}
        self._ours: set[str] = set()
        self._ranks: dict[str, int] = {}
        #: What happened while a message was being written: it may be about that one, whose id is not known yet.
        self._early: list[Object] = []
        self._writing = False

    async def enter(self, line: str) -> bool:
        """Do what a line says; False when it says to end. Raises Misused and Refused."""
        if line in ("/quit", "/exit"):
            return False
        if line == "/help":
            for row in phone_words.helped():
                self._screen.note(row)
        elif line:
            await self._write(phone_words.parse(line, self._chat))
        return True

    async def silence(self, seconds: float) -> None:
        """Wait until nothing of this chat has happened for so long."""
        left = seconds
        while left > 0:
            await asyncio.sleep(left)
            left = self._heard + seconds - time.monotonic()

    async def hear(self, news: News) -> None:
        """Show what happens, for as long as it is told; raises StartError when the stand-in stops."""
        while (item := await news.take(lambda _: True, None)) is not None:
            self.on(item)

    def on(self, item: Object) -> None:
        """Show one thing that happened, if it is of this chat."""
        match item["kind"]:
            case "inbound":
                self._learn(item)
            case "sent" if item["to"] == self.me.user_id:
                self._sent(item)
            case "status":
                self._status(item)
            case "webhook" | "read" if self._writing:
                self._early.append(item)
            case "webhook":
                self._webhook(item)
            case "read":
                self._tick(item["message_id"], "read")
            case "typing" if item["user_id"] == self.me.user_id:
                self._screen.note(f"{self.me.business} is typing ...")

    async def _write(self, said: Said) -> None:
        message = said.message | ({"from": self.me.who} if self.me.who else {})
        if said.file:
            path = Path(said.file)
            message |= {"media": await self._target.keep(path), "filename": path.name}
        self._heard, self._writing = time.monotonic(), True
        number = self._screen.say(f"You: {said.shown}", own=True)
        try:
            message_id = await self._target.write(message)
        finally:
            self._writing = False
        self._shown[message_id] = number
        if isinstance(self._target, Direct):  # no news comes from there: that we are here is its 200
            self._tick(message_id, "200")
        self._ours.add(message_id)
        if message.get("kind", "text") not in ("edit", "revoke", "reaction", "system"):
            self._chat.mine = message_id
        early, self._early = self._early, []
        for item in early:
            self.on(item)

    def _learn(self, item: Object) -> None:
        """Learn our own user id: a stranger has one from the first message on, a new number has another one."""
        body = item["body"]
        told = body.get("system") or {}
        if not self.me.user_id and body.get("from") == digits(self.me.who):
            self.me.user_id = item["user_id"]
        elif self.me.user_id and told.get("previous_user_id") == self.me.user_id:
            self.me.user_id = self.me.who = told["user_id"]

    def _sent(self, item: Object) -> None:
        self._heard = time.monotonic()
        self._shown[item["message_id"]] = self._screen.say(f"{self.me.business}: {shown(item)}")
        self._chat.choices = choices(item) or self._chat.choices
        if item["type"] != "reaction":
            self._chat.theirs = item["message_id"]

    def _status(self, item: Object) -> None:
        self._tick(item["message_id"], item["status"])
        if item["status"] == "failed" and item["message_id"] in self._shown:
            self._screen.note(f"failed ({', '.join(map(str, item['codes'])) or 'no code'})", bad=True)

    def _webhook(self, item: Object) -> None:
        """Show whether the gateway took what we wrote, and when it did not take a status either."""
        if item["status"] == 200:
            for message_id in self._ours.intersection(item["messages"]):
                self._tick(message_id, "200")
        elif self._shown.keys() & item["messages"]:
            reason = item["error"] or f"HTTP {item['status']}"
            self._screen.note(f"the gateway did not take the webhook ({reason}); Meta tries again", bad=True)

    def _tick(self, message_id: str, status: str) -> None:
        """Show how far a message has come; what is told late takes nothing back."""
        rank = _RANKS.index(status) if status in _RANKS else len(_RANKS)
        if message_id in self._shown and rank > self._ranks.get(message_id, -1):
            self._heard = time.monotonic()
            self._ranks[message_id] = rank
            self._screen.tick(self._shown[message_id], status)
