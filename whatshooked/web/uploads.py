"""Takes files that messages will send: stored as those that came in, and uploaded to Meta with the first message."""

import secrets
from typing import Annotated, Any

import msgspec
from litestar import Request, post
from litestar.datastructures import State
from litestar.params import PathParameter, QueryParameter

from whatshooked.errors import StoreUnavailable
from whatshooked.media import names
from whatshooked.media.store import About
from whatshooked.meta import attachment
from whatshooked.web.faults import Fault
from whatshooked.web.gateway import Gateway

AccountId = Annotated[str, PathParameter(description="whatsapp[].id")]
Original = Annotated[
    str, QueryParameter(name="filename", description="its name for people, whose ending tells the type")
]

_PLAIN = "send the file as it is: curl --data-binary @FILE"


class Stored(msgspec.Struct):
    """A file in the store; `filename` goes into a message as `stored`."""

    filename: str
    mime_type: str
    sha256: str
    size: int


@post(
    "/media/{account_id:str}",
    status_code=201,
    tags=["files"],
    summary="Store a file that messages will send; the body is the file, Content-Type its type",
    request_max_body_size=None,
)
async def keep(
    request: Request[Any, Any, State], state: State, account_id: AccountId, original: Original = ""
) -> Stored:
    """Keep the body as a file of the account."""
    gateway: Gateway = state.gateway
    known = [account.id for account in gateway.config.whatsapp]
    if account_id not in known:
        hint = f"there is {', '.join(known) or 'none'}"
        raise Fault(404, "unknown_account", "no account of this id is configured", hint)
    if attachment.base_type(request.headers.get("content-type", "")).startswith("multipart/"):
        raise Fault(415, "not_a_file", "the body is a form, not the file itself", _PLAIN)
    most, mime_type = gateway.config.media.max_bytes, _type(request, original)
    try:
        async with gateway.store.part() as part:
            async for chunk in request.stream():
                if part.size + len(chunk) > most:
                    raise Fault(413, "too_large", f"a file has {most} bytes at most", "media.max_bytes of the config")
                await part.write(chunk)
            if not part.size:
                raise Fault(400, "no_file", "the body is empty", _PLAIN)
            sha256, size = part.digest(), part.size
            filename = names.filename(f"out.{secrets.token_hex(8)}", sha256, mime_type, original)
            await part.keep(account_id, filename, About(mime_type, original, sha256, size))
    except StoreUnavailable as error:
        raise Fault(503, "store_unavailable", str(error), "try again once that is mended") from error
    return Stored(filename, mime_type, sha256, size)


def _type(request: Request[Any, Any, State], original: str) -> str:
    """Return the file's type: as told, unless that is what a client says of anything."""
    told = names.sendable_type(request.headers.get("content-type", "").strip())
    if attachment.base_type(told) in (names.UNKNOWN_TYPE, "application/x-www-form-urlencoded"):
        return names.type_of(original)
    return told
