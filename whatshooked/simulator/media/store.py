"""Media: upload, look-up and deletion; what a webhook says of a file, and the URLs under which its bytes lie.

Source: Meta's media reference; that hashes are hex here and base64 in webhooks was seen in real traffic.
"""

import base64
import hashlib
from typing import Any
from urllib.parse import urlencode

from whatshooked.simulator.graph import refusals
from whatshooked.simulator.graph.call import Call, Routes, Upload
from whatshooked.simulator.media.filetypes import TYPES, kind_of, most_bytes
from whatshooked.simulator.world.model import MESSAGING, Media, Number
from whatshooked.simulator.world.world import World

#: Path of files; a place follows.
FOLDER = "/_files/whatsapp_business/"
#: Seconds for which a URL is good.
URL_LIFE = 300.0
#: Seconds for which an id is good: of an upload, and of what a user sent.
UPLOADED_LIFE, INBOUND_LIFE = 30 * 86_400.0, 7 * 86_400.0


def store(world: World, number: Number, mime_type: str, content: bytes, *, filename: str = "", inbound: bool) -> Media:
    """Keep a file of a number, uploaded by the business or sent by a user; dead ones are forgotten meanwhile."""
    now = world.clock.now()
    for dead in [one.id for one in world.state.media.values() if one.dies_at <= now]:
        del world.state.media[dead]
    media = Media(
        id=world.new_id("media"),
        number_id=number.id,
        mime_type=mime_type,
        content=content,
        filename=filename,
        dies_at=now + (INBOUND_LIFE if inbound else UPLOADED_LIFE),
    )
    world.state.media[media.id] = media
    return media


def usable(world: World, number: Number, media_id: str) -> bool:
    """Return whether a number may send a file: its id is good, and bound to this number."""
    media = world.state.media.get(media_id)
    return media is not None and media.number_id == number.id and media.dies_at > world.clock.now()


def webhook_object(world: World, media: Media) -> dict[str, Any]:
    """Return what the webhook of any inbound message says of its file; captions and names are for the caller to add."""
    found: dict[str, Any] = {
        "mime_type": media.mime_type,
        "sha256": base64.b64encode(hashlib.sha256(media.content).digest()).decode(),
        "id": media.id,
    }
    if world.knobs.media_url:
        found["url"] = issue(world, media, source="webhook")
    return found


def issue(world: World, media: Media, place: str = "attachments", *, base: str = "", source: str = "") -> str:
    """Return a new URL of a file, good for five minutes; `base` is where we are reached, `source` who asked."""
    now = world.clock.now()
    dies, secret = now + URL_LIFE, world.token_hex(24)
    media.urls = {name: end for name, end in media.urls.items() if end > now} | {f"{place}/{secret}": dies}
    query = {"mid": media.id} | ({"source": source} if source else {}) | {"ext": str(int(dies)), "hash": secret}
    return f"{base or world.address}{FOLDER}{place}/?{urlencode(query)}"


async def _look_up(call: Call) -> dict[str, Any]:
    media = _living(call)
    size = len(media.content)
    return {
        "messaging_product": "whatsapp",
        "url": issue(call.world, media),
        "mime_type": media.mime_type,
        "sha256": hashlib.sha256(media.content).hexdigest(),
        "file_size": str(size) if call.world.knobs.file_size_text else size,
        "id": media.id,
    }


async def _delete(call: Call) -> dict[str, Any]:
    del call.world.state.media[_living(call).id]
    return {"success": True}


async def _upload(call: Call) -> dict[str, Any]:
    call.need_product()
    call.ignored({"messaging_product", "type", "file"})
    if call.upload is None:
        raise refusals.parameter("The parameter file is required.")
    _need_good(call.upload, str(call.value("type") or call.upload.mime_type))
    upload = call.upload
    media = store(call.world, call.node, upload.mime_type, upload.content, filename=upload.filename, inbound=False)
    return {"id": media.id}


def _living(call: Call) -> Media:
    """Return the file of a call; raises Refusal when its life is over or another number's was asked for."""
    call.ignored({"phone_number_id"})
    media: Media = call.node
    if media.dies_at <= call.world.clock.now():
        raise refusals.not_found(media.id, call.method)
    if call.value("phone_number_id") not in (None, "", media.number_id):
        raise refusals.parameter("Invalid parameter", "The media does not belong to this phone_number_id.")
    return media


def _need_good(upload: Upload, declared: str) -> None:
    """Raise Refusal for a type that Meta does not take, of the part or as `type` declares it, or too many bytes."""
    kind = kind_of(upload.mime_type)
    strange = next((one for one in (upload.mime_type, declared) if kind_of(one) is None), None)
    if kind is None or strange is not None:
        taken = ", ".join(TYPES)
        raise refusals.parameter(
            f"Param file must be a file with one of the following types: {taken}. "
            f"Received file of type '{strange or 'application/octet-stream'}'."
        )
    size, most = len(upload.content), most_bytes(kind, upload.content)
    if not 0 < size <= most:
        raise refusals.parameter("Invalid parameter", f"The file has {size} bytes; {kind} may have 1 to {most}.")


ROUTES: Routes = {
    ("GET", Media, ""): (MESSAGING, _look_up),
    ("DELETE", Media, ""): (MESSAGING, _delete),
    ("POST", Number, "media"): (MESSAGING, _upload),
}
