"""pywa, a client for the Cloud API that nobody here wrote, with its base address pointed at the simulator.

Nothing else of it is changed: it sends, uploads, checks signatures and reads webhooks as it does with Meta.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx
from pywa.types.base_update import BaseUpdate, BaseUserUpdate
from pywa_async import handlers, utils
from pywa_async.client import WhatsApp
from pywa_async.types.account_update import AccountUpdate
from pywa_async.types.callback import (
    Button,
    CallbackButton,
    CallbackSelection,
    CallPermissionRequestButton,
    FlowButton,
    ImageCarouselCard,
    Section,
    SectionList,
    SectionRow,
    URLButton,
    VoiceCallButton,
)
from pywa_async.types.calls import CallConnect
from pywa_async.types.flows import FlowActionType, FlowCompletion
from pywa_async.types.message import DeletedMessage, EditedMessage, Message, OutgoingMessage
from pywa_async.types.others import Contact, MessageType, ProductsSection, Reaction
from pywa_async.types.sent_update import SentMessage
from pywa_async.types.system import PhoneNumberChange
from pywa_async.types.templates import (
    TemplateCategoryUpdate,
    TemplateComponentsUpdate,
    TemplateQualityUpdate,
    TemplateStatusUpdate,
)
from pywa_async.types.user_preferences import UserMarketingPreferences

from tests.receiver import Behaviour, Received, status
from tests.simulated import Meta
from whatshooked.simulator.media.samples import sample

#: The version that pywa asks for unless told otherwise.
VERSION = f"v{utils.Version.GRAPH_API}"
_HANDLERS = (
    handlers.MessageHandler,
    handlers.EditedMessageHandler,
    handlers.DeletedMessageHandler,
    handlers.OutgoingMessageHandler,
    handlers.CallbackButtonHandler,
    handlers.CallbackSelectionHandler,
    handlers.FlowCompletionHandler,
    handlers.CallPermissionUpdateHandler,
    handlers.CallConnectHandler,
    handlers.PhoneNumberChangeHandler,
    handlers.MessageStatusHandler,
    handlers.GroupMessageStatusesHandler,
    handlers.UserMarketingPreferencesHandler,
    handlers.TemplateStatusUpdateHandler,
    handlers.TemplateQualityUpdateHandler,
    handlers.TemplateCategoryUpdateHandler,
    handlers.TemplateComponentsUpdateHandler,
    handlers.AccountUpdateHandler,
    handlers.RawUpdateHandler,
)

T = TypeVar("T")


@dataclass
class Bot:
    """A user of pywa: `posted` are the bodies that it sent to the messages endpoint, `heard` what its handlers got."""

    wa: WhatsApp
    posted: list[dict[str, Any]] = field(default_factory=list)
    heard: list[Any] = field(default_factory=list)

    async def hears(self, kind: type[T], count: int = 1, *, timeout: float = 10.0) -> list[T]:
        """Return the updates of a kind, once they are at least `count`; raises TimeoutError."""
        async with asyncio.timeout(timeout):
            while len(found := [one for one in self.heard if isinstance(one, kind)]) < count:
                await asyncio.sleep(0.01)
        return found


def settings(sim: Meta) -> dict[str, Any]:
    """What a user of pywa tells it: nothing of a simulator is among it."""
    return {
        "phone_id": sim.number.id,
        "token": sim.token,
        "waba_id": sim.waba.id,
        "app_id": sim.app.id,
        "app_secret": sim.secret,
        "verify_token": sim.verify_token,
        "continue_handling": True,  # several handlers may see one update
    }


@contextlib.asynccontextmanager
async def connected(sim: Meta) -> AsyncIterator[Bot]:
    """Run pywa's asynchronous client against a simulated Meta, whose webhooks it gets; it ends with the block."""
    posted: list[dict[str, Any]] = []

    async def note(request: httpx.Request) -> None:
        if request.method == "POST" and request.url.path.endswith("/messages"):
            posted.append(json.loads(await request.aread()))

    async with httpx.AsyncClient(event_hooks={"request": [note]}, timeout=30, trust_env=False) as session:
        bot = Bot(WhatsApp(**settings(sim), session=session), posted)
        session.base_url = f"{sim.url}/{VERSION}"
        bot.wa.add_handlers(*(handler(lambda _, update: bot.heard.append(update)) for handler in _HANDLERS))
        sim.receiver.behave = callback(bot.wa)
        yield bot


def callback(wa: WhatsApp) -> Behaviour:
    """A web server that leaves webhooks to pywa, as its documentation shows for servers of one's own."""

    async def behave(request: Received, writer: asyncio.StreamWriter) -> None:
        if request.method == "GET":
            query = request.query
            text, code = await wa.webhook_challenge_handler(query.get(utils.HUB_VT), query.get(utils.HUB_CH))
        else:
            refused = await wa.webhook_update_validator(request.body, request.headers.get(utils.HUB_SIG.lower()))
            text, code = refused or await wa.webhook_update_handler(request.body)
        await status(code, (text or "").encode())(request, writer)

    return behave


@dataclass(frozen=True)
class Given:
    """What a send is about: its recipient, a message that was sent before, an uploaded image."""

    to: str
    about: str
    image: str


Send = Callable[[WhatsApp, Given], Awaitable[SentMessage]]
_THUMB, _YES = "\N{THUMBS UP SIGN}", {"choice": "yes", "text": "Yes"}
_buttons = [Button("Yes", "yes"), Button("No", "no")]
_rows = [SectionRow("Tea", "tea", "green or black"), SectionRow("Coffee", "coffee")]
_list = SectionList("Choose", [Section("Hot", _rows), Section("Cold", [SectionRow("Ice", "i")])])
_named = Contact.Name("Dana Weber", "Dana", last_name="Weber")
_card = Contact(
    name=_named,
    birthday="1990-12-31",
    phones=[Contact.Phone("+49 1512 0000007", "CELL", "4915120000007")],
    emails=[Contact.Email("dana@example.com", "WORK")],
    urls=[Contact.Url("https://example.com", "WORK")],
    addresses=[Contact.Address("Hauptstr. 1", "Berlin", "BE", "10117", "Germany", "de", "HOME")],
    org=Contact.Org("Example Ltd", "Sales", "Buyer"),
)
_flow = FlowButton("Sign up", "123", "token", FlowActionType.NAVIGATE, "START", {"name": "Ana"})
_cards = [
    ImageCarouselCard(image=f"https://example.com/{n}.jpg", buttons=URLButton("Open", "https://x.y")) for n in "ab"
]
_sections = [ProductsSection("New", ["sku-1", "sku-2"])]


def _file(kind: str) -> dict[str, Any]:
    """Return a file under its kind, and what pywa wants to know of it."""
    found = sample(kind)
    return {kind: found.content, "mime_type": found.mime_type}


#: A type of message and one way in which pywa sends it: all of its own ways are here.
SENDS: list[tuple[str, Send]] = [
    ("text", lambda wa, a: wa.send_message(a.to, "see https://example.com", preview_url=True, tracker="order-77")),
    ("text", lambda wa, a: wa.send_message(a.to, "an answer", reply_to_message_id=a.about, identity_key_hash="3A1F")),
    ("interactive", lambda wa, a: wa.send_message(a.to, "ok?", header="Head", footer="Foot", buttons=_buttons)),
    ("interactive", lambda wa, a: wa.send_message(a.to, "which?", header="Head", buttons=_list)),
    ("interactive", lambda wa, a: wa.send_message(a.to, "go", buttons=URLButton("Open", "https://example.com"))),
    ("interactive", lambda wa, a: wa.send_message(a.to, "fill in", buttons=_flow)),
    ("interactive", lambda wa, a: wa.send_message(a.to, "fill in", buttons=FlowButton("Go", flow_name="form"))),
    ("interactive", lambda wa, a: wa.send_message(a.to, "call us", buttons=VoiceCallButton("Call", 100))),
    ("interactive", lambda wa, a: wa.send_message(a.to, "may we?", buttons=CallPermissionRequestButton())),
    ("interactive", lambda wa, a: wa.send_image(a.to, a.image, caption="this one?", buttons=_buttons)),
    ("interactive", lambda wa, a: wa.request_location(a.to, "where are you?")),
    ("interactive", lambda wa, a: wa.request_contact_info(a.to, "who are you?")),
    ("interactive", lambda wa, a: wa.send_catalog(a.to, "all of it", "Foot", thumbnail_product_sku="sku-1")),
    ("interactive", lambda wa, a: wa.send_product(a.to, "700000000000001", "sku-1", "this", "Foot")),
    ("interactive", lambda wa, a: wa.send_products(a.to, "700000000000001", _sections, "Title", "these", "Foot")),
    ("interactive", lambda wa, a: wa.send_carousel(a.to, body="some", cards=[*_cards])),
    ("location", lambda wa, a: wa.send_location(a.to, 52.516275, 13.377704, "Gate", "Pariser Platz")),
    ("location", lambda wa, a: wa.send_location(a.to, -33.8, 151.2)),
    ("contacts", lambda wa, a: wa.send_contact(a.to, [_card, Contact(name=_named)])),
    ("reaction", lambda wa, a: wa.send_reaction(a.to, _THUMB, a.about)),
    ("reaction", lambda wa, a: wa.remove_reaction(a.to, a.about)),
    ("image", lambda wa, a: wa.send_image(a.to, a.image, caption="by its id")),
    ("image", lambda wa, a: wa.send_image(a.to, **_file("image"), caption="uploaded on the way")),
    ("image", lambda wa, a: wa.send_image(a.to, "https://example.com/a.jpg")),
    ("video", lambda wa, a: wa.send_video(a.to, **_file("video"), caption="moves")),
    ("audio", lambda wa, a: wa.send_audio(a.to, **_file("audio"))),
    ("audio", lambda wa, a: wa.send_voice(a.to, **_file("voice"))),
    ("sticker", lambda wa, a: wa.send_sticker(a.to, **_file("sticker"))),
    ("document", lambda wa, a: wa.send_document(a.to, **_file("document"), filename="offer.pdf", caption="ours")),
]

#: What a user writes (type, variant, more) -> what pywa makes of it: its own type, and values of it.
HEARD: list[tuple[str, str, dict[str, str], type[BaseUserUpdate], Callable[[Any], Any], Any]] = [
    ("text", "", {"text": "hello"}, Message, lambda one: (one.text, one.from_user.name), ("hello", "Ana Silva")),
    ("text", "user_id_only", {}, Message, lambda one: (one.from_user.wa_id, one.from_user.country_code), (None, "US")),
    ("text", "reply", {"about": "wamid.7"}, Message, lambda one: one.reply_to_message.id, "wamid.7"),
    ("text", "forwarded", {}, Message, lambda one: (one.forwarded, one.forwarded_many_times), (True, False)),
    ("text", "referral", {}, Message, lambda one: one.referral.source_type, "ad"),
    ("text", "group", {"group": "G1"}, Message, lambda one: one.chat.id, "G1"),
    (
        "location",
        "",
        {"place": "Gate"},
        Message,
        lambda one: (one.location.name, one.location.longitude),
        ("Gate", 13.377704),
    ),
    ("contacts", "", {"text": "Eva Kim"}, Message, lambda one: one.contacts[0].name.formatted_name, "Eva Kim"),
    ("reaction", "", {"about": "wamid.7"}, Message, lambda one: one.reaction, Reaction("wamid.7", _THUMB)),
    ("reaction", "removed", {"about": "wamid.7"}, Message, lambda one: one.reaction, Reaction("wamid.7")),
    ("order", "", {}, Message, lambda one: one.order.products[0].sku, "sku-4711"),
    ("unsupported", "gif", {}, Message, lambda one: (one.unsupported.type, one.error.code), ("gif", 131051)),
    ("interactive", "button_reply", _YES, CallbackButton, lambda one: (one.data, one.title), ("yes", "Yes")),
    ("interactive", "list_reply", _YES, CallbackSelection, lambda one: (one.data, one.title), ("yes", "Yes")),
    ("interactive", "nfm_reply", {}, FlowCompletion, lambda one: one.response["name"], "Ana"),
    ("button", "", _YES, CallbackButton, lambda one: (one.data, one.is_quick_reply), ("yes", True)),
    ("edit", "", {"text": "new"}, EditedMessage, lambda one: (one.type, one.message.text), (MessageType.TEXT, "new")),
    ("revoke", "", {"about": "wamid.7"}, DeletedMessage, lambda one: one.original_message_id, "wamid.7"),
    ("system", "user_changed_number", {"new_phone": "49177"}, PhoneNumberChange, lambda one: one.new_wa_id, "49177"),
]

#: A field of webhooks beside messages -> pywa's own type for it.
NEWS: dict[str, type[BaseUpdate]] = {
    "message_template_status_update": TemplateStatusUpdate,
    "message_template_quality_update": TemplateQualityUpdate,
    "message_template_components_update": TemplateComponentsUpdate,
    "template_category_update": TemplateCategoryUpdate,
    "account_update": AccountUpdate,
    "user_preferences": UserMarketingPreferences,
    "calls": CallConnect,
    "smb_message_echoes": OutgoingMessage,
}
