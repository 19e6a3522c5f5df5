"""What a hook's answer asks to send (contract, section 3, "Replies"); pure.

    {"send_message": true, "to": "4915112345678", "text": "Thanks!", "account_id": "business"}

Beyond that form: `"reply": true` quotes the event's message; any kind of message may stand there as Meta's body holds
it, or whole under `message`; a list asks for several, and is sent whole or, when one of it cannot be used, not at all.
Keys of the hook's own are no business of Meta's and stay here.
"""

import re
from typing import Any

import msgspec

from whatshooked.errors import SendFault
from whatshooked.events import Event
from whatshooked.meta import lenient, phone, send
from whatshooked.meta.decode import decode_item
from whatshooked.meta.items import digits
from whatshooked.meta.scan import REFUSALS
from whatshooked.meta.send.parts import Object, noun

#: Bytes of an answer that asks to send, and messages it may ask for.
LARGEST = 64 * 1024
MOST = 50
#: Characters of a reason that are kept with the attempt.
_SHOWN = 400
_BOM = b"\xef\xbb\xbf"
#: Where an item names the customer, most telling first. Echoes and calls may name the business as the sender.
_OF_STATUS = ("recipient_id", "recipient_user_id")
_OF_OTHERS = ("group_id", "from", "from_user_id", "to", "to_user_id")

#: Asks to send, in JSON or in what was meant to be JSON: Python's own writing of a dict, a form.
_asking = re.compile(rb"send_message['\"]?\s*[:=]\s*['\"]?(?:true|1)\b", re.IGNORECASE)
_ABSENT = (None, "")
_NOT_ASKING = (None, False, 0, "", "false", "0")


class Reply(msgspec.Struct, frozen=True):
    """One message that a hook asked for, and the account that sends it."""

    account_id: str
    outgoing: send.Outgoing


class Replies(msgspec.Struct, frozen=True):
    """What an answer asks to send, in its order; at least one."""

    messages: tuple[Reply, ...]


class Unusable(msgspec.Struct, frozen=True):
    """The answer asks to send and cannot be used, in one line that quotes no text and no number."""

    reason: str


class _Asked(msgspec.Struct, frozen=True):
    """What the messages of an answer take from the event and the config."""

    event: Event
    sender: str
    message_id: str
    accounts: frozenset[str]
    country_code: str


def asks(answer: bytes) -> bool:
    """Return whether an answer may ask to send at all: cheap, and False for nearly every answer."""
    return b"send_message" in answer


def read(
    answer: bytes, *, event: Event, sender: str, message_id: str, accounts: frozenset[str], country_code: str
) -> Replies | Unusable | None:
    """Return the messages that a 2xx answer asks to send, None when it does not ask.

    `sender` and `message_id` are `addressee` and `message` of the event, `accounts` the ids of those that can send,
    `country_code` the calling code of numbers written without one. Never raises.
    """
    if not asks(answer):
        return None
    if len(answer) > LARGEST:
        return Unusable(f"the answer has over {LARGEST} bytes") if _asking.search(answer) else None
    try:
        found = msgspec.json.decode(answer.removeprefix(_BOM))
    except REFUSALS:
        return Unusable("the answer asks to send but is no JSON") if _asking.search(answer) else None
    asked = _Asked(event, sender, message_id, accounts, country_code)
    try:
        return _replies(found, asked)
    except SendFault as fault:
        return Unusable(_short("; ".join(fault.faults)))


def addressee(event: Event) -> str:
    """Return whom a reply to an event goes to: the group, else the phone's digits, else the user id; `""` if nobody."""
    item = decode_item(event.raw)
    contact = decode_item(event.contact) if event.contact else {}
    is_status = event.type.startswith("message.") and event.type != "message.received"
    told = [item.get(key) for key in (_OF_STATUS if is_status else _OF_OTHERS)]
    for name in filter(None, map(lenient.text, (*told, contact.get("wa_id"), contact.get("user_id")))):
        found = digits(name) if phone.kind(name) == "phone" else name
        if found != event.to:
            return found
    return ""


def message(event: Event) -> str:
    """Return the id of the message that an event is about, `""` if it is about none."""
    return lenient.text(decode_item(event.raw).get("id")) if event.type.startswith("message.") else ""


def _replies(found: Any, asked: _Asked) -> Replies | None:
    """Return the replies of an answer's JSON; raises SendFault."""
    listed = isinstance(found, list)
    wanted = [
        (f"[{index}]" if listed else "", part)
        for index, part in enumerate(found if listed else [found])
        if isinstance(part, dict) and part.get("send_message") not in _NOT_ASKING
    ]
    if len(wanted) > MOST:
        raise SendFault([f"at most {MOST} messages in an answer, got {len(wanted)}"])
    messages, faults = [], []
    for place, part in wanted:
        try:
            messages.append(_reply(part, asked))
        except SendFault as fault:
            faults += [f"{place}.{text}" if place else text for text in fault.faults]
    if faults:
        raise SendFault(faults)
    return Replies(tuple(messages)) if messages else None


def _reply(part: Object, asked: _Asked) -> Reply:
    if part["send_message"] is not True:
        raise SendFault([f"send_message: expected true, got {noun(part['send_message'])}"])
    faults = []
    account_id = ""
    try:
        account_id = _account(part, asked)
    except SendFault as fault:
        faults += fault.faults
    try:
        outgoing = _outgoing(part, asked)
    except SendFault as fault:
        raise SendFault(faults + fault.faults) from fault
    if faults:
        raise SendFault(faults)
    return Reply(account_id, outgoing)


def _account(part: Object, asked: _Asked) -> str:
    named = part.get("account_id")
    if named in _ABSENT and asked.event.foreign:
        raise SendFault(["account_id: missing, needed since the event is of a number that is no account's"])
    account_id = asked.event.account_id if named in _ABSENT else lenient.text(named)
    if account_id not in asked.accounts:
        raise SendFault(["account_id: no account that can send has this id"])
    return account_id


def _outgoing(part: Object, asked: _Asked) -> send.Outgoing:
    whole = part.get("message")
    body = whole if isinstance(whole, dict) else part
    request = {key: value for key, value in body.items() if key in send.KEYS and value is not None}
    if request.get("status") != send.READ:
        request.pop("status", None)  # a word of the hook's own, as in {"status": "ok"}
    if request.get("to") in _ABSENT and request.get("recipient") in _ABSENT:
        request["to"] = asked.sender or None if part.get("to") in _ABSENT else part["to"]
        if request["to"] == asked.sender and _is_group(asked):
            request.setdefault("recipient_type", "group")
    if part.get("reply") is True:
        if not asked.message_id:
            raise SendFault(["reply: the event is about no message that could be quoted"])
        request = send.quoting(request, asked.message_id)
    return send.prepare(request, country_code=asked.country_code, shown=asked.sender)


def _is_group(asked: _Asked) -> bool:
    """Return whether the sender is the group of the event: by its looks alone an id of digits would be a phone."""
    return bool(asked.sender) and lenient.text(decode_item(asked.event.raw).get("group_id")) == asked.sender


def _short(reason: str) -> str:
    return reason if len(reason) <= _SHOWN else reason[:_SHOWN] + " ..."
