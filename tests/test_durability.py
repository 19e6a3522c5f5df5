"""Whether the configured Redis can keep what we promise, asked before anything is taken in."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import Popen

import pytest

from tests.conftest import Gateway, account
from whatshooked.embedded import Embedded
from whatshooked.stream import durability
from whatshooked.stream.durability import info_lines, judge
from whatshooked.stream.link import Link

GOOD = {"redis_version": "7.0.15", "maxmemory_policy": "noeviction", "aof_enabled": "1"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The URL of a server whose settings a test may spoil."""
    found = Embedded.open(tmp_path / "redis")
    yield found.url
    found.close()


async def test_the_bundled_server_is_fine(link: Link) -> None:
    """Neither a refusal nor a caution: it runs with what we promise."""
    assert await durability.examine(link) == durability.Findings((), ())


@pytest.mark.parametrize(
    ("said", "old"),
    [
        ({"redis_version": "6.2.14"}, "Redis 6.2.14"),
        ({"redis_version": "7.0.0"}, ""),
        ({"redis_version": "10.1.0"}, ""),
        ({"redis_version": "7.2.4", "valkey_version": "7.1.0"}, "Valkey 7.1.0"),
        ({"redis_version": "7.2.4", "valkey_version": "8.1.8"}, ""),
        ({"redis_version": "unstable"}, ""),
    ],
)
def test_versions(said: dict[str, str], old: str) -> None:
    """Redis from 7.0 and Valkey from 7.2 are taken, also by a server that calls itself both."""
    refusals = judge(GOOD | said).refusals
    assert refusals == ((f"redis.url: {old}; Redis 7.0 or Valkey 7.2 or newer is needed",) if old else ())


def test_a_silent_server_is_a_caution() -> None:
    """A server that does not tell its policy is used, with a word to its operator."""
    found = judge(info_lines("# Server\r\nredis_version:7.4.1\r\n"))
    assert found.refusals == ()
    assert len(found.cautions) == 1 and "maxmemory-policy" in found.cautions[0]


async def test_a_server_that_evicts_is_refused(server: str, tmp_path: Path, spawn: Callable[..., Popen[str]]) -> None:
    """`serve` and `worker` end at once with one line that says the remedy, and 69."""
    async with Link(server) as link:
        await link.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    file = tmp_path / "config.json"
    document = {"server": {"port": 0, "host": "127.0.0.1"}, "redis": {"url": server}, "whatsapp": [account()]}
    file.write_text(json.dumps(document))
    for command in ("serve", "worker", "run"):
        process = spawn(command)
        said, _ = process.communicate(timeout=30)
        assert process.returncode == 69
        assert said.splitlines() == [
            "redis.url: maxmemory-policy is allkeys-lru, so a full server would throw events away; set it to noeviction"
        ]


def test_a_server_without_aof_is_a_caution(server: str) -> None:
    """It is used, and start-up says what is lost when it dies."""
    import asyncio

    async def spoil() -> None:
        async with Link(server) as link:
            await link.call("CONFIG", "SET", "appendonly", "no")

    asyncio.run(spoil())
    (caution,) = durability.check(server)
    assert "appendonly is off" in caution


def test_a_server_that_is_away_is_waited_for() -> None:
    """No refusal: intake answers 503 meanwhile, and workers wait."""
    (caution,) = durability.check("redis://127.0.0.1:9")
    assert caution.startswith("redis.url: not reached, waiting for it")


def test_a_refusal_names_every_reason() -> None:
    """All that is wrong at once."""
    found = judge({"redis_version": "5.0.1", "maxmemory_policy": "volatile-ttl", "aof_enabled": "0"})
    assert (len(found.refusals), len(found.cautions)) == (2, 1)


async def test_a_policy_that_changes_later_is_told(
    server: str, make_gateway: Callable[..., Gateway], caplog: pytest.LogCaptureFixture
) -> None:
    """The hourly self-check looks again: a policy set at run time would lose events without a word."""
    gateway = make_gateway(redis={"url": server, "prefix": "t"})
    gateway.url = server
    gateway.write()
    worker = await gateway.add_worker()
    async with Link(server) as link:
        await link.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    await worker.self_check()
    assert [record.message for record in caplog.records if "maxmemory-policy" in record.message] != []
