"""A user writes: the message is made, its 24 hours begin, its webhook goes out, and whoever watches is told."""

from typing import Any, Literal

import msgspec

from whatshooked.meta.items import digits
from whatshooked.simulator.media import store as media
from whatshooked.simulator.media.samples import SampleKind, sample
from whatshooked.simulator.messages import conversations
from whatshooked.simulator.people import inbound
from whatshooked.simulator.people.details import Arrival, Details, Object, chosen
from whatshooked.simulator.world import ids
from whatshooked.simulator.world.model import Media, Message, Number, User
from whatshooked.simulator.world.world import World

#: System messages after which a user has another number and so another id, or another id alone.
_OTHER_NUMBER = ("user_changed_number", "customer_changed_number")
_OTHER_ID = (*_OTHER_NUMBER, "user_changed_user_id")
#: Kinds that are about a message of the user's own; all else that refers to one means the business's.
_OWN = ("edit", "revoke")
_Media = Literal["image", "video", "audio", "document", "sticker"]
_MEDIA: dict[str, _Media] = {
    "image": "image",
    "video": "video",
    "audio": "audio",
    "document": "document",
    "sticker": "sticker",
}


def arrive(world: World, wanted: Arrival) -> Object:
    """Let a message arrive; return its id, and how many apps were told: 0 is "verified, yet nothing arrives".

    Raises ValueError for a type, variant, number or file that does not exist.
    """
    own, _ = inbound.split(wanted.kind, wanted.variant)
    number, user = _number(world, wanted.number), _sender(world, wanted)
    details = _details(world, number, user, wanted, own)
    told = _tell(world, number, user, wanted.kind, wanted.variant, details)
    if wanted.kind == "system" and own in _OTHER_NUMBER:
        _tell(world, number, user, "system", "user_changed_user_id", details)
    if wanted.kind == "system" and own in _OTHER_ID:
        _change(world, user, details, phone=own in _OTHER_NUMBER)
    return told


def _number(world: World, number_id: str) -> Number:
    number = world.state.numbers.get(number_id or next(iter(world.state.numbers), ""))
    if number is None:
        raise ValueError(f"there is no number {number_id!a}; there are {', '.join(world.state.numbers) or 'none'}")
    return number


def _sender(world: World, wanted: Arrival) -> User:
    """Return who writes; user ids begin with a country's letters and a dot, phone numbers with digits."""
    users, who = world.state.users, wanted.from_
    if not who and users:
        return next(iter(users.values()))
    if who[2:3] == ".":
        return conversations.recipient(world, "", who)
    if not digits(who):
        raise ValueError(f"{who!a} is no phone number and no user id; there are {', '.join(users) or 'no users'}")
    return conversations.recipient(world, who, "")


def _details(world: World, number: Number, user: User, wanted: Arrival, own: str) -> Details:
    about = wanted.about or _last(world, number, user, outgoing=wanted.kind not in _OWN)
    quoted = world.state.messages.get(about)
    author = user.phone if quoted is not None and not quoted.outgoing else number.phone
    known: Object = {"about": about, "author": author}
    if wanted.kind in _MEDIA and own != "too_large":
        file = _file(world, number, wanted, own)
        if wanted.fault:
            file.fault, file.faults_left = wanted.fault, 0
        known |= {"media": media.webhook_object(world, file), "filename": wanted.filename or file.filename}
    elif wanted.fault:
        raise ValueError(f"this message brings no file that could be {wanted.fault}; {', '.join(_MEDIA)} do")
    if wanted.kind == "system":
        phone = digits(wanted.new_phone) or f"{user.phone[:-4] or '1555010'}{world.random.randrange(10_000):04d}"
        known |= {"new_phone": phone, "new_user_id": ids.bsuid(phone, world.random)}
    return chosen(wanted, **known)


def _file(world: World, number: Number, wanted: Arrival, own: str) -> Media:
    """Return the file of a media message: the one named, else a sample."""
    if wanted.media:
        found = world.state.media.get(wanted.media)
        if found is None or found.number_id != number.id:
            raise ValueError(f"there is no file {wanted.media!a} of number {number.id}; POST /_sim/media makes one")
        return found
    kind: SampleKind = "voice" if own == "voice" else _MEDIA[wanted.kind]
    made = sample(kind)
    return media.store(world, number, made.mime_type, made.content, filename=made.filename, inbound=True)


def _last(world: World, number: Number, user: User, *, outgoing: bool) -> str:
    """Return the id of the last message between the two that went this way, "" when there was none."""

    def fits(one: Message) -> bool:
        return (one.number_id, one.user_id, one.outgoing) == (number.id, user.id, outgoing)

    return next((one.id for one in reversed(world.state.messages.values()) if fits(one)), "")


def _tell(world: World, number: Number, user: User, kind: str, variant: str, details: Details) -> Object:
    """Make the message and let it go its way."""
    message_id = ids.wamid(user.phone or user.id, world.random, outgoing=False)
    message = inbound.message(
        kind, variant, user=user, message_id=message_id, stamp=world.clock.stamp(), details=details
    )
    conversations.arrived(world, number, user, message)
    waba = world.state.wabas[number.waba_id]
    told = world.webhooks.publish(waba, number, "messages", inbound.value(number, user, [message], variant))
    news = {"message_id": message_id, "user_id": user.id, "number": number.id, "type": message["type"]}
    world.tell({"kind": "inbound", **news, "text": details.text, "body": message})
    return {"message_id": message_id, "webhooks": told}


def _change(world: World, user: User, details: Details, *, phone: bool) -> None:
    """Give a user another id, and another phone if they change number; windows of the old one end with it."""
    users: dict[str, Any] = world.state.users
    new = msgspec.structs.replace(user, id=details.new_user_id, phone=details.new_phone if phone else user.phone)
    users[new.id] = new
    del users[user.id]
