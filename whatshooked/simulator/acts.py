"""`/_sim/` too: what befalls a world on command: somebody writes, a status comes, a template is decided on."""

from typing import Any

from litestar import Request, post
from litestar.params import FromPath, JSONBody
from msgspec import Struct

from whatshooked.simulator.account import templates
from whatshooked.simulator.fields import fields
from whatshooked.simulator.media import store as media
from whatshooked.simulator.messages import failures, statuses
from whatshooked.simulator.people.arrivals import arrive
from whatshooked.simulator.people.details import Arrival
from whatshooked.simulator.world.model import Media, MediaFault, Number
from whatshooked.simulator.world.world import World

_Ask = Request[Any, Any, Any]


class StatusAct(Struct, kw_only=True, forbid_unknown_fields=True):
    """A status to make; `code` is that of the error of a `failed` one."""

    message_id: str
    status: str
    code: int = 131000


class Notice(Struct, kw_only=True, forbid_unknown_fields=True):
    """A webhook of any field; without `value` a plausible one, of the field's usual event or the one named."""

    field: str
    value: dict[str, Any] | None = None
    event: str = ""
    #: The phone_number_id that it is about, by default the first one.
    number: str = ""


class Decision(Struct, kw_only=True, forbid_unknown_fields=True):
    """What befalls a template: APPROVED, REJECTED, PAUSED ..., and why."""

    status: str
    reason: str = ""


class NewMedia(Struct, kw_only=True, forbid_unknown_fields=True):
    """A file that a user will send; `content` is base64 in JSON."""

    mime_type: str
    content: bytes
    filename: str = ""
    number: str = ""


class Misbehaviour(Struct, kw_only=True, forbid_unknown_fields=True):
    """How the next downloads of a file misbehave; `times` 0 = all of them."""

    fault: MediaFault
    times: int = 0


@post("/inbound", status_code=200)
async def inbound(request: _Ask, data: JSONBody[Arrival]) -> dict[str, Any]:
    """Let somebody write to a number."""
    return arrive(request.app.state.world, data)


@post("/status", status_code=200)
async def status(request: _Ask, data: JSONBody[StatusAct]) -> dict[str, bool]:
    """Make a status of a message of the business's now, whatever it had before."""
    world: World = request.app.state.world
    message = world.state.messages.get(data.message_id)
    if message is None or not message.outgoing:
        raise ValueError(f"the business sent no message {data.message_id!a}: see /_sim/messages")
    errors = [failures.error(data.code)] if data.status == "failed" else None
    statuses.emit(world, world.state.numbers[message.number_id], message, data.status, errors=errors)
    return {"success": True}


@post("/notify", status_code=200)
async def notify(request: _Ask, data: JSONBody[Notice]) -> dict[str, int]:
    """Send a webhook of a field; return how many apps want it: with 0 nothing arrives."""
    world: World = request.app.state.world
    number = _number(world, data.number)
    waba = world.state.wabas[number.waba_id]
    value = data.value
    if value is None:
        value = fields.value(data.field, number, waba, world.clock.stamp(), data.event)
    return {"webhooks": world.webhooks.publish(waba, number, data.field, value)}


@post("/templates/{template_id:str}", status_code=200)
async def decide(request: _Ask, template_id: FromPath[str], data: JSONBody[Decision]) -> dict[str, bool]:
    """Decide on a template, and tell the apps."""
    world: World = request.app.state.world
    template = world.state.templates.get(template_id)
    if template is None:
        raise ValueError(f"there is no template {template_id!a}; there are {_listed(world.state.templates)}")
    templates.decide(world, template, data.status, data.reason)
    return {"success": True}


@post("/media", status_code=200)
async def add_media(request: _Ask, data: JSONBody[NewMedia]) -> dict[str, str]:
    """Keep a file as one that a user sent; return its id."""
    world: World = request.app.state.world
    number = _number(world, data.number)
    return {"id": media.store(world, number, data.mime_type, data.content, filename=data.filename, inbound=True).id}


@post("/media/{media_id:str}", status_code=200)
async def spoil(request: _Ask, media_id: FromPath[str], data: JSONBody[Misbehaviour]) -> dict[str, bool]:
    """Let the downloads of a file misbehave."""
    world: World = request.app.state.world
    found: Media | None = world.state.media.get(media_id)
    if found is None:
        raise ValueError(f"there is no file {media_id!a}; there are {_listed(world.state.media)}")
    found.fault, found.faults_left = data.fault, data.times
    return {"success": True}


def _number(world: World, number_id: str) -> Number:
    """Return the number of an id, by default the first; raises ValueError."""
    number = world.state.numbers.get(number_id or next(iter(world.state.numbers), ""))
    if number is None:
        raise ValueError(f"there is no number {number_id!a}; there are {_listed(world.state.numbers)}")
    return number


def _listed(table: dict[str, Any]) -> str:
    return ", ".join(table) or "none"


HANDLERS = (inbound, status, notify, decide, add_media, spoil)
