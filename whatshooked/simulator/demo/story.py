"""The path of each message in lines for a person: in, stored, delivered, reply, ticks; pure.

Three tell it: the simulated Meta (what was written, answered, sent), the gateway's `hook.*` events (who took it), and
the messages themselves (which event is which message, and where its file is).
"""

from typing import Any

from whatshooked.hooks import retry
from whatshooked.meta import callback

_TICKS = {"sent": "✓ sent", "delivered": "✓✓ delivered", "read": "✓✓ read", "played": "✓✓ played"}
#: Messages that are remembered: a terminal that runs for days must not fill the memory.
_MOST = 10_000

Object = dict[str, Any]


class Story:
    """Turns news into lines; `names` are the users' names by id."""

    def __init__(self, names: dict[str, str]) -> None:
        self.names = names
        self._count = 0
        #: Number of the story by message id, both ways, and by event id.
        self._numbers: dict[str, int] = {}
        #: Messages of customers that the gateway has not taken yet.
        self._written: set[str] = set()
        #: Lines about events of which nobody has said yet which message they are.
        self._early: dict[str, list[str]] = {}

    def of_meta(self, news: Object) -> list[str]:
        """Return the lines of one piece of the simulated Meta's news."""
        match news.get("kind"):
            case "inbound":
                return [self._begin(news)]
            case "webhook":
                return [line for name in news["messages"] for line in self._stored(name, news)]
            case "sent":
                return self._sent(news)
            case "refused":
                return [_line(self._cause(news), f"refused    by Meta {news['code']}: {news['text']}")]
            case "status":
                return self._about(news["message_id"], _tick(news))
            case _:
                return []

    def of_hook(self, event_type: str, found: Object) -> list[str]:
        """Return the lines of one event as the gateway delivers it."""
        if event_type == "message.received":
            return self._known(found)
        data = found.get("data")
        if not isinstance(data, dict) or data.get("event_type") != "message.received":
            return []
        took = f"{data.get('duration_ms') or 0:.0f} ms"
        if event_type == "hook.success":
            line = f"delivered  {data.get('hook_id')} answered {data.get('status')} in {took}"
        else:
            line = f"refused    {data.get('hook_id')}: {data.get('error')}; {_again(data.get('attempt'))}"
        return self._of_event(str(data.get("event_id")), line)

    def _begin(self, news: Object) -> str:
        self._count += 1
        self._remember(news["message_id"], self._count)
        self._written.add(news["message_id"])
        who = self.names.get(news["user_id"], news["user_id"])
        return _line(self._count, f"in         {who} sends {news['type']}{_quoted(news.get('text'))}")

    def _stored(self, message_id: str, news: Object) -> list[str]:
        if message_id not in self._written:  # a status's webhook
            return []
        if news["status"] == 200:
            self._written.discard(message_id)
            return self._about(message_id, "stored     the gateway holds it, and answered Meta 200")
        why = f"HTTP {news['status']}" if news["status"] else news.get("error") or "no answer"
        return self._about(message_id, f"not taken  {why}; Meta tries again")

    def _sent(self, news: Object) -> list[str]:
        number = self._cause(news)
        self._remember(news["message_id"], number)
        return [_line(number, f"reply      {news['type']}{_quoted(news.get('text'))}")]

    def _cause(self, news: Object) -> int:
        """Return the number of the message that one of the business's answers, a new one when it answers none."""
        mark = callback.read(news["body"].get("biz_opaque_callback_data"))
        number = self._numbers.get(mark.cause) if mark else None
        if number is None:
            self._count = number = self._count + 1
        return number

    def _known(self, found: Object) -> list[str]:
        """Learn which event a message is; one that the simulated Meta knows nothing of came from elsewhere."""
        event_id, number = str(found.get("event_id")), self._numbers.get(str(found.get("message_id")))
        lines = _file(found.get("media")) + self._early.pop(event_id, [])
        if number is None:
            self._count = number = self._count + 1
            said = f"{found.get('message_type')}{_quoted(found.get('text'))}"
            lines.insert(
                0, f"in         {found.get('sender_name') or found.get('from')} sends {said} (not by our Meta)"
            )
        self._remember(event_id, number)
        return [_line(number, line) for line in lines]

    def _of_event(self, event_id: str, line: str) -> list[str]:
        if event_id in self._numbers:
            return self._about(event_id, line)
        if len(self._early) < _MOST:
            self._early.setdefault(event_id, []).append(line)
        return []

    def _about(self, name: str, line: str) -> list[str]:
        number = self._numbers.get(name)
        return [] if number is None or not line else [_line(number, line)]

    def _remember(self, name: str, number: int) -> None:
        self._numbers[name] = number
        if len(self._numbers) > _MOST:
            del self._numbers[next(iter(self._numbers))]


def _tick(news: Object) -> str:
    if news["status"] == "failed":
        return f"failed     with {', '.join(map(str, news.get('codes') or ())) or 'no code'}"
    return f"           {_TICKS.get(news['status'], news['status'])}"


def _file(media: Any) -> list[str]:
    """Return the line on a message's file, none when it brings none."""
    if not isinstance(media, dict):
        return []
    if not media.get("url"):
        return [f"file       none: {media.get('error') or 'no link'}"]
    return [f"file       {media.get('size')} bytes, {media['url']}"]


def _again(attempt: Any) -> str:
    """Return what follows an attempt that failed, by its number (from 1)."""
    if not isinstance(attempt, int) or attempt < 1:
        return "tried again, in seconds at first"
    if attempt > len(retry.SCHEDULE):
        return "that was the last try, it waits in the cache"
    seconds = retry.SCHEDULE[attempt - 1]
    size, unit = next((size, unit) for size, unit in ((3600, "h"), (60, "min"), (1, "s")) if seconds >= size)
    return f"tried again in {seconds // size} {unit}"


def _quoted(text: Any) -> str:
    return f": {text}" if isinstance(text, str) and text else ""


def _line(number: int, text: str) -> str:
    return f"  #{number:<3} {text}".rstrip()
