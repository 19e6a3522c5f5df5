"""A webhook as Meta writes it: updates in an envelope, its bytes, and the headers that prove them."""

import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct

from whatshooked.meta.signature import sign

#: `right`, or one of the ways in which a signature fails.
Signature = Literal["right", "bad", "missing", "old_secret"]
#: What calls itself Meta in a webhook, and in a verification.
USER_AGENT, VERIFIER = "facebookexternalua", "facebookplatform/1.0 (+https://developers.facebook.com)"
#: Bytes of a body.
LARGEST = 3_000_000
Object = dict[str, Any]

#: Arrays of a value that may be put together with those of another value.
_ARRAYS = ("contacts", "messages", "statuses")
_ESCAPES = {"/": r"\/", "@": r"\u0040", "%": r"\u0025", "<": r"\u003C"}


class Update(Struct, kw_only=True):
    """One value on its way out; `number_id` is "" when it is about no number."""

    waba_id: str
    field: str
    value: Object
    number_id: str = ""
    #: The business portfolio that the WABA belongs to.
    business_id: str = ""


def envelope(updates: Sequence[Update], now: int, *, mix: bool = False) -> Object:
    """Return the document of some updates: an entry per WABA, in it a change per value, as few as may be.

    With `mix` messages and statuses may share a value. `now` is unix seconds; `messages` go without a time.
    """
    entries: dict[str, list[Object]] = {}
    for update in updates:
        changes = entries.setdefault(_entry_id(update), [])
        change = next((one for one in changes if _joins(one, update, mix=mix)), None)
        if change is None:
            changes.append({"field": update.field, "value": dict(update.value)})
        else:
            _join(change["value"], update.value)
    timed = {"time": now} if any(update.field != "messages" for update in updates) else {}
    rows = [{"id": waba, **timed, "changes": changes} for waba, changes in entries.items()]
    return {"object": "whatsapp_business_account", "entry": rows}


def _entry_id(update: Update) -> str:
    """Return whose entry an update stands in: what is about partners belongs to the business, all else to the WABA."""
    partners = update.field == "account_update" and str(update.value.get("event")).startswith("PARTNER_")
    return update.business_id if partners or update.field == "partner_solutions" else update.waba_id


def message_ids(updates: Sequence[Update]) -> list[str]:
    """Return the ids of the messages, and of the messages whose statuses, updates hold."""
    rows = [row for update in updates for name in ("messages", "statuses") for row in update.value.get(name, [])]
    return [row["id"] for row in rows if "id" in row]


def serialise(value: Any, *, raw_utf8: bool = False) -> bytes:
    r"""Return compact JSON as Meta's serialiser writes it: ASCII, `\uXXXX` in lower case, and some signs escaped.

    None of the signs occurs in JSON outside of strings, so escaping them afterwards is safe. With `raw_utf8` text
    stands as it is, as other senders do it.
    """
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=not raw_utf8)
    if not raw_utf8:
        for sign_, escape in _ESCAPES.items():
            text = text.replace(sign_, escape)
    return text.encode()


def headers(
    body: bytes, secret: str, *, old_secret: str = "", signature: Signature = "right", sha1: bool = False
) -> dict[str, str]:
    """Return the headers of a webhook's POST."""
    found = {"content-type": "application/json", "user-agent": USER_AGENT}
    if signature == "missing":
        return found
    key = old_secret if signature == "old_secret" else secret
    value = sign(body, key)
    found["x-hub-signature-256"] = _spoiled(value) if signature == "bad" else value
    if sha1:
        found["x-hub-signature"] = "sha1=" + hmac.new(key.encode(), body, hashlib.sha1).hexdigest()
    return found


def _joins(change: Object, update: Update, *, mix: bool) -> bool:
    """Return whether an update may share a change's value: the same number, and nothing but arrays beside it."""
    if change["field"] != "messages" or update.field != "messages":
        return False
    one, other = change["value"], update.value
    if one.get("metadata") != other.get("metadata") or set(other) - {"messaging_product", "metadata", *_ARRAYS}:
        return False
    return mix or ("messages" in one) == ("messages" in other)


def _join(one: Object, other: Object) -> None:
    """Put the arrays of a value behind those of another; the same contact stands there once."""
    for name in _ARRAYS:
        rows = one.get(name, [])
        more = [row for row in other.get(name, []) if name != "contacts" or row not in rows]
        if more:
            one[name] = [*rows, *more]


def _spoiled(value: str) -> str:
    return value[:-1] + ("0" if value[-1] != "0" else "1")
