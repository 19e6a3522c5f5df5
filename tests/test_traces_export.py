"""How traces leave a process: what a collector that is away or stuck costs, and what becomes of the last spans."""

import asyncio
import logging
import signal
import time
from collections.abc import AsyncIterator, Callable

import pytest

from tests import collector as otlp
from tests import meta
from tests.collector import CLIENT, SERVER
from tests.conftest import Gateway, hook
from tests.receiver import Receiver, hang
from tests.test_setup import Process, ended
from tests.test_traces import Make, traced
from whatshooked import logs
from whatshooked.config import TracesConfig
from whatshooked.traces import export
from whatshooked.traces.export import Export


@pytest.fixture
async def collector() -> AsyncIterator[Receiver]:
    """A collector that gets what is left when a process ends, and nothing before."""
    async with Receiver() as found:
        yield found


@pytest.fixture(autouse=True)
def log_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test heard within a minute is no news, and would not be said in the next."""
    monkeypatch.setattr(export, "log", logs.get("traces"))


async def traced_span(settings: TracesConfig) -> Export:
    """Export one span, which waits to be sent."""
    found = Export(settings, "web")
    found.tracer().start_span("one").end()
    return found


async def test_each_process_sends_its_own_to_the_last(
    make_gateway: Make, receiver: Receiver, collector: Receiver, spawn: Callable[..., Process]
) -> None:
    """A web process and two workers as the OTEL_* variables say: SIGTERM comes long before the next batch is due."""
    gateway = make_gateway(hook("h1", receiver.url()), traces={"enabled": True}, log_level="info")
    gateway.write()
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url(""),
        "OTEL_BSP_SCHEDULE_DELAY": "600000",
        "OTEL_SERVICE_NAME": "shop-gateway",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
        "XDG_RUNTIME_DIR": str(gateway.folder),
    }
    running = spawn("run", "--workers", "2", "-c", str(gateway.path), **environment)
    gateway.base = await ready(running)
    for _ in range(10):
        assert (await gateway.post(meta.webhook(meta.value(meta.text())))).status_code == 200
    await receiver.wait(10)
    await gateway.cached(0)
    assert collector.received == []
    code, said = await asyncio.to_thread(ended, running, signal.SIGTERM)
    assert code == 0, said
    found = otlp.spans(collector)
    webhooks = {span.id: span for span in found if span.kind == SERVER}
    attempts = [span for span in found if span.kind == CLIENT]
    assert (len(webhooks), len(attempts)) == (10, 10)
    assert {span.parent for span in attempts} == set(webhooks)
    for span in found:
        role = "web" if span.kind == SERVER else "worker"
        assert span.resource["service.name"] == "shop-gateway"
        assert span.resource["deployment.environment.name"] == "test"
        assert span.resource["service.instance.id"].startswith(f"{role}-")


async def ready(running: Process) -> str:
    """Return the address of a gateway once it and its workers have started."""
    assert running.stdout is not None
    base, left = "", 3
    async with asyncio.timeout(60):
        while left:
            line = await asyncio.to_thread(running.stdout.readline)
            assert line
            left -= "Hook manager started" in line or " Ready " in line
            if " Ready " in line:
                base = line.partition("address=")[2].split()[0]
    return base


@pytest.mark.parametrize("stuck", [True, False])
async def test_a_collector_that_is_away_delays_nothing(
    make_gateway: Make,
    receiver: Receiver,
    collector: Receiver,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    *,
    stuck: bool,
) -> None:
    """Every event is delivered, the log has one line of it, and the end waits for two seconds and no more."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    collector.behave = hang
    endpoint = collector.url("") if stuck else "http://127.0.0.1:9"
    gateway = make_gateway(hook("h1", receiver.url()), traces={"enabled": True, "endpoint": endpoint})
    await gateway.start()
    slowest = 0.0
    for _ in range(30):
        start = time.monotonic()
        assert (await gateway.post(meta.webhook(meta.value(meta.text())))).status_code == 200
        slowest = max(slowest, time.monotonic() - start)
    await receiver.wait(30)
    await gateway.cached(0)
    assert slowest < 8.0, "an export takes ten seconds to give up"
    if not stuck:
        await said(caplog, "Traces are not sent")
    start = time.monotonic()
    await gateway.workers[0]._traces.close()
    assert time.monotonic() - start < 8.0
    assert lines(caplog, "The last spans were not sent") == 1
    assert lines(caplog, "Traces are not sent") == (0 if stuck else 1)


async def test_what_the_sdk_says_shows_no_secret(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong variable is told of, in our log; the address with its key is not."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:9/planted?key=planted")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "nonsense")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    monkeypatch.setattr(export, "PATIENCE", 0.1)
    caplog.set_level(logging.INFO)
    found = await traced_span(TracesConfig(enabled=True))
    await said(caplog, "Traces are not sent")
    await found.close()
    assert all(record.name.startswith("whatshooked.") for record in caplog.records if "races" in record.message)
    text = " ".join(f"{record.message} {getattr(record, 'fields', '')}" for record in caplog.records)
    assert "nonsense" in text
    assert "planted" not in text


@pytest.mark.parametrize("written", ["", "/", "/v1/traces", "/v1/traces/"])
async def test_the_endpoint_may_have_its_path(collector: Receiver, written: str) -> None:
    """With or without the path of traces, it is the same collector."""
    found = await traced_span(TracesConfig(enabled=True, endpoint=collector.url(written)))
    await found.close()
    (got,) = collector.received
    assert got.target == "/v1/traces"
    assert otlp.spans(collector)[0].resource["service.name"] == "whatshooked"


async def test_the_sdk_can_be_disabled(
    make_gateway: Make, receiver: Receiver, collector: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OTEL_SDK_DISABLED is honoured: no span and no header."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    gateway = make_gateway(hook("h1", receiver.url()), traces=traced(collector))
    await gateway.start()
    await gateway.post(meta.webhook(meta.value(meta.text())))
    (got,) = await receiver.wait(1)
    assert "traceparent" not in got.headers
    await gateway.stop()
    assert collector.received == []


async def test_a_reload_says_that_traces_want_a_restart(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever turns them on in a running gateway is told what is missing."""
    gateway.document["traces"] = {"enabled": True}
    gateway.write()
    gateway.workers[0].reload()
    assert lines(caplog, "export of traces is used only after a restart") == 1


def lines(caplog: pytest.LogCaptureFixture, text: str) -> int:
    """How many lines of the log hold a text."""
    return sum(text in record.message for record in caplog.records)


async def said(caplog: pytest.LogCaptureFixture, text: str) -> None:
    """Wait until the log says something."""
    async with asyncio.timeout(15):
        while not lines(caplog, text):
            await asyncio.sleep(0.02)
