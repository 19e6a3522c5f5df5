"""Why Graph did not do what was asked: its error answers read, without a secret in them; pure.

Source: Meta's error object, of which every part may be missing; at 5xx bodies are HTML or empty.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import msgspec

from whatshooked.meta import codes
from whatshooked.meta.codes import Retry
from whatshooked.meta.scan import REFUSALS

#: Characters of an answer that are shown to an operator.
_SHOWN = 600
#: Seconds of Retry-After that are believed.
_LONGEST = 86_400.0


@dataclass(frozen=True, slots=True)
class GraphFailure:
    """Why Graph did not do what was asked; `code` 0 when it did not say, `reached` False when nothing answered."""

    status: int
    code: int
    subcode: int
    #: The answer's body, or what kept it from coming; cut, and without secrets.
    text: str
    hint: str
    reached: bool = True
    #: Meta's own sentence, "" when there is none.
    message: str = ""
    retry: Retry = Retry.NEVER
    #: Seconds to wait before any further try, as far as Meta said so.
    wait: float = 0.0
    #: The request went out and nothing came back: Meta may have done what was asked.
    uncertain: bool = False

    @property
    def line(self) -> str:
        """Return what happened in one line for people, without the hint."""
        if not self.reached:
            return self.text
        number = f" {self.code}{f'/{self.subcode}' if self.subcode else ''}" if self.code else ""
        return f"HTTP {self.status}{number}: {self.message or self.text or 'an empty answer'}"


class _Body(msgspec.Struct):
    code: int | None = None
    error_subcode: int | None = None
    message: str | None = None
    error_user_msg: str | None = None
    is_transient: bool | None = None
    error_data: Any = None


class _Envelope(msgspec.Struct):
    error: _Body


def read(status: int, retry_after: str, answer: bytes, *, hidden: Iterable[str], host: str, now: float) -> GraphFailure:
    """Return what an error answer says; `retry_after` is that header, `hidden` holds the secrets of the call.

    `now` is in unix seconds.
    """
    # Never by the charset that the answer names: it may be one that Python has and no text can be read by. Secrets go
    # before the cut, or a part of one could stand at the end.
    text = shown(answer.decode("utf-8", "replace"), hidden)
    try:
        body = msgspec.json.decode(answer, type=_Envelope, strict=False).error
    except REFUSALS:
        body = _Body()
    code, subcode = body.code, body.error_subcode or 0
    return GraphFailure(
        status,
        code or 0,
        subcode,
        text,
        codes.hint(code, subcode) if code is not None else _hint_of_status(status, host),
        message=shown(_message(body), hidden),
        retry=codes.retry(-1 if code is None else code, status, transient=bool(body.is_transient)),
        wait=max(_seconds(retry_after, now), codes.pause(code or 0)),
    )


def _message(body: _Body) -> str:
    """Return Meta's sentence, with the details that its error data add."""
    details = body.error_data.get("details") if isinstance(body.error_data, dict) else body.error_data
    parts = [body.message, body.error_user_msg, details if isinstance(details, str) else None]
    return " ".join(dict.fromkeys(part.strip() for part in parts if part))


def _hint_of_status(status: int, host: str) -> str:
    if status >= 500:
        return "Meta, or something on the way to it, is out of order: try again"
    return f"this is no answer of Graph: check graph_url ({host})"


def _seconds(retry_after: str, now: float) -> float:
    """Return the seconds of a Retry-After, a number or a date; 0 without one."""
    given = retry_after.strip()
    if given.isascii() and given.isdigit():
        return min(float(given[:9]), _LONGEST)
    try:
        return min(max(parsedate_to_datetime(given).timestamp() - now, 0.0), _LONGEST)
    except (ValueError, OverflowError):
        return 0.0


def shown(text: str, hidden: Iterable[str]) -> str:
    """Return a text fit for a log: without these secrets, as they are and as a URL writes them, and cut."""
    for secret in hidden:
        if len(secret) > 3:
            text = text.replace(secret, "***").replace(quote(secret, safe=""), "***")
    return text[:_SHOWN]
