"""What becomes of a message that was accepted: `sent`, `delivered`, `read`, `played` or `failed`, each a webhook.

Source: Meta's reference of the statuses webhook; how long each takes is a knob's to say.
"""

import hashlib
from typing import Any

from whatshooked.meta.items import digits
from whatshooked.simulator.account import templates
from whatshooked.simulator.messages import conversations, failures
from whatshooked.simulator.people import inbound
from whatshooked.simulator.world.knobs import Knobs
from whatshooked.simulator.world.model import Message, Number, State, User
from whatshooked.simulator.world.world import World

#: Simulated seconds from `read` to `played` of a voice message.
_PLAYED_AFTER = 0.5
#: Statuses of which the first one has a price, as `sent` has.
_ARRIVED = ("delivered", "read")
_CONVERSATION_SECONDS = 24 * 3600


def follow(world: World, number: Number, message: Message, *, failure: int = 0) -> None:
    """Let the statuses of an accepted message come; with `failure` it is `failed` with that code, and nothing else."""
    steps = plan(world.knobs, message, receipts=_receipts(world.state, message), failed=bool(failure))
    errors = [failures.error(failure)] if failure else None
    at_once = [step for step in steps if step[1] == "sent"] if world.knobs.status_first else []
    for _, status in at_once:
        emit(world, number, message, status)
    left = [step for step in steps if step not in at_once]
    if left:
        world.soon(_come(world, number, message, left, errors))


def plan(knobs: Knobs, message: Message, *, receipts: bool, failed: bool) -> list[tuple[float, str]]:
    """Return which statuses come, and after how many seconds; pure. A reaction is `sent` and nothing more."""
    if failed:
        return [(knobs.sent_after or 0.0, "failed")]
    after = {"sent": knobs.sent_after}
    if message.type != "reaction":
        after["delivered"] = knobs.delivered_after
        after["read"] = knobs.read_after if receipts else None
        if _voice(message) and after["read"] is not None:
            after["played"] = after["read"] + _PLAYED_AFTER
    return sorted(
        ((seconds, status) for status, seconds in after.items() if seconds is not None), key=lambda row: row[0]
    )


def emit(
    world: World, number: Number, message: Message, status: str, *, errors: list[dict[str, Any]] | None = None
) -> None:
    """Make one status now; in a group each participant has one, and all of them go in one webhook."""
    stamp, failed = world.clock.stamp(), status == "failed"
    reached = _reached(world, number, message, status)
    extra = {"errors": errors or [failures.error(131000)]} if failed else _extra(world, number, message, status)
    values = [value(number, message, user, status, stamp, **extra) for user in reached]
    message.statuses.append(status)
    world.webhooks.publish(world.state.wabas[number.waba_id], number, "messages", _together(values))
    codes = [error.get("code") for error in extra.get("errors", ())]
    world.tell({"kind": "status", "message_id": message.id, "status": status, "codes": codes})


def value(
    number: Number,
    message: Message,
    user: User | None,
    status: str,
    stamp: str,
    *,
    errors: list[dict[str, Any]] | None = None,
    pricing: dict[str, Any] | None = None,
    conversation: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the value of one status; `user` is None for a group as a whole. Pure."""
    row: dict[str, Any] = {"id": message.id, "status": status, "timestamp": stamp} | _whom(message, user, status)
    beside = {"conversation": conversation, "pricing": pricing, "errors": errors}
    row |= {name: told for name, told in beside.items() if told}
    if message.callback_data:
        row["biz_opaque_callback_data"] = message.callback_data
    contacts = {"contacts": [inbound.contact(user)]} if user is not None and status != "failed" else {}
    return inbound.envelope(number) | contacts | {"statuses": [row]}


def _whom(message: Message, user: User | None, status: str) -> dict[str, str]:
    """Return the keys that say whom a status is about; what the business may not see is absent."""
    if message.group_id:
        group = {"recipient_id": message.group_id, "recipient_type": "group"}
        shown = {"recipient_participant_id": user.phone, "recipient_participant_user_id": user.id} if user else {}
        return group | {name: told for name, told in shown.items() if told}
    dialled = digits(str(message.body.get("to") or ""))
    phone = (user.phone if user else "") or dialled
    hidden = user is None or (status == "failed" and dialled)
    return ({"recipient_id": phone} if phone else {}) | (
        {} if user is None or hidden else {"recipient_user_id": user.id}
    )


def pricing_of(category: str, *, group: bool) -> dict[str, Any]:
    """Return `pricing` of a message; category `service` is what is no template, and free. Pure."""
    service = category == "service"
    free = "free_group_customer_service" if group else "free_customer_service"
    return {
        "billable": not service,
        "pricing_model": "PMP",
        "type": free if service else "regular",
        "category": f"group_{category}" if group else category,
    }


def _extra(world: World, number: Number, message: Message, status: str) -> dict[str, Any]:
    """Return `pricing` and `conversation`, as far as this status has them."""
    category = _category(world.state, number, message)
    first = status in _ARRIVED and not set(_ARRIVED) & set(message.statuses)
    if not (status == "sent" or first):
        return {}
    found = {"pricing": pricing_of(category, group=bool(message.group_id))}
    if world.knobs.conversation:
        found["conversation"] = _conversation(number, message, category, status, int(world.clock.now()))
    return found


def _conversation(number: Number, message: Message, category: str, status: str, now: int) -> dict[str, Any]:
    name = f"{number.id}/{message.group_id or message.user_id}/{category}"
    found = {"id": hashlib.sha256(name.encode()).hexdigest()[:32], "origin": {"type": category}}
    return found | ({"expiration_timestamp": str(now + _CONVERSATION_SECONDS)} if status == "sent" else {})


def _category(state: State, number: Number, message: Message) -> str:
    if message.type != "template":
        return "service"
    sent = message.body["template"]
    found = templates.find(state, number.waba_id, sent["name"], sent["language"]["code"])
    return found[0].category.lower() if found else "utility"


def _reached(world: World, number: Number, message: Message, status: str) -> list[User | None]:
    """Return whom a status is about: of a group everybody, unless it is about the group as a whole."""
    if not message.group_id:
        return [world.state.users.get(message.user_id)]
    if status not in (*_ARRIVED, "played"):
        return [None]
    return [*conversations.participants(world, number, message.group_id)] or [None]


def _receipts(state: State, message: Message) -> bool:
    user = state.users.get(message.user_id)
    return user is None or user.receipts


def _voice(message: Message) -> bool:
    return message.type == "audio" and message.body["audio"].get("voice") in (True, "true")


def _together(values: list[dict[str, Any]]) -> dict[str, Any]:
    """Return values of one number as one."""
    joined = dict(values[0])
    for name in ("contacts", "statuses"):
        rows = [row for one in values for row in one.get(name, [])]
        joined |= {name: rows} if rows else {}
    return joined


async def _come(
    world: World,
    number: Number,
    message: Message,
    steps: list[tuple[float, str]],
    errors: list[dict[str, Any]] | None,
) -> None:
    """Make each status at its time, reckoned from now: a clock that is set forward brings all that are due."""
    start = world.clock.now()
    for seconds, status in steps:
        await world.clock.sleep(start + seconds - world.clock.now())
        emit(world, number, message, status, errors=errors)
