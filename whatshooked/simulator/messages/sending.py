"""`POST /{number}/messages`: a message is checked as Meta checks it and accepted, or a user's is marked as read.

The checks go from what the call alone shows to what the world knows: shape, number, recipient, files, template, window,
rates. Nothing is counted or kept of a message that was refused, but by the rates.
"""

from typing import Any

from whatshooked.meta import text
from whatshooked.meta.items import digits
from whatshooked.simulator.graph import refusals
from whatshooked.simulator.graph.call import Call, Routes
from whatshooked.simulator.media import store as media
from whatshooked.simulator.media.filetypes import kind_of
from whatshooked.simulator.messages import conversations, statuses, templated, validate
from whatshooked.simulator.messages.shapes import File
from whatshooked.simulator.world import ids
from whatshooked.simulator.world.model import MESSAGING, Message, Number, Template, User
from whatshooked.simulator.world.world import World

#: Codes with which a message fails after it was accepted: the window is closed; a reaction's target is none.
_CLOSED, _NO_TARGET = 131047, 131009
#: Who is written to in a group: nobody by name.
_NOBODY = User(id="")


async def _messages(call: Call) -> dict[str, Any]:
    call.need_product()
    body = validate.decoded(call.body)
    if "status" in body:
        return _mark_read(call, body)
    try:
        return await _send(call, body)
    except refusals.Refusal as refusal:
        news = {"code": refusal.code, "text": refusal.text.removeprefix(f"(#{refusal.code}) "), "body": body}
        call.world.tell({"kind": "refused", **news})
        raise


def _mark_read(call: Call, body: dict[str, Any]) -> dict[str, Any]:
    call.unknown += validate.read_mark(body).unknown
    conversations.mark_read(call.world, call.node, body["message_id"], typing=bool(body.get("typing_indicator")))
    return {"success": True}


async def _send(call: Call, body: dict[str, Any]) -> dict[str, Any]:
    world, number = call.world, call.node
    found = validate.outgoing(body)
    call.unknown += found.unknown
    _need_number(number)
    _need_recipient(world, number, body)
    _need_files(world, number, found.files)
    template = _template(world, number, body)
    user = _user(world, body)
    failure = _failure(world, number, user, body)
    world.limits.throughput(number, world.knobs.throttle_status)
    world.limits.pair(number, user.id or str(body["to"]), world.knobs.throttle_status)
    message = _accept(world, number, user, body, template)
    statuses.follow(world, number, message, failure=failure)
    if world.knobs.status_first:
        await world.webhooks.tried()
    return _answer(world, user, message)


def _need_number(number: Number) -> None:
    if not number.registered:
        raise refusals.message(133010, "Account not registered", "Register the number before sending with it.")
    if number.status == "BANNED":
        raise refusals.message(131031, "Account has been locked", "The account broke a policy.", status=403)


def _need_recipient(world: World, number: Number, body: dict[str, Any]) -> None:
    """Raise Refusal for a recipient that this number cannot write to: itself, or not on a test number's list."""
    if validate.to_group(body):
        return
    known = world.state.users.get(str(body.get("recipient", "")))
    phone = digits(str(body.get("to") or "")) or (known.phone if known else "")
    if phone == number.phone:
        raise refusals.message(131021, "Recipient cannot be sender", "The recipient is the sending number itself.")
    if number.account_mode == "SANDBOX" and phone not in map(digits, number.allow_list):
        details = "Add the recipient to the allowed list of this test number, then send again."
        raise refusals.message(131030, "Recipient phone number not in allowed list", details, subcode=2655007)


def _need_files(world: World, number: Number, files: list[File]) -> None:
    """Raise Refusal for a media id that is not this number's, has died, or is of another kind than the message."""
    for file in files:
        if not media.usable(world, number, file.id):
            raise refusals.parameter(f"Param {file.path} is not a valid media id of this number", file.id)
        mime_type = world.state.media[file.id].mime_type
        wrong = file.kind not in (kind_of(mime_type), "document")
        if wrong or (file.voice and not mime_type.startswith("audio/ogg")):
            what = "voice message" if file.voice else file.kind
            raise refusals.parameter(f"Param {file.path} is no {what}", f"It is of type {mime_type}.")


def _template(world: World, number: Number, body: dict[str, Any]) -> Template | None:
    if validate.kind_of(body) != "template":
        return None
    template = templated.fitting(world.state, number.waba_id, body["template"])
    if template.category == "AUTHENTICATION" and not body.get("to"):
        details = "Authentication templates need the recipient's phone number."
        raise refusals.message(131062, "Business-scoped user id not supported here", details)
    return template


def _user(world: World, body: dict[str, Any]) -> User:
    if validate.to_group(body):
        return _NOBODY
    return conversations.recipient(world, str(body.get("to") or ""), str(body.get("recipient") or ""))


def _failure(world: World, number: Number, user: User, body: dict[str, Any]) -> int:
    """Return the code with which a message will fail once it is accepted; raises Refusal 131047 if the knob says so."""
    kind = validate.kind_of(body)
    open_ = kind == "template" or conversations.is_open(world, number, user, group_id=_group(body))
    if not open_ and world.knobs.window == "sync":
        details = "More than 24 hours have passed since the recipient last wrote: only templates may be sent."
        raise refusals.message(_CLOSED, "Re-engagement message", details, subcode=2494010)
    if kind == "reaction" and not _is_target(world, number, body["reaction"]["message_id"]):
        return _NO_TARGET
    return world.knobs.fail_code or (0 if open_ else _CLOSED)


def _is_target(world: World, number: Number, message_id: str) -> bool:
    target = world.state.messages.get(message_id)
    young = target is not None and target.at > world.clock.now() - conversations.READABLE
    return target is not None and young and target.number_id == number.id and target.type != "reaction"


def _accept(world: World, number: Number, user: User, body: dict[str, Any], template: Template | None) -> Message:
    """Keep a message as sent, end the user's view of somebody typing, and tell whoever watches."""
    kind, group_id = validate.kind_of(body), _group(body)
    message = Message(
        id=ids.wamid(user.phone or group_id or user.id, world.random, outgoing=True),
        number_id=number.id,
        user_id=user.id,
        outgoing=True,
        at=world.clock.now(),
        type=kind,
        body=body,
        group_id=group_id,
        callback_data=body.get("biz_opaque_callback_data") or "",
    )
    conversations.remember(world, message)
    world.state.typing.pop(conversations.key(number, group_id or user.id), None)
    said = _said(body, template)
    news = {"message_id": message.id, "to": group_id or user.id, "type": kind, "text": said, "body": body}
    world.tell({"kind": "sent", **news})
    return message


def _said(body: dict[str, Any], template: Template | None) -> str:
    """Return what the user reads, as one text."""
    kind = validate.kind_of(body)
    if template is not None:
        return templated.rendered(template, body["template"])
    if kind == "interactive":
        held = body["interactive"].get("body")
        return str(held.get("text", "")) if isinstance(held, dict) else ""
    return text.of({"type": kind, kind: body[kind]})


def _group(body: dict[str, Any]) -> str:
    return str(body["to"]) if validate.to_group(body) else ""


def _answer(world: World, user: User, message: Message) -> dict[str, Any]:
    """Return Graph's answer: how the recipient was given, as whom WhatsApp knows it, and the message's id."""
    body, row = message.body, {"id": message.id}
    dialled, named = str(body.get("to") or ""), str(body.get("recipient") or "")
    contact = {"input": dialled or named}
    if message.group_id:
        row["group_id"] = message.group_id
    else:
        contact |= {"wa_id": user.phone or conversations.wa_id(world, dialled)} if dialled else {}
        contact |= {"user_id": user.id} if named else {}
    if message.type == "template":
        row["message_status"] = "accepted"
    return {"messaging_product": "whatsapp", "contacts": [contact], "messages": [row]}


ROUTES: Routes = {("POST", Number, "messages"): (MESSAGING, _messages)}
