"""Traces: one from a webhook to each hook's answer, as a collector gets it over OTLP/HTTP."""

import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from opentelemetry import trace

from tests import collector as otlp
from tests import meta
from tests.collector import CLIENT, ERROR, SERVER, Span
from tests.conftest import REPO, Gateway, account, hook
from tests.receiver import Receiver, hang, status
from whatshooked import events
from whatshooked.events import ENTRY_VERSION
from whatshooked.hooks import retry
from whatshooked.traces import carrier

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"
Make = Callable[..., Gateway]


@pytest.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Receiver]:
    """A collector to which spans go at once."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    async with Receiver() as found:
        yield found


def traced(collector: Receiver, **more: Any) -> dict[str, Any]:
    """The config's section that sends traces there."""
    return {"enabled": True, "endpoint": collector.url("")} | more


def only(spans: list[Span], kind: int) -> list[Span]:
    """The spans of one kind."""
    return [span for span in spans if span.kind == kind]


async def test_one_trace_from_a_webhook_to_its_hooks(
    make_gateway: Make, receiver: Receiver, collector: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The webhook's span is the parent of each attempt's, whose own id reaches the receiver as its parent."""
    monkeypatch.setattr(retry, "SCHEDULE", (0.05,) * 13)
    async with Receiver(status(503)) as failing:
        gateway = make_gateway(hook("h1", receiver.url()), hook("h2", failing.url()), traces=traced(collector))
        await gateway.start()
        await gateway.post(meta.webhook(meta.value(meta.text())))
        await failing.wait(1)
        failing.behave = status(200)
        first, *more = await failing.wait(2)
        await gateway.cached(0)
        found = await otlp.wait(collector, 3 + len(more))
    (webhook,), attempts = only(found, SERVER), {span.place: span for span in only(found, CLIENT)}
    assert {span.trace for span in found} == {webhook.trace}
    assert webhook.parent == ""
    assert {span.parent for span in attempts.values()} == {webhook.id}
    good, refused, later = (attempts[otlp.place(one)] for one in (receiver.received[0], first, more[-1]))
    assert (good.attributes["whatshooked.hook.id"], good.status) == ("h1", 0)
    assert refused.attributes["error.type"] == "503"
    assert (refused.status, refused.said) == (ERROR, "HTTP 503")
    assert "http.request.resend_count" not in refused.attributes
    assert later.attributes["http.request.resend_count"] == len(more)
    assert (later.status, later.attributes["http.response.status_code"]) == (0, 200)


async def test_what_stands_in_the_spans(make_gateway: Make, receiver: Receiver, collector: Receiver) -> None:
    """The conventions' attributes and ours; no number, no text, no secret, no query of a hook's URL."""
    gateway = make_gateway(hook("h1", receiver.url("/a?key=planted")), traces=traced(collector))
    await gateway.start()
    await gateway.post(meta.webhook(meta.value(meta.text("planted words"))))
    (got,) = await receiver.wait(1)
    found = await otlp.wait(collector, 2)
    (webhook,), (attempt,) = only(found, SERVER), only(found, CLIENT)
    assert webhook.name == "POST /webhooks/whatsapp/{account_id}"
    assert webhook.attributes == {
        "http.request.method": "POST",
        "http.route": "/webhooks/whatsapp/{account_id}",
        "http.response.status_code": 200,
        "url.path": "/webhooks/whatsapp/business",
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "server.address": "127.0.0.1",
        "server.port": int(gateway.base.rpartition(":")[2]),
        "user_agent.original": gateway.client.headers["user-agent"],
        "whatshooked.account.id": "business",
        "whatshooked.events": 1,
        "whatshooked.events.new": 1,
    }
    assert attempt.name == "POST"
    assert attempt.attributes == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "url.full": receiver.url("/a").removesuffix("/a"),  # a path may be a receiver's secret
        "server.address": "127.0.0.1",
        "server.port": receiver.port,
        "whatshooked.hook.id": "h1",
        "whatshooked.event.id": got.json["event_id"],
        "whatshooked.event.type": "message.received",
        "whatshooked.account.id": "business",
    }
    sent = b"".join(one.body for one in collector.received)
    secrets = ("planted", meta.CUSTOMER, meta.PHONE, meta.SECRET, meta.VERIFY_TOKEN, "token-of-the-tests", "Ana")
    assert [word for word in secrets if word.encode() in sent] == []


@pytest.mark.parametrize("sampled", [True, False])
async def test_a_caller_s_trace_goes_on(
    make_gateway: Make, receiver: Receiver, collector: Receiver, *, sampled: bool
) -> None:
    """What a proxy in front began reaches the hook; one that it does not sample is handed on, and not exported."""
    gateway = make_gateway(hook("h1", receiver.url()), traces=traced(collector))
    await gateway.start()
    body = meta.webhook(meta.value(meta.text()))
    headers = meta.signed(body) | {"traceparent": CALLER + ("01" if sampled else "00")}
    await gateway.client.post(f"{gateway.base}/webhooks/whatsapp/business", content=body, headers=headers)
    (got,) = await receiver.wait(1)
    version, trace, span, flags = got.headers["traceparent"].split("-")
    assert (version, trace, flags) == ("00", CALLER.split("-")[1], "01" if sampled else "00")
    await gateway.stop()
    found = otlp.spans(collector)
    if not sampled:
        assert span not in CALLER
        assert found == []
        return
    (webhook,), (attempt,) = only(found, SERVER), only(found, CLIENT)
    assert (webhook.parent, attempt.parent, attempt.id) == (CALLER.split("-")[2], webhook.id, span)


async def test_the_ratio_is_kept_by_webhook(make_gateway: Make, receiver: Receiver, collector: Receiver) -> None:
    """With 0 nothing is exported, and receivers are told so by the flag of one trace that all attempts share."""
    async with Receiver() as other:
        gateway = make_gateway(hook("h1", receiver.url()), hook("h2", other.url()), traces=traced(collector, ratio=0))
        await gateway.start()
        await gateway.post(meta.webhook(meta.value(meta.text())))
        one, two = (await receiver.wait(1))[0].headers["traceparent"], (await other.wait(1))[0].headers["traceparent"]
        await gateway.stop()
    assert not int(one[-2:], 16) & 1  # the other bits say how the trace's id was made
    assert one.split("-")[1] == two.split("-")[1]
    assert one != two
    assert collector.received == []


async def test_a_replay_belongs_to_its_event_s_trace(
    make_gateway: Make, receiver: Receiver, collector: Receiver
) -> None:
    """However late: the entry carries its context."""
    gateway = make_gateway(hook("h1", receiver.url()), traces=traced(collector))
    await gateway.start()
    await gateway.post(meta.webhook(meta.value(meta.text())))
    (got,) = await receiver.wait(1)
    await gateway.cached(0)
    await gateway.api("POST", f"/api/cache/event/replay?id={got.json['event_id']}&again=true")
    _, again = await receiver.wait(2)
    found = await otlp.wait(collector, 3)
    (webhook,), (first, second) = only(found, SERVER), only(found, CLIENT)
    assert (first.parent, second.parent, second.trace) == (webhook.id, webhook.id, webhook.trace)
    assert second.place == otlp.place(again)
    assert second.attributes["whatshooked.replay"] is True
    assert "whatshooked.replay" not in first.attributes


async def test_what_is_told_of_a_delivery_belongs_to_its_trace(
    make_gateway: Make, receiver: Receiver, collector: Receiver
) -> None:
    """`hook.success` goes to its hook in the trace of the event that it tells of."""
    async with Receiver() as watcher:
        watching = hook("h2", watcher.url(), events=["hook.success"])
        gateway = make_gateway(hook("h1", receiver.url()), watching, traces=traced(collector))
        await gateway.start()
        await gateway.post(meta.webhook(meta.value(meta.text())))
        (told,) = await watcher.wait(1)
        (webhook,) = only(await otlp.wait(collector, 3), SERVER)
    assert otlp.place(told)[0] == webhook.trace


async def test_a_hook_s_own_header_wins(make_gateway: Make, receiver: Receiver, collector: Receiver) -> None:
    """Headers of the config are sent as given, this one too."""
    own = CALLER + "01"
    gateway = make_gateway(hook("h1", receiver.url(), headers={"TraceParent": own}), traces=traced(collector))
    await gateway.start()
    await gateway.post(meta.webhook(meta.value(meta.text())))
    (got,) = await receiver.wait(1)
    assert got.headers["traceparent"] == own


async def test_what_is_refused_shows_no_secret(make_gateway: Make, collector: Receiver) -> None:
    """A query may hold the verify token; what strangers send is cut short; a wrong signature is no fault of ours."""
    gateway = make_gateway(accounts=[account()], traces=traced(collector))
    await gateway.start(workers=0)
    query = f"hub.mode=subscribe&hub.verify_token={meta.VERIFY_TOKEN}&hub.challenge=c"
    assert (await gateway.client.get(f"{gateway.base}/webhooks/whatsapp/business?{query}")).text == "c"
    assert (await gateway.post(b"{}", secret="wrong")).status_code == 403
    long, headers = f"{gateway.base}/webhooks/whatsapp/{'x' * 5000}", {"user-agent": "y" * 5000, "host": "["}
    assert (await gateway.client.request("PURGE", long, headers=headers)).status_code == 404
    verified, forged, strange = await otlp.wait(collector, 3)
    assert verified.name == "GET /webhooks/whatsapp/{account_id}"
    assert meta.VERIFY_TOKEN.encode() not in b"".join(one.body for one in collector.received)
    assert (forged.attributes["http.response.status_code"], forged.status) == (403, 0)
    assert strange.name == "HTTP /webhooks/whatsapp/{account_id}"
    assert strange.attributes["http.request.method"] == "_OTHER"
    assert strange.attributes["http.request.method_original"] == "PURGE"
    assert max(len(str(value)) for value in strange.attributes.values()) == 256


async def test_our_own_fault_is_one(make_gateway: Make, collector: Receiver) -> None:
    """A webhook that could not be stored is an error of the trace, with the status as its type."""
    gateway = make_gateway(traces=traced(collector))
    gateway.url = "redis://127.0.0.1:9"  # nobody is there
    await gateway.start(workers=0)
    assert (await gateway.post(meta.webhook(meta.value(meta.text())))).status_code == 503
    (webhook,) = await otlp.wait(collector, 1)
    assert (webhook.status, webhook.attributes["error.type"]) == (ERROR, "503")


class Former(msgspec.Struct, array_like=True, frozen=True):
    """An entry as workers knew it before there were traces."""

    version: int
    type: str
    account_id: str
    raw: bytes
    to: str = ""
    contact: bytes = b""
    field: str = ""
    foreign: bool = False
    context: bytes = b""


def test_entries_of_both_kinds_are_read_by_both() -> None:
    """An older worker reads an entry with a trace, a newer one an entry without; traces that are off cost a byte."""
    former = Former(ENTRY_VERSION, "message.received", "a", b"{}", "49", b"{}", "", True, b"{}")
    old = msgspec.msgpack.encode(former)
    plain = events.decode(old)
    assert plain.trace is None
    assert len(events.encode(plain)) == len(old) + 1
    new = events.encode(msgspec.structs.replace(plain, trace=bytes(range(25))))
    assert msgspec.msgpack.decode(new, type=Former) == former
    assert events.decode(new).trace == bytes(range(25))
    assert len(new) == len(old) + 27


@pytest.mark.parametrize("packed", [None, b"", b"x" * 24, b"x" * 26, bytes(25)])
def test_what_is_no_context_begins_a_trace_anew(packed: bytes | None) -> None:
    """A later version may carry more, or something else: that is no fault of the event."""
    assert not carrier.unpack(packed)
    assert not carrier.read("" if packed is None else packed.decode())


async def test_an_attempt_that_is_broken_off_ends_its_span(
    make_gateway: Make, receiver: Receiver, collector: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A timeout has its name, a receiver that is not there none; what a stop cuts short says so."""
    monkeypatch.setattr("workers.process.GRACE", 0.1)
    hooks = hook("slow", receiver.url(), timeout=0.2), hook("gone", "http://127.0.0.1:9/")
    async with Receiver(hang) as stuck:
        gateway = make_gateway(*hooks, hook("stuck", stuck.url()), traces=traced(collector))
        receiver.behave = hang
        await gateway.start()
        await gateway.post(meta.webhook(meta.value(meta.text())))
        await stuck.wait(1)
        await otlp.wait(collector, 3)
        await gateway.stop()
    kinds = {
        span.attributes["whatshooked.hook.id"]: (span.attributes["error.type"], span.status)
        for span in only(otlp.spans(collector), CLIENT)
    }
    assert kinds == {"slow": ("timeout", ERROR), "gone": ("no_answer", ERROR), "stuck": ("CancelledError", ERROR)}


async def test_off_is_off(gateway: Gateway, receiver: Receiver) -> None:
    """Without the section nothing is told to hooks, and an entry has no trace."""
    await gateway.post(meta.webhook(meta.value(meta.text())))
    (got,) = await receiver.wait(1)
    assert "traceparent" not in got.headers


def test_off_nothing_is_imported() -> None:
    """Both kinds of process come up without a module of OpenTelemetry."""
    program = """
import sys
from pathlib import Path
from whatshooked.config import Config
from whatshooked.web.gateway import Gateway
from whatshooked.web import app
from workers.process import Process
config = Config(path=Path("config.json"))
Gateway(config, "redis://127.0.0.1:9"), Process(config, "redis://127.0.0.1:9")
sys.exit(any(name.startswith("opentelemetry") for name in sys.modules))
"""
    assert subprocess.run([sys.executable, "-c", program], cwd=REPO, check=False).returncode == 0


def test_a_context_survives_its_entry() -> None:
    """Ids and flags come out as they went in."""
    span = trace.get_current_span(carrier.read(CALLER + "01")).get_span_context()
    packed = carrier.pack(span)
    again = trace.get_current_span(carrier.unpack(packed)).get_span_context()
    assert carrier.headers(again) == {"traceparent": CALLER + "01"}
    assert again.is_remote
