"""The messages' API: send one, see what became of it, and decide about those of which nobody knows."""

import re
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Controller, Response, get, post
from litestar.datastructures import State
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, PathParameter, QueryParameter, RawBody

from whatshooked import logs, metrics
from whatshooked.config import Config
from whatshooked.errors import OutboxFull, SendFault, StreamUnavailable
from whatshooked.meta.scan import REFUSALS
from whatshooked.meta.send import prepare
from whatshooked.stream import messages, outbox, submit
from whatshooked.stream.messages import MessageView, Owned, Wanted
from whatshooked.stream.outbox import FINISHED, Decision, Record
from whatshooked.stream.submit import Submitted
from whatshooked.stream.views import RefusedView, refused_view
from whatshooked.web.auth import AnyRequest, actor
from whatshooked.web.faults import Fault, unavailable
from whatshooked.web.files import check_files
from whatshooked.web.gateway import Gateway

log = logs.get("outbox")

#: Bytes of a request; a message has 64 KB at most when it is written without spaces and escapes.
LARGEST = 512 * 1024
#: Seconds that a request may wait for Meta's answer.
LONGEST_WAIT = 30

AccountId = Annotated[str, QueryParameter(description="the account; may be left out when there is only one")]
Wait = Annotated[float, QueryParameter(ge=0, le=LONGEST_WAIT, description="seconds to wait for Meta's own answer")]
Key = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        description="1 to 255 printable characters: for a day the same request with it is the same message",
    ),
]
MessageId = Annotated[str, PathParameter(description="our id of the message")]
OfAccount = Annotated[str, QueryParameter(name="account_id", description="of this account alone")]
OfState = Annotated[outbox.State | None, QueryParameter(name="state", description="in this state alone")]
To = Annotated[str, QueryParameter(description="to this phone number, user id or group id alone")]
OfHook = Annotated[str, QueryParameter(description="of this hook alone")]
Since = Annotated[datetime | None, QueryParameter(description="created at this time or later")]
Until = Annotated[datetime | None, QueryParameter(description="created before this time")]
After = Annotated[str, QueryParameter(description="`next` of the page before")]
Limit = Annotated[int, QueryParameter(ge=1, le=messages.MOST, description="messages of one page")]

_key = re.compile(r"[\x20-\x7e]{1,255}")
#: What to do when it is not known whether the message was taken.
_AGAIN = "ask again with the same Idempotency-Key: the message is sent once"
_LOOK_FIRST = (
    "the message may have been taken all the same: look at GET /api/messages before you ask again;"
    " with an Idempotency-Key asking again is safe"
)

#: What a full outbox answers, by its bound: status, hint, and seconds after which it may be worth while to ask again.
_FULL = {
    "line": (429, "Meta takes one message in 6 seconds to the same recipient: send it less, or later", 60),
    "account": (429, "GET /api/messages shows how many wait, and in held what keeps them back", 60),
    "memory": (503, "give Redis more memory, or wait until it has drained", 10),
}


class Taken(msgspec.Struct):
    """The message is in the outbox; `id` is ours."""

    id: str
    state: outbox.State


class MessagePage(msgspec.Struct):
    """A page of messages; `next` goes into `after`, null on the last page. `held` says why an account sends nothing."""

    messages: list[MessageView]
    next: str | None
    counts: dict[str, int]
    held: dict[str, str]


class RefusedPage(msgspec.Struct):
    """Replies of hooks that nobody sends."""

    refused: list[RefusedView]


_ANSWERS = {
    200: ResponseSpec(MessageView, generate_examples=False, description="Meta has answered, or will not any more"),
    202: ResponseSpec(Taken, generate_examples=False, description="It is in the outbox, and on its way"),
}


class MessagesController(Controller):
    """`/api/send` and `/api/messages`."""

    tags = ("messages",)

    @post("/send", status_code=202, summary="Send a text", responses=_ANSWERS, request_max_body_size=LARGEST)
    async def send_text(
        self, state: State, body: RawBody, account_id: AccountId = "", wait: Wait = 0.0, key: Key = None
    ) -> Response[Any]:
        """Send `{"account_id", "to", "text"}`; every other kind that `/api/messages` takes may stand here as well."""
        return await _sent(state.gateway, body, account_id, wait, key)

    @post(
        "/messages",
        status_code=202,
        summary="Send a message of any kind",
        responses=_ANSWERS,
        request_max_body_size=LARGEST,
    )
    async def send(
        self, state: State, body: RawBody, account_id: AccountId = "", wait: Wait = 0.0, key: Key = None
    ) -> Response[Any]:
        """Send what Meta's messages endpoint takes, as it stands in Meta's documentation."""
        return await _sent(state.gateway, body, account_id, wait, key)

    @get("/messages", summary="List messages, newest first")
    async def list_messages(
        self,
        state: State,
        account_id: OfAccount = "",
        in_state: OfState = None,
        to: To = "",
        since: Since = None,
        until: Until = None,
        after: After = "",
        limit: Limit = 100,
    ) -> MessagePage:
        """Return a page of messages, how many there are in each state, and which accounts send nothing now."""
        gateway: Gateway = state.gateway
        account_ids = _accounts(gateway.config, account_id)
        place = messages.place_of(after) if after else None
        if after and place is None:
            raise Fault(400, "bad_place", "after is no place in the list", "take it from next of the page before")
        wanted = Wanted(
            states=(in_state,) if in_state else (),
            recipients=messages.recipients(to, gateway.config.server.default_country_code) if to else frozenset(),
            since=messages.unix_ms(since) if since else 0,
            until=messages.unix_ms(until) if until else -1,
            after=place,
            limit=limit,
        )
        found, following = await messages.listing(gateway.messages, account_ids, wanted)
        counts, held = await messages.counted(gateway.messages, account_ids)
        shown = [messages.view(one) for one in found]
        return MessagePage(shown, messages.cursor(following) if following else None, counts, held)

    @get("/messages/refused", summary="List replies of hooks that nobody sends, newest first")
    async def list_refused(self, state: State, hook_id: OfHook = "", limit: Limit = 100) -> RefusedPage:
        """Return what hooks' answers asked to send and could not be used, and why; the newest some hundred are kept."""
        gateway: Gateway = state.gateway
        return RefusedPage([refused_view(one) for one in await gateway.refused.newest(limit, hook_id=hook_id)])

    @get("/messages/{message_id:str}", summary="Show what became of a message")
    async def show(self, state: State, message_id: MessageId, account_id: OfAccount = "") -> MessageView:
        """Return a message, also of a hook's reply."""
        return messages.view(await _found(state.gateway, message_id, account_id))

    @post("/messages/{message_id:str}/resend", status_code=200, summary="Send an unknown or failed message once more")
    async def resend(
        self, request: AnyRequest, state: State, message_id: MessageId, account_id: OfAccount = ""
    ) -> MessageView:
        """Put it at the end of its recipient's line; an unknown one may reach the customer a second time."""
        return await _decided(state.gateway, message_id, account_id, "resend", actor(request))

    @post("/messages/{message_id:str}/drop", status_code=200, summary="Give an unknown message up")
    async def drop(
        self, request: AnyRequest, state: State, message_id: MessageId, account_id: OfAccount = ""
    ) -> MessageView:
        """Settle it as failed."""
        return await _decided(state.gateway, message_id, account_id, "drop", actor(request))


async def _sent(gateway: Gateway, body: bytes, account_id: str, wait: float, key: str | None) -> Response[Any]:
    """Answer a request to send; raises Fault, SendFault and StreamUnavailable."""
    if key is not None and not _key.fullmatch(key):
        raise Fault(400, "bad_key", "the Idempotency-Key is unusable", "use 1 to 255 printable ASCII characters")
    request = _decoded(body)
    sender = _sender(gateway.config, account_id, request)
    code = gateway.config.server.default_country_code
    try:
        outgoing = prepare(request, country_code=code)
        await check_files(gateway, sender, outgoing.body, key)
        found = await submit.put(gateway.outbox, sender, outgoing, known=key or "")
    except OutboxFull as error:
        raise _full(error, sender) from error
    except StreamUnavailable as error:
        raise unavailable(error, _AGAIN if key else _LOOK_FIRST) from error
    if not found.same:
        raise Fault(409, "key_reused", "another message was sent with this Idempotency-Key", "use a new key")
    log.debug("Message taken", account_id=sender, message_id=found.id, new=found.new)
    return _answer(sender, found, await _answered(gateway, sender, found, wait))


def _full(error: OutboxFull, account_id: str) -> Fault:
    """Count a message that found no room; returns what is said to who asked: it was not taken."""
    metrics.OUTBOX_REFUSED.labels(account_id, error.bound).inc()
    log.seldom("warn", "Message not taken", account_id=account_id, error=str(error))
    status, hint, seconds = _FULL[error.bound]
    return Fault(status, f"{error.bound}_full", str(error), hint, {"Retry-After": str(seconds)})


async def _answered(gateway: Gateway, account_id: str, found: Submitted, wait: float) -> Record | None:
    """Return the message as it is after the wait, None when there is nothing to say but that it was taken."""
    if found.new and not wait:
        return None
    try:
        return await submit.answered(gateway.outbox, account_id, found.id, wait)
    except StreamUnavailable as error:
        refused = unavailable(error, _AGAIN)
        if found.new:
            return None  # it is in the outbox: a 503 would say that it may not be
        raise refused from error


def _answer(account_id: str, found: Submitted, record: Record | None) -> Response[Any]:
    headers = {} if found.new else {"Idempotency-Replayed": "true"}
    if record is not None and record.state in FINISHED:
        return Response(messages.view(Owned(account_id, record)), status_code=200, headers=headers)
    return Response(Taken(found.id, record.state if record else "new"), status_code=202, headers=headers)


def _decoded(body: bytes) -> Any:
    """Return a request's JSON; raises Fault 400."""
    try:
        return msgspec.json.decode(body)
    except REFUSALS as error:
        raise Fault(400, "not_json", "the body is no JSON", str(error)) from error


def _sender(config: Config, by_address: str, request: Any) -> str:
    """Return the account that sends; raises Fault 404 and SendFault."""
    by_body = (request.get("account_id") if isinstance(request, dict) else None) or ""
    if not isinstance(by_body, str):
        raise SendFault(["account_id: expected a string"])
    if by_address and by_body and by_address != by_body:
        raise SendFault(["account_id: another one than in the address"])
    able = _accounts(config, by_address or by_body)
    if len(able) != 1:
        raise SendFault([f"account_id: missing, there is {', '.join(able) or 'no business-api account'}"])
    return able[0]


def _accounts(config: Config, named: str) -> list[str]:
    """Return the account that is named, else all that can send; raises Fault 404, and SendFault when it cannot."""
    able = [account.id for account in config.whatsapp if account.business_api is not None]
    if not named or named in able:
        return [named] if named else able
    if named in {account.id for account in config.whatsapp}:
        raise SendFault(["account_id: expected an account of the type business-api"])
    raise Fault(404, "unknown_account", "no account of this id is configured", f"there is {', '.join(able) or 'none'}")


async def _found(gateway: Gateway, message_id: str, account_id: str) -> Owned:
    """Return a message; raises Fault 404."""
    found = await messages.find(gateway.messages, _accounts(gateway.config, account_id), message_id)
    if found is None:
        raise Fault(
            404, "not_found", "no message of this id", "it was forgotten a week after it was made, or never was"
        )
    return found


async def _decided(gateway: Gateway, message_id: str, account_id: str, decision: Decision, who: str) -> MessageView:
    """Do what an operator says, and show the message as it is then; raises Fault 404 and 409."""
    found = await _found(gateway, message_id, account_id)
    done, now = await gateway.messages.decide(found.account_id, found.record, decision, actor=who)
    if not done:
        may = "failed or unknown" if decision == "resend" else "unknown"
        raise Fault(409, "not_open", f"the message is {now or 'forgotten'}", f"{decision} is for what is {may}")
    log.info("Message decided by hand", account_id=found.account_id, message_id=message_id, decision=decision)
    return messages.view(await _found(gateway, message_id, found.account_id))
