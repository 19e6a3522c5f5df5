"""A client that nobody here wrote works through the simulator, only its base address redirected.

Where pywa and the simulator disagree, Meta's documentation has the last word; each such place is named where it shows.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pywa import client
from pywa.errors import (
    ExpiredAccessToken,
    PermissionDenied,
    RecipientCannotBeSender,
    ReEngagementMessage,
    ServiceUnavailable,
    TemplateNotExists,
    TemplateParamCountMismatch,
    WhatsAppError,
)
from pywa.types.base_update import RawUpdate
from pywa_async import handlers
from pywa_async.types import templates as t
from pywa_async.types.message import Message
from pywa_async.types.message_status import MessageStatus, MessageStatusType
from pywa_async.types.others import Industry, Pagination

from tests.pywa_client import HEARD, NEWS, SENDS, VERSION, Bot, Given, connected, settings
from tests.sends import arrive
from tests.simulated import Meta
from whatshooked.meta.send import prepare
from whatshooked.simulator.media.samples import sample
from whatshooked.simulator.people import inbound
from whatshooked.simulator.rules import Rule
from whatshooked.simulator.world.model import MANAGEMENT, MediaFault

#: An order that a template tells of: a header, a body and two kinds of buttons with something to fill in.
_head = t.HeaderText("Order {{number}}", number="4711")
_body = t.BodyText("Hello {{name}}, it comes on {{day}}.", name="Ana", day="Monday")
_stop = t.QuickReplyButton(text="Stop")
_track = t.URLButton(text="Track", url="https://example.com/{{1}}", example="https://example.com/4711")
ORDER = t.Template(
    name="order_update",
    category=t.TemplateCategory.UTILITY,
    language=t.TemplateLanguage.ENGLISH_US,
    parameter_format=t.ParamFormat.NAMED,
    components=[_head, _body, t.FooterText(text="Example Ltd"), t.Buttons(buttons=[_stop, _track])],
)
PARAMS = [
    _head.params(number="42"),
    _body.params(name="Bo", day="Friday"),
    _stop.params(callback_data="stop", index=0),
    _track.params(url_variable="42", index=1),
]


@pytest.fixture
async def bot(sim: Meta) -> AsyncIterator[Bot]:
    """A user of pywa, connected to a simulated Meta whose users have all written; none of its sends would we refuse."""
    for user in sim.users:
        arrive(sim, user)
    async with connected(sim) as found:
        yield found
    for body in found.posted:
        prepare(body, country_code="1")


async def given(sim: Meta, bot: Bot) -> Given:
    """Let pywa send a text and upload an image, for other sends to be about."""
    to, image = sim.users[0].phone, sample("image")
    about = await bot.wa.send_message(to, "first")
    uploaded = await bot.wa.upload_media(image.content, image.mime_type, "a.jpg")
    return Given(to, about.id, uploaded.id)


async def test_pywa_sends_every_kind(sim: Meta, bot: Bot) -> None:
    """All that pywa can send is accepted, none of its keys is unknown, and `sent` comes back for each."""
    sim.world.knobs.delivered_after = sim.world.knobs.read_after = None
    about = await given(sim, bot)
    for kind, send in SENDS:
        sent = await send(bot.wa, about)
        kept = sim.state.messages[sent.id]
        assert (kept.type, kept.body, kept.user_id) == (kind, bot.posted[-1], sim.users[0].id)
        assert (sent.input, sim.world.calls[-1].unknown) == (about.to, [])
    found = await bot.hears(MessageStatus, len(SENDS) + 1)
    assert {(one.id, one.status) for one in found} == {
        (one.id, MessageStatusType.SENT) for one in sim.state.messages.values() if one.outgoing
    }


async def test_the_gateway_takes_what_pywa_sends(sim: Meta, bot: Bot) -> None:
    """No body that pywa posts is refused by our own checks, and Meta takes what they make of it, which is the same."""
    about = await given(sim, bot)
    for _, send in SENDS:
        await send(bot.wa, about)
    await bot.wa.send_template(about.to, "hello_world", t.TemplateLanguage.ENGLISH_US, params=[])
    await bot.wa.send_message(sim.users[2].id, "by user id")
    await bot.wa.mark_message_as_read(arrive(sim, sim.users[0]))
    await bot.wa.indicate_typing(arrive(sim, sim.users[0]))
    sim.world.clock.advance(600)
    for body in bot.posted:
        found = prepare(body, country_code="1")
        same = {name: value for name, value in body.items() if name != "biz_opaque_callback_data"}
        same |= {"to": f"+{body['to']}"} if "to" in body else {}
        assert json.loads(found.body) == same
        answer = await sim.ask("POST", f"{sim.number.id}/messages", json=json.loads(found.body))
        assert answer.status_code == 200, answer.text
    assert len(bot.posted) == len(SENDS) + 5


async def test_pywa_addresses_who_shows_no_phone(sim: Meta, bot: Bot) -> None:
    """A user id goes as `recipient`, and the answer leads pywa to the chat with that user."""
    hidden = sim.users[2]
    sent = await bot.wa.send_message(hidden.id, "hi")
    assert (sent.chat.id, sim.state.messages[sent.id].user_id) == (hidden.id, hidden.id)
    assert ("to" in bot.posted[-1], bot.posted[-1]["recipient"]) == (False, hidden.id)


async def test_pywa_marks_as_read_and_types(sim: Meta, bot: Bot) -> None:
    """Both are taken for a message that arrived; an unknown one is refused in a way that pywa knows."""
    chat, message_id = f"{sim.number.id}/{sim.users[0].id}", arrive(sim, sim.users[0])
    assert (await bot.wa.mark_message_as_read(message_id)).success
    assert (list(sim.state.reads), sim.state.typing) == ([chat], {})
    assert (await bot.wa.indicate_typing(message_id)).success
    assert list(sim.state.typing) == [chat]
    with pytest.raises(WhatsAppError) as refused:
        await bot.wa.mark_message_as_read("wamid.unknown")
    assert refused.value.code == 131009


@pytest.mark.parametrize("fault", ["", "redirect", "redirect_away"])
async def test_pywa_downloads(sim: Meta, bot: Bot, tmp_path: Path, fault: MediaFault) -> None:
    """What pywa uploads comes back byte for byte, over a redirect too; to another host it takes no token along."""
    file = sample("document")
    media = await bot.wa.upload_media(file.content, file.mime_type, "offer.pdf")
    sim.state.media[media.id].fault = fault
    told = await bot.wa.get_media_url(media.id)
    assert (told.mime_type, told.file_size) == (file.mime_type, len(file.content))
    assert await told.get_bytes() == file.content
    assert sim.world.calls[-1].body["authorization"] is (fault != "redirect_away")
    saved = await bot.wa.download_media(url=told.url, path=tmp_path, filename="offer.pdf")
    assert saved.read_bytes() == file.content
    assert b"".join([piece async for piece in bot.wa.stream_media(told.url, chunk_size=64)]) == file.content


async def test_pywa_deletes_media(sim: Meta, bot: Bot) -> None:
    """A deleted file is gone for pywa as it is at Meta, and one uploaded for a block of code ends with it."""
    file = sample("photo")
    media = await bot.wa.upload_media(file.content, file.mime_type, "a.png")
    assert (await bot.wa.delete_media(media.id, phone_id=sim.number.id)).success
    with pytest.raises(WhatsAppError) as refused:
        await bot.wa.get_media_url(media.id)
    assert (refused.value.code, refused.value.subcode, refused.value.type) == (100, 33, "GraphMethodException")
    async with bot.wa.upload_media(file.content, file.mime_type, "a.png") as media:
        await bot.wa.send_image(sim.users[0].phone, media)
    assert media.id not in sim.state.media


async def test_pywa_runs_templates(sim: Meta, bot: Bot) -> None:
    """A template is created, decided on, announced, listed, read, sent and deleted by pywa."""
    made = await bot.wa.create_template(ORDER)
    assert made.status is t.TemplateStatus.PENDING
    with pytest.raises(TemplateNotExists):
        await bot.wa.send_template(sim.users[0].phone, template=ORDER, params=PARAMS)
    await sim.control("POST", f"templates/{made.id}", json={"status": "APPROVED"})
    (told,) = await bot.hears(t.TemplateStatusUpdate)
    assert (told.template_id, told.new_status) == (made.id, t.TemplateStatus.APPROVED)
    sent = await bot.wa.send_template(sim.users[0].phone, template=ORDER, params=PARAMS)
    assert prepare(bot.posted[-1], country_code="1").kind == sim.state.messages[sent.id].type == "template"
    read = await bot.wa.get_template(made.id)
    assert (read.name, read.parameter_format, len(read.components)) == (ORDER.name, t.ParamFormat.NAMED, 4)
    found: Any = await bot.wa.get_templates(pagination=Pagination(limit=1))
    assert (found.total_count, [one.name for one in found]) == (2, ["hello_world"])
    assert [one.name for one in await found.all()] == ["hello_world", ORDER.name]
    assert (await bot.wa.delete_template(ORDER.name, template_id=made.id)).success
    assert [one.name for one in await bot.wa.get_templates(name=ORDER.name)] == []


async def test_pywa_looks_after_the_account(sim: Meta, bot: Bot) -> None:
    """The profile that pywa sets is the one it reads; it finds the WABA, its numbers and what they are like."""
    profile = {"about": "We sell tea", "address": "Berlin", "description": "Tea", "email": "tea@example.com"}
    sites = ("https://example.com",)
    assert (await bot.wa.update_business_profile(**profile, industry=Industry.RETAIL, websites=list(sites))).success
    read = await bot.wa.get_business_profile()
    assert {name: getattr(read, name) for name in profile} == profile
    assert (read.industry, read.websites) == (Industry.RETAIL, sites)
    number = await bot.wa.get_business_phone_number()
    assert (number.id, number.status, number.health_status is None) == (sim.number.id, "CONNECTED", False)
    assert [one.id for one in await bot.wa.get_business_phone_numbers()] == [sim.number.id]
    assert (await bot.wa.get_business_account()).id == sim.waba.id
    owned = await bot.wa.get_owned_business_accounts(business_portfolio_id=sim.waba.business_id)
    assert [one.id for one in owned] == [sim.waba.id]
    assert (await bot.wa.register_phone_number("123456")).success


async def test_pywa_answers_the_verification(sim: Meta, bot: Bot) -> None:
    """pywa sets its own callback URL, for the app, the WABA and the number, and passes Meta's challenge each time."""
    token = await bot.wa.get_app_access_token(int(sim.app.id), sim.secret)
    places = {name: {"callback_url": sim.receiver.url(f"/{name}")} for name in ("app", "waba", "phone")}
    known = {"verify_token": sim.verify_token}
    app = await bot.wa.set_app_callback_url(
        int(sim.app.id), token, sim.receiver.url("/app"), sim.verify_token, ["messages"]
    )
    assert app.success
    assert (await bot.wa.override_waba_callback_url(**known, **places["waba"])).success
    assert (await bot.wa.override_phone_callback_url(**known, **places["phone"])).success
    asked = [one for one in sim.receiver.received if one.method == "GET"]
    assert [one.target.partition("?")[0] for one in asked] == ["/app", "/waba", "/phone"]
    for drop in (None, bot.wa.delete_phone_callback_url, bot.wa.delete_waba_callback_url):
        assert drop is None or (await drop()).success
        await sim.control("POST", "inbound", json={"text": "hi"})
        await sim.world.webhooks.tried()
    assert [one.target for one in sim.posts()] == ["/phone", "/waba", "/app"]
    with pytest.raises(WhatsAppError, match="Response does not match challenge"):
        await bot.wa.override_waba_callback_url(verify_token="another", **places["waba"])


async def test_pywa_checks_signatures(sim: Meta, bot: Bot) -> None:
    """pywa accepts the bytes that the simulator signs, however they are escaped, and no others."""
    for knobs in ({"raw_utf8": True}, {"raw_utf8": False}, {"signature": "bad"}, {"signature": "missing"}):
        await sim.control("PATCH", "knobs", json=knobs)
        await sim.control("POST", "inbound", json={"text": "äö <100%> a@b.c https://x.y \U0001f600"})
        await sim.world.webhooks.tried()
    first = [one.status for one in sim.world.webhooks.attempts if one.number == 1]
    assert first == [200, 200, 403, 401]
    assert [one.text for one in await bot.hears(Message)] == ["äö <100%> a@b.c https://x.y \U0001f600"] * 2


async def test_pywa_understands_users(sim: Meta, bot: Bot) -> None:
    """What a user writes reaches pywa's handler for it, with the right values and for the right number."""
    number = (sim.number.id, sim.waba.id)
    for kind, variant, more, type_, value, expected in HEARD:
        bot.heard.clear()
        written = await sim.control("POST", "inbound", json={"kind": kind, "variant": variant, **more})
        one = (await bot.hears(type_))[0]
        assert (one.id, one.metadata.phone_number_id, one.waba_id) == (written["message_id"], *number), (kind, variant)
        assert value(one) == expected, (kind, variant)


#: What pywa cannot read, with the key that it misses: Meta promises none of them, and each goes to its raw handlers.
UNREAD = {
    ("system", "customer_identity_changed"): "identity",
    ("text", "phone_only"): "user_id",
    ("text", "no_contacts"): "contacts",
}


# The type of the future: pywa warns that it does not know it, and hands it on.
@pytest.mark.filterwarnings("ignore:Unknown MessageType value. 'hologram':pywa.errors.PywaUnknownEnumMemberWarning")
async def test_pywa_reads_all_that_users_write(sim: Meta, bot: Bot, caplog: pytest.LogCaptureFixture) -> None:
    """Every type and variant of message is read by pywa, a type of the future too, save the three named above."""
    for kind, variant in inbound.listed():
        caplog.clear()
        written = {"kind": kind, "variant": variant, "from": "15550100042", "new_phone": "15550100042"}
        await sim.control("POST", "inbound", json=written)
        await sim.world.webhooks.tried()
        failed = [str(one.exc_info[1]) for one in caplog.records if one.name == "pywa.server" and one.exc_info]
        assert failed == [f"'{UNREAD[kind, variant]}'" for _ in range((kind, variant) in UNREAD)], (kind, variant)


async def test_pywa_reads_news_of_the_account(sim: Meta, bot: Bot) -> None:
    """What is told of an account, its templates and its calls reaches pywa's handler for that field."""
    for field, type_ in NEWS.items():
        bot.heard.clear()
        await sim.control("POST", "notify", json={"field": field})
        (raw,) = await bot.hears(RawUpdate)
        assert (raw.field, raw.id, len(await bot.hears(type_))) == (field, sim.waba.id, 1)


async def test_pywa_follows_its_messages(sim: Meta, bot: Bot) -> None:
    """Each status reaches pywa's handler with user, price and the tracker of the send; a voice message is played."""
    file = sample("voice")
    sent = await bot.wa.send_voice(sim.users[0].phone, file.content, mime_type=file.mime_type, tracker="order-77")
    found = await bot.hears(MessageStatus, 4)
    told = {one.status.value: one.pricing.category.value if one.pricing else "" for one in found}
    assert told == {"sent": "service", "delivered": "service", "read": "", "played": ""}
    assert {(one.id, one.tracker, one.from_user.bsuid) for one in found} == {(sent.id, "order-77", sim.users[0].id)}


async def test_pywa_is_told_of_a_failure(sim: Meta, bot: Bot) -> None:
    """A failed message's error reaches pywa; by its raw handler: Meta names no contact there, and pywa needs one."""
    await sim.control("PATCH", "knobs", json={"fail_code": 131026})
    sent = await bot.wa.send_message(sim.users[0].phone, "hi")
    (raw,) = await bot.hears(RawUpdate)
    (row,) = raw.value["statuses"]
    assert (row["id"], row["status"], row["errors"][0]["code"]) == (sent.id, MessageStatusType.FAILED, 131026)


async def test_pywa_holds_a_conversation(sim: Meta, bot: Bot) -> None:
    """A bot as its manual has it: a photo comes, is fetched and marked as read; the answer quotes it and is read."""
    fetched: list[bytes] = []

    async def answer(_: Any, message: Any) -> None:
        fetched.append(await message.image.get_bytes())
        await message.mark_as_read()
        await message.reply(f"Thanks, {message.from_user.name}", quote=True)

    bot.wa.add_handlers(handlers.MessageHandler(answer))
    written = await sim.control("POST", "inbound", json={"kind": "image"})
    found = await bot.hears(MessageStatus, 3)
    assert MessageStatusType.READ in [one.status for one in found]
    kept = sim.state.messages[found[-1].id].body
    assert (fetched, list(sim.state.reads)) == ([sample("image").content], [f"{sim.number.id}/{sim.users[0].id}"])
    assert (kept["text"]["body"], kept["context"]["message_id"]) == ("Thanks, Ana Silva", written["message_id"])


async def test_pywa_knows_what_is_wrong(sim: Meta, bot: Bot) -> None:
    """Each refusal becomes pywa's own exception for it, also when Graph is down and a load balancer answers."""
    to, language = sim.users[0].phone, t.TemplateLanguage.ENGLISH_US
    with pytest.raises(TemplateNotExists):
        await bot.wa.send_template(to, "no_such_template", language)
    with pytest.raises(TemplateParamCountMismatch):
        await bot.wa.send_template(to, "hello_world", language, PARAMS[1:2])
    with pytest.raises(RecipientCannotBeSender):
        await bot.wa.send_message(sim.number.phone, "hi")
    with pytest.raises(ReEngagementMessage):
        await bot.wa.send_message("4930123456", "hi")
    sim.world.rules += [Rule(fault="error_131016"), Rule(fault="html_503", nth=2)]
    with pytest.raises(ServiceUnavailable):
        await bot.wa.send_message(to, "hi")
    with pytest.raises(WhatsAppError) as refused:
        await bot.wa.send_message(to, "hi")
    assert refused.value.code == 503
    sim.state.tokens[sim.token].scopes = [MANAGEMENT]
    with pytest.raises(PermissionDenied):
        await bot.wa.send_message(to, "hi")
    sim.state.tokens[sim.token].expires_at = 1
    with pytest.raises(ExpiredAccessToken) as refused:
        await bot.wa.send_message(to, "hi")
    assert refused.value.subcode == 463


async def test_the_other_client_of_pywa_works_as_well(sim: Meta) -> None:
    """pywa's client for programs without an event loop sends, uploads, downloads and takes webhooks just so."""
    arrive(sim, sim.users[0])
    file, heard = sample("video"), []
    with httpx.Client(timeout=30, trust_env=False) as session:
        wa = client.WhatsApp(**settings(sim), session=session)
        session.base_url = httpx.URL(f"{sim.url}/{VERSION}")
        wa.add_handlers(handlers.MessageHandler(lambda _, message: heard.append(message.text)))

        def use() -> tuple[str, bytes]:
            media = wa.upload_media(file.content, file.mime_type, "a.mp4")
            sent = wa.send_video(sim.users[0].phone, media, caption="moves")
            return sent.id, wa.get_media_url(media.id).get_bytes()

        sent_id, content = await asyncio.to_thread(use)
        await sim.control("POST", "inbound", json={"text": "hello"})
        await sim.world.webhooks.tried()
        (row,) = [one for one in sim.posts() if b"hello" in one.body]
        signature = row.headers["x-hub-signature-256"]
        assert wa.webhook_update_validator(row.body, signature) is None
        assert wa.webhook_update_validator(row.body + b" ", signature) == ("Forbidden", 403)
        assert wa.webhook_update_handler(row.body) == ("ok", 200)
    assert (sim.state.messages[sent_id].type, content, heard) == ("video", file.content, ["hello"])
