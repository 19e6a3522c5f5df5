"""Sends through the simulator, and users who write first so that they may be sent anything."""

from typing import Any

from tests.simulated import Meta
from whatshooked.simulator.messages import conversations
from whatshooked.simulator.people import inbound
from whatshooked.simulator.world import ids
from whatshooked.simulator.world.model import Media, Number, Template, User

TEXT: dict[str, Any] = {"messaging_product": "whatsapp", "type": "text", "text": {"body": "hi"}}
#: The first user's phone, as somebody might write it.
ANA = "+1 (555) 010-0002"


def arrive(sim: Meta, user: User, *, number: Number | None = None, **more: Any) -> str:
    """Let a user write, which opens the window; returns the message's id."""
    message_id = ids.wamid(user.phone or user.id, sim.world.random, outgoing=False)
    message = inbound.message("text", user=user, message_id=message_id, stamp=sim.world.clock.stamp()) | more
    conversations.arrived(sim.world, number or sim.number, user, message)
    return message_id


async def send(sim: Meta, **more: Any) -> dict[str, Any]:
    """Send a text to Ana, or what `more` says; returns Graph's answer."""
    answer = await sim.ask("POST", f"{sim.number.id}/messages", json=TEXT | {"to": ANA} | more)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def sent(sim: Meta, **more: Any) -> str:
    """Send, and return the message's id."""
    return str((await send(sim, **more))["messages"][0]["id"])


async def refused(sim: Meta, **more: Any) -> tuple[int, int, int]:
    """Send what must be refused; returns HTTP status, code and subcode."""
    body = TEXT | {"to": ANA} | more
    status, error = await sim.refused("POST", f"{sim.number.id}/messages", json=body)
    assert error["fbtrace_id"]
    assert error["message"].startswith(f"(#{error['code']}) ")
    return status, error["code"], error.get("error_subcode", 0)


def made(sim: Meta, name: str, *components: dict[str, Any], **more: Any) -> None:
    """Put an approved template of the WABA into the world."""
    kept = {"id": sim.world.new_id("template"), "waba_id": sim.waba.id, "language": "en", "category": "UTILITY"}
    template = Template(**kept | {"name": name, "components": list(components)} | more)
    sim.state.templates[template.id] = template


def named(name: str, *components: dict[str, Any], language: str = "en") -> dict[str, Any]:
    """What a send of a template holds."""
    return {"type": "template", "template": {"name": name, "language": {"code": language}, "components": components}}


def words(*texts: str, kind: str = "body", **more: Any) -> dict[str, Any]:
    """A component with texts."""
    return {"type": kind, "parameters": [{"type": "text", "text": text} for text in texts]} | more


def file(sim: Meta, name: str, mime_type: str, *, number_id: str = "", life: float = 3600) -> None:
    """Put a file of a number, by default the world's own, into the world."""
    dies, owner = sim.world.clock.now() + life, number_id or sim.number.id
    sim.state.media[name] = Media(id=name, number_id=owner, mime_type=mime_type, content=b"x", dies_at=dies)
