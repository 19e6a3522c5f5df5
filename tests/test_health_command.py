"""`whatshooked health`: what container platforms ask, and what they must not be told while Redis is away."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commands import run
from tests.conftest import Gateway
from whatshooked.cli.health import judged

MakeGateway = Callable[..., Gateway]
NOW = 1_790_000_000.0


def exposition(*, redis: int = 1, **stood_still: float) -> str:
    """A worker's metrics: each loop with the seconds since it last came round."""
    turns = [
        f'whatshooked_loop_turn_timestamp_seconds{{loop="{loop}"}} {NOW - seconds!r}'
        for loop, seconds in stood_still.items()
    ]
    return "\n".join(["# TYPE whatshooked_redis_up gauge", f"whatshooked_redis_up {float(redis)}", *turns, ""])


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (exposition(reader=0.1, claimer=0.2, sending=59, switches=0.4), ""),
        (exposition(reader=0.1, claimer=75, sending=0.3, switches=0.4), "the loop claimer has stood still for 75 s"),
        # A pass over a large store takes long, and is not begun anew by a restart.
        (exposition(reader=0.1, files=5_000, upkeep=900, eventlog=900), ""),
        # It has yet to reach Redis for the first time.
        (exposition(redis=0), ""),
        # Redis is away: what has to be written waits for it.
        (exposition(redis=0, reader=900, claimer=900, switches=5.5), ""),
        # Nothing turns at all: the process hangs, and cannot say how Redis is.
        (exposition(redis=0, reader=900, claimer=905, switches=901), "the loop reader has stood still for 900 s"),
        ("# HELP go_threads Threads", "what answers is no worker of ours: give the port of metrics.port"),
    ],
)
def test_a_worker_is_judged_by_the_loops_that_carry_events(text: str, wrong: str) -> None:
    """One that stands still is a fault while Redis is there; without Redis only a process that hangs as a whole."""
    assert judged(text, NOW, 60.0) == wrong


async def test_a_web_process_is_well_while_it_answers(make_gateway: MakeGateway) -> None:
    """0 and no word; 1 and the place once it is gone."""
    gateway = make_gateway()
    await gateway.start(workers=0)
    port = gateway.base.rpartition(":")[2]
    gateway.document["server"]["port"] = int(port)
    gateway.write()
    said = await run("health", "-c", str(gateway.path))
    assert (said.code, said.out, said.err) == (0, "", "")
    await gateway.stop()
    said = await run("health", "-c", str(gateway.path))
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith(f"no answer at 127.0.0.1:{port}: ")


async def test_a_faulty_config_ends_no_process_that_runs_on_with_the_old_one(make_gateway: MakeGateway) -> None:
    """With --port the file is not read; without it the answer is the config's fault, as everywhere."""
    gateway = make_gateway()
    await gateway.start(workers=0)
    gateway.path.write_text('{"hooks": 5}')
    assert (await run("health", "-c", str(gateway.path))).code == 78
    said = await run("health", "-c", str(gateway.path), "--port", gateway.base.rpartition(":")[2])
    assert (said.code, said.err) == (0, "")


async def test_without_a_port_there_is_nobody_to_ask(make_gateway: MakeGateway) -> None:
    """Port 0 takes a free one, and a worker without `metrics.port` listens nowhere: the line says what to set."""
    gateway = make_gateway()
    gateway.write()
    said = await run("health", "-c", str(gateway.path))
    assert (said.code, said.err) == (1, "server.port names no port to ask: set it, or give --port\n")
    said = await run("health", "--worker", "-c", str(gateway.path))
    assert (said.code, said.err) == (1, "metrics.port names no port to ask: set it, or give --port\n")


async def test_what_hangs_or_is_another_s_is_not_well(tmp_path: Path) -> None:
    """A process that takes the connection and never answers, and a port that speaks something else."""

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"-ERR unknown command\r\n")
        writer.close()

    with socket.create_server(("127.0.0.1", 0)) as hung:
        port = hung.getsockname()[1]
        said = await run("health", "--port", str(port))
        assert (said.code, said.err) == (1, f"no answer at 127.0.0.1:{port}: timed out\n")
    async with await asyncio.start_server(say, "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]
        said = await run("health", "--port", str(port))
    assert said.code == 1
    assert said.err.startswith(f"127.0.0.1:{port} speaks no HTTP: ")
