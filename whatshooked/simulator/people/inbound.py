"""What users write, as webhooks tell it: every type of message and every variant that Meta names.

`variant` is a name, or several joined by `+`: one of the kind's own (`voice`) and any of `VARIANTS` (`reply`,
`user_id_only`). Pure: who writes, when and under which id is the caller's to say.

Source: Meta's reference of the `messages` webhook, and bodies seen in public issues.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from whatshooked.simulator.people.details import CATALOG, PRODUCT, Details, Object, Who, error, quoted
from whatshooked.simulator.people.types import MAKERS
from whatshooked.simulator.world.model import Number, User

_PLAIN = Details()
_PARENT = "ENT.11815799212886844830"
_KEY_HASH = "DF2lS5v2W6x="
_GROUP = "Y2FwaV9ncm91cDoxNTU1MDEwMDAwMToxMjAzNjMwNDAwMDAwMDAx"

#: Kind -> its own variants, the usual one first.
KINDS: Mapping[str, tuple[str, ...]] = {kind: names for kind, (_, names) in MAKERS.items()}


def message(
    kind: str, variant: str = "", *, user: User, message_id: str, stamp: str, details: Details = _PLAIN
) -> Object:
    """Return a member of `messages`; `stamp` is unix seconds as text.

    Raises ValueError for a kind or variant that does not exist, and for a user without what the variant shows.
    """
    own, others = split(kind, variant)
    seen = shown(user, others)
    name = user.name or user.username or user.phone
    who = Who(name=name, phone=seen.phone, user_id=seen.id, message_id=message_id, stamp=stamp)
    found: Object = {"from": seen.phone} if seen.phone else {}
    found |= {"from_user_id": seen.id} if seen.id else {}
    found |= {"id": message_id, "timestamp": stamp} | MAKERS[kind][0](own, details, who)
    for name in others:
        found |= _BESIDE[name](details, who) if name in _BESIDE else {}
    return found


def value(number: Number, user: User | None, messages: Sequence[Object], variant: str = "") -> Object:
    """Return the value of a `messages` change; without `user`, and for system messages, it has no contacts."""
    names = _names(variant)
    found = envelope(number)
    system = bool(messages) and all(one.get("type") == "system" for one in messages)
    if user is not None and not system and "no_contacts" not in names:
        found["contacts"] = [contact(shown(user, names), names)]
    if messages:
        found["messages"] = list(messages)
    hollow = any(one.get("type") == "interactive" and "interactive" not in one for one in messages)
    if hollow or "value_errors" in names:
        found["errors"] = [error(131000, "Something went wrong", "Something went wrong.")]
    return found


def envelope(number: Number) -> Object:
    """Return what every value of a number begins with."""
    metadata = {"display_phone_number": number.phone, "phone_number_id": number.id}
    return {"messaging_product": "whatsapp", "metadata": metadata}


def contact(user: User, names: Sequence[str] = ()) -> Object:
    """Return a member of `contacts`: what is hidden is not there at all."""
    profile = {"name": user.name, "username": user.username}
    found: Object = {"profile": {key: told for key, told in profile.items() if told}}
    found |= {"wa_id": user.phone} if user.phone else {}
    found |= {"user_id": user.id} if user.id else {}
    found |= {"parent_user_id": _parent(user.id)} if "parent_user" in names else {}
    found |= {"identity_key_hash": _KEY_HASH} if "identity" in names else {}
    return found | ({"future_key": {"a": [1]}} if "unknown_field" in names else {})


def shown(user: User, names: Sequence[str]) -> User:
    """Return what a variant shows of a user; raises ValueError when the user does not have it."""
    if not user.phone and {"phone_only", "phone_and_user_id"} & set(names):
        raise ValueError(f"{user.name or user.id} shows no phone number; write from a user who has one")
    if "phone_only" in names:
        return msgspec.structs.replace(user, id="", username="")
    return msgspec.structs.replace(user, phone="") if "user_id_only" in names else user


def split(kind: str, variant: str) -> tuple[str, list[str]]:
    """Return the kind's own variant, its usual one by default, and the general ones; raises ValueError."""
    if kind not in KINDS:
        raise ValueError(f"there is no type {kind!a}; there are {', '.join(KINDS)}")
    names = _names(variant)
    own = [name for name in names if name in KINDS[kind]]
    strange = [name for name in names if name not in KINDS[kind] and name not in VARIANTS]
    if strange or len(own) > 1:
        what = f"no variant {strange[0]!a}" if strange else f"only one of {' and '.join(own)} at a time"
        raise ValueError(f"{kind} has {what}; there are {', '.join([*KINDS[kind], *VARIANTS])}")
    return own[0] if own else next(iter(KINDS[kind]), ""), [name for name in names if name not in own]


def _names(variant: str) -> list[str]:
    return [name for name in variant.split("+") if name]


def _parent(user_id: str) -> str:
    return f"{user_id[:2] or 'US'}.{_PARENT}"


def _referral(_: Details, __: Who) -> Object:
    ad = {
        "source_url": "https://example.com/ad",
        "source_id": "120200000000001",
        "source_type": "ad",
        "headline": "Two for one",
        "body": "Only this week",
        "media_type": "image",
        "image_url": "https://example.com/ad.jpg",
        "thumbnail_url": "https://example.com/ad-small.jpg",
        "ctwa_clid": "ARAkLkA8rmlFeiCktEJQ",
        "welcome_message": {"text": "Hi! How can we help?"},
    }
    return {"referral": ad}


def _referral_post(_: Details, __: Who) -> Object:
    post = {
        "source_url": "https://example.com/post",
        "source_id": "120200000000002",
        "source_type": "post",
        "body": "What our customers say",
        "media_type": "video",
        "video_url": "https://example.com/post.mp4",
        "thumbnail_url": "https://example.com/post.jpg",
    }
    return {"referral": post}


def _product_question(details: Details, who: Who) -> Object:
    product = {"catalog_id": CATALOG, "product_retailer_id": PRODUCT}
    return {"context": quoted(details, who)["context"] | {"referred_product": product}}


def _identity(_: Details, who: Who) -> Object:
    return {"identity": {"acknowledged": True, "created_timestamp": who.stamp, "hash": _KEY_HASH}}


#: General variant -> what it adds to a message.
_BESIDE: Mapping[str, Callable[[Details, Who], Object]] = {
    "group": lambda details, _: {"group_id": details.group or _GROUP},
    "reply": quoted,
    "forwarded": lambda _, __: {"context": {"forwarded": True}},
    "frequently_forwarded": lambda _, __: {"context": {"frequently_forwarded": True}},
    "product_question": _product_question,
    "referral": _referral,
    "referral_post": _referral_post,
    "identity": _identity,
    "parent_user": lambda _, who: {"from_parent_user_id": _parent(who.user_id)},
    "unknown_field": lambda _, __: {"future_key": {"a": [1, None, "x"]}},
}
#: Variants of any kind: whom the webhook shows, what stands beside the message, what the value lacks or adds.
VARIANTS: tuple[str, ...] = (
    "phone_and_user_id",
    "phone_only",
    "user_id_only",
    *_BESIDE,
    "no_contacts",
    "value_errors",
)


def listed() -> list[tuple[str, str]]:
    """Return every kind with each of its variants, then each general one on a text."""
    own = [(kind, name) for kind, names in KINDS.items() for name in names or ("",)]
    return [*own, *(("text", name) for name in VARIANTS)]
