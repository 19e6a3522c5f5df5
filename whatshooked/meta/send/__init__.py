"""A request to send -> the body that Graph takes; pure.

Two forms are taken: Meta's own body, as it stands in Meta's documentation, and a flat one with `text` as a plain
string. What is wrong is told before Meta is asked, every fault at once with its JSON path; what Meta does not
document passes as it is. Source: Meta's reference of the messages endpoint.

    phone             whom it goes to
    kinds             what each kind holds (interactive, template; shapes: what they share)
    parts             a part of the request and its faults
"""

from typing import Any

import msgspec

from whatshooked.errors import SendFault
from whatshooked.meta import phone
from whatshooked.meta.send.kinds import CHECKS
from whatshooked.meta.send.parts import MOST_FAULTS, Object, Part, is_text, noun, unsendable

#: Bytes of a body; Meta's largest message, a list of contacts, has far less.
LARGEST = 64 * 1024
#: Characters of `biz_opaque_callback_data`, and those of them that a sender may use beside our own mark.
CALLBACK = 512
THEIRS = 384
#: Characters of a message's id; Meta gives no length.
MESSAGE_ID = 512
#: The kind of a request that marks a message as read and may show that somebody types.
READ = "read"
#: The key under which Meta gives back, in every status of a message, what was sent with it.
CALLBACK_KEY = "biz_opaque_callback_data"
_WHO = ("to", "recipient", "recipient_type")
_OF_READ = ("status", "message_id", "typing_indicator")
_BESIDE = ("messaging_product", "type", "context", CALLBACK_KEY, "recipient_identity_key_hash")
#: The keys that Meta documents at the top of a request.
KEYS = frozenset((*CHECKS, *_WHO, *_OF_READ, *_BESIDE))
#: Keys that the body gets from us, or that are not for Meta: which account sends is said by the call.
_OURS = frozenset(("messaging_product", "type", "account_id", CALLBACK_KEY, *_WHO))
_GROUP_ID = 256
#: No phone number has 16 digits; a `to` that was written as a number is below.
_NO_PHONE = 10**15

_encode = msgspec.json.Encoder().encode


class Outgoing(msgspec.Struct, frozen=True):
    """A message that may be sent."""

    #: Whom it goes to: a phone's digits, a user id or a group id; `""` for a mark as read.
    to: str
    #: text, image, ... or read.
    kind: str
    #: The JSON body for Meta's messages endpoint, without `biz_opaque_callback_data`.
    body: bytes
    #: The sender's own `biz_opaque_callback_data`.
    callback: str


def prepare(request: Any, *, country_code: str, shown: str = "") -> Outgoing:
    """Return the message that a request asks for; raises SendFault with every fault in it.

    `country_code` is the calling code of numbers written without one. `shown` is a recipient as Meta showed it in a
    webhook: a `to` that means the same goes there without a look at its form.
    """
    addressed: Object
    faults = unsendable(request)
    if not isinstance(request, dict):
        raise SendFault(faults or [f"expected an object, got {noun(request)}"])
    part = Part(request, "", faults)
    part.word("messaging_product", ("whatsapp",), needed=False)
    callback = part.text(CALLBACK_KEY, THEIRS, needed=False, empty=True)
    if part.has("status"):
        to, kind, addressed = "", READ, {}
        _check_read(part)
    else:
        to, addressed = _recipient(part, country_code, shown)
        kind = _checked_kind(part)
    if faults:
        raise SendFault(_bounded(faults))
    return Outgoing(to, kind, _body(request, kind, addressed), callback)


def with_callback(body: bytes, callback: str) -> bytes:
    """Return a prepared body with `biz_opaque_callback_data` in it; raises SendFault when Meta would not take it."""
    if not is_text(callback):
        raise SendFault([f"{CALLBACK_KEY}: expected text"])
    if len(callback) > CALLBACK:
        raise SendFault([f"{CALLBACK_KEY}: at most {CALLBACK} characters, got {len(callback)}"])
    return b'%b,"%b":%b}' % (body[:-1], CALLBACK_KEY.encode(), _encode(callback))


def quoting(request: Object, message_id: str) -> Object:
    """Return the request with a reference to a message, unless it names one already.

    A reaction and a mark as read are to that message, anything else quotes it.
    """
    if request.get("status") is not None:
        return {"message_id": message_id, **request}
    reaction = request.get("reaction")
    if isinstance(reaction, dict):
        return {**request, "reaction": {"message_id": message_id, **reaction}}
    return {**request, "context": request.get("context") or {"message_id": message_id}}


def _check_read(part: Part) -> None:
    part.word("status", (READ,))
    part.text("message_id", MESSAGE_ID)
    if typing := part.object("typing_indicator", needed=False):
        typing.word("type", ("text",))


def _checked_kind(part: Part) -> str:
    """Return the kind of message, after noting what is wrong with it."""
    part.text("recipient_identity_key_hash", needed=False)
    context = part.object("context", needed=False)
    if context:
        context.text("message_id", MESSAGE_ID)
    kind = _kind(part)
    if kind in CHECKS:
        CHECKS[kind](part)
    return kind


def _kind(part: Part) -> str:
    """Return the kind by `type`; where that is absent by the one key of a kind."""
    given = [kind for kind in CHECKS if part.has(kind)]
    if not part.has("type") and len(given) == 1:
        return given[0]
    if not part.has("type"):
        got = f"; {' and '.join(given)} are both there" if given else ""
        part.fault("type", f"missing, expected one of {', '.join(CHECKS)}{got}")
        return ""
    named = part.value["type"]
    if not isinstance(named, str) or (named not in CHECKS and not _is_new(named, part)):
        part.fault("type", f"expected one of {', '.join(CHECKS)}")
        return ""
    for other in given:
        if other != named:
            part.fault(other, f"stands beside the type {named}, but a message is of one kind")
    return named


def _is_new(kind: str, part: Part) -> bool:
    """Whether this is a kind of Meta's that we do not know: its own object says so, as no slip of the pen has one."""
    return kind not in KEYS and isinstance(part.value.get(kind), dict)


def _recipient(part: Part, country_code: str, shown: str) -> tuple[str, Object]:
    """Return whom the message goes to, and the keys of the body that say so."""
    audience = part.word("recipient_type", ("individual", "group"), needed=False)
    also = {"recipient_type": audience} if audience else {}
    user = part.text("recipient", needed=False)
    if user and phone.kind(user) != "user":
        part.fault("recipient", "expected a user id such as US.1349; phone numbers and groups stand under to")
    if not part.has("to"):
        if not user:
            part.fault("to", f"missing, expected {phone.EXPECTED}")
        return user, {**also, "recipient": user}
    to, kind = _named(part, country_code, shown, audience)
    if kind == "user":
        return to, {**also, "recipient": to}
    if kind == "group":
        return to, {"recipient_type": "group", "to": to}
    return to, {**also, "to": f"+{to}", **({"recipient": user} if user else {})}


def _named(part: Part, country_code: str, shown: str, audience: str) -> tuple[str, phone.Kind]:
    """Return the recipient that `to` names, and what it is."""
    to = part.value["to"]
    text = str(to) if type(to) is int and 0 < to < _NO_PHONE else part.text("to")
    if audience == "group":
        if len(text) > _GROUP_ID or not text.isprintable() or " " in text:
            part.fault("to", "expected a group id")
        return text, "group"
    if shown and phone.bare(text) == phone.bare(shown):
        kind = phone.kind(shown)
        return (phone.bare(shown) if kind == "phone" else shown), kind
    try:
        found = phone.normalise(text, country_code) if text else ""
    except ValueError as error:
        part.fault("to", str(error))
        found = ""
    kind = phone.kind(found)
    if found and kind == "group" and audience:
        part.fault("recipient_type", 'expected "group", or none, for a group id')
    return found, kind


def _body(request: Object, kind: str, addressed: Object) -> bytes:
    head: Object = {"messaging_product": "whatsapp", **addressed}
    rest = {key: value for key, value in request.items() if key not in _OURS and value is not None}
    if kind != READ:
        head["type"] = kind
    if kind == "text" and isinstance(rest["text"], str):
        rest["text"] = {"body": rest["text"]}
    body = _encode(head | rest)
    if len(body) > LARGEST:
        raise SendFault([f"at most {LARGEST} bytes of JSON, got {len(body)}"])
    return body


def _bounded(faults: list[str]) -> list[str]:
    more = len(faults) - MOST_FAULTS
    return [*faults[:MOST_FAULTS], f"and {more} more"] if more > 0 else faults
