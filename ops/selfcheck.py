"""The hourly self-check of a worker, now: for tests and proofs that cannot wait an hour."""

import time

import msgspec

from whatshooked.keys import Keys
from whatshooked.stream.link import Link


async def enqueue_self_check(link: Link, keys: Keys, name: str = "now") -> str:
    """Hand the job to arq as its own timer does; returns the job's key, which is gone when it is done."""
    now = round(time.time() * 1000)
    job: dict[str, object] = {"t": None, "f": "cron:self_check", "a": [], "k": {}, "et": now}
    await link.call("SET", f"{keys.arq}job:{name}", msgspec.msgpack.encode(job))
    await link.call("ZADD", f"{keys.arq}queue", now, name)
    return f"{keys.arq}job:{name}"
