"""Who talks with whom: recipients, the 24-hour window, read marks, typing, and what passed through.

A chat is one user's or one group's with a number; its key is `number id/user id` or `number id/group id`.
"""

from typing import Any

from whatshooked.meta.items import digits
from whatshooked.simulator.graph import refusals
from whatshooked.simulator.world import ids
from whatshooked.simulator.world.model import Message, Number, User
from whatshooked.simulator.world.world import World

#: Seconds in which anything may be sent after a user's message, and for which a message can be marked or quoted.
WINDOW, READABLE = 24 * 3600.0, 30 * 86_400.0
#: Seconds for which the user sees that the business is typing.
TYPING = 25.0
#: Messages that are remembered; the oldest go first.
_REMEMBERED = 100_000


def recipient(world: World, to: str, user_id: str) -> User:
    """Return the user of a phone number, else of a BSUID; somebody whom nobody knew is made a user."""
    users, phone = world.state.users, wa_id(world, to)
    by_phone = (user for user in users.values() if phone and user.phone in (phone, digits(to)))
    known = next(by_phone, None) or users.get(user_id)
    if known is not None:
        return known
    made = User(id=user_id or ids.bsuid(phone, world.random), phone=phone)
    users[made.id] = made
    return made


def wa_id(world: World, to: str) -> str:
    """Return the digits by which WhatsApp knows a phone, rewritten in three countries if the knob says so."""
    phone = digits(to)
    return rewritten(phone) if world.knobs.rewrite_numbers else phone


def rewritten(phone: str) -> str:
    """Return a number as WhatsApp has it: Brazil's without the ninth digit, Mexico's with a 1, Argentina's with a 9."""
    if phone.startswith("55") and len(phone) == 13 and phone[4] == "9":
        return phone[:4] + phone[5:]
    if phone.startswith("52") and len(phone) == 12:
        return f"521{phone[2:]}"
    if phone.startswith("54") and len(phone) == 12:
        return f"549{phone[2:]}"
    return phone


def arrived(world: World, number: Number, user: User, message: dict[str, Any]) -> None:
    """Record a user's message: it counts as throughput and opens the window, unless WhatsApp itself wrote it."""
    state, now = world.state, world.clock.now()
    state.users.setdefault(user.id, user)
    world.limits.passes(number)
    kind, group_id = str(message.get("type", "")), str(message.get("group_id", ""))
    found = Message(
        id=message["id"],
        number_id=number.id,
        user_id=user.id,
        outgoing=False,
        at=now,
        type=kind,
        body=message,
        group_id=group_id,
    )
    remember(world, found)
    if kind != "system":
        state.windows[key(number, group_id or user.id)] = now


def is_open(world: World, number: Number, user: User, *, group_id: str = "") -> bool:
    """Return whether anything may be sent to a user (or a group): outside the window only templates may."""
    opened = world.state.windows.get(key(number, group_id or user.id))
    return opened is not None and world.clock.now() < opened + WINDOW


def participants(world: World, number: Number, group_id: str) -> list[User]:
    """Return who is in a group: everybody who wrote there; where nobody did, everybody we know."""
    state, chat = world.state, (number.id, group_id)
    written = [one.user_id for one in state.messages.values() if (one.number_id, one.group_id) == chat]
    known = [state.users[user_id] for user_id in dict.fromkeys(written) if user_id in state.users]
    return known or list(state.users.values())


def remember(world: World, message: Message) -> None:
    """Keep a message, and forget the oldest ones above what is remembered."""
    messages = world.state.messages
    messages[message.id] = message
    while len(messages) > _REMEMBERED:
        del messages[next(iter(messages))]


def mark_read(world: World, number: Number, message_id: str, *, typing: bool) -> None:
    """Mark a user's message and all before it as read; raises Refusal 131009 for one that cannot be."""
    state, now = world.state, world.clock.now()
    message = state.messages.get(message_id)
    if message is None or message.outgoing or message.number_id != number.id or message.at < now - READABLE:
        details = "Parameter message_id must be that of a message received in the last 30 days."
        raise refusals.message(131009, "Parameter value is not valid", details)
    chat = key(number, message.group_id or message.user_id)
    state.reads[chat] = max(state.reads.get(chat, 0.0), message.at)
    news = {"message_id": message_id, "user_id": message.user_id}
    world.tell({"kind": "read", **news})
    if typing:
        state.typing[chat] = now + TYPING
        world.tell({"kind": "typing", **news, "until": state.typing[chat]})


def key(number: Number, other: str) -> str:
    """Return the key of a chat; `other` is a user's or a group's id."""
    return f"{number.id}/{other}"
