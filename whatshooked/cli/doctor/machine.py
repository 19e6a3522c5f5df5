"""The checks of this machine: the running gateway, Redis, the disk, the hooks."""

import asyncio
import secrets
import shutil
import ssl
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from whatshooked.cli.doctor.facts import WEBHOOK_PATH
from whatshooked.cli.doctor.findings import Finding
from whatshooked.config import Account, BusinessApi, Config, Hook
from whatshooked.errors import ConfigError, StoreUnavailable, StreamUnavailable
from whatshooked.hooks.delivery import shown
from whatshooked.keys import Keys
from whatshooked.media.part import BUFFER
from whatshooked.media.store import open_store
from whatshooked.meta.signature import sign
from whatshooked.stream import durability
from whatshooked.stream.link import Link

#: Bytes of free disk below which it is said, and below which it is a fault.
ROOM, LITTLE = 2 << 30, 200 << 20
_PATIENCE = 5.0
#: What a full disk does, by the key that names its folder.
_FULL = {
    "message_cache.data_path": "the intake",
    "media.data_path": "the storing of files",
    "event_logger.file_dir": "that target of the event log",
    "event_logger.sqlite_path": "that target of the event log",
}
#: What nobody stores: a webhook without an entry.
_EMPTY = b'{"object":"whatsapp_business_account","entry":[]}'


async def gateway(base: str, accounts: Sequence[tuple[Account, BusinessApi]]) -> list[Finding]:
    """Return whether the gateway that runs at this address takes verifications and signatures by this config."""
    async with httpx.AsyncClient(base_url=base, timeout=_PATIENCE, trust_env=False) as client:
        try:
            ready = await client.get("/ready")
        except httpx.HTTPError:
            text = f"no gateway answers at {base}: its webhook could not be tried"
            return [Finding("warn", "gateway", text, "start it: whatshooked run")]
        if ready.status_code != 200:
            text = f"it runs at {base}, but cannot take a webhook now (HTTP {ready.status_code})"
            return [Finding("fail", "gateway", text, "look at Redis: its log, its memory, its disk")]
        found = [Finding("ok", "gateway", f"ready at {base}")]
        try:
            return found + [await _self_test(client, account, api) for account, api in accounts]
        except httpx.HTTPError as error:
            return [Finding("fail", "gateway", f"it stopped answering: {type(error).__name__}", "see its log")]


async def _self_test(client: httpx.AsyncClient, account: Account, api: BusinessApi) -> Finding:
    """Verify and deliver as Meta does, and without a signature as a stranger does."""
    path, challenge = WEBHOOK_PATH + account.id, str(secrets.randbelow(10**9))
    query = {"hub.mode": "subscribe", "hub.verify_token": api.verify_token, "hub.challenge": challenge}
    verified = await client.get(path, params=query)
    headers = {"content-type": "application/json"}
    bare = await client.post(path, content=_EMPTY, headers=headers)
    signed = [
        await client.post(path, content=_EMPTY, headers=headers | {"x-hub-signature-256": sign(_EMPTY, secret)})
        for secret in api.app_secret
    ]
    wrong = _differences(verified.text == challenge, bare.status_code, [answer.status_code for answer in signed])
    if wrong:
        text = f"the running gateway has read another config: {', '.join(wrong)}"
        return Finding("fail", "self-test", text, "let it read the config again: kill -HUP its process", account.id)
    refused = f"signed webhooks are taken, unsigned ones refused (HTTP {bare.status_code})"
    how = refused if signed else "unsigned webhooks are taken, since there is no app_secret"
    return Finding("ok", "self-test", f"the verify token is answered, {how}", account=account.id)


def _differences(verified: bool, bare: int, signed: Sequence[int]) -> list[str]:
    """Return what a running gateway does otherwise than its config says, by the statuses of what it was sent."""
    found = [] if verified else ["it does not take this verify_token"]
    found += [f"it refuses what this app_secret signs (HTTP {status})" for status in signed if status != 200]
    if signed and bare == 200:
        found.append("it takes unsigned webhooks")
    if not signed and bare != 200:
        found.append(f"it refuses unsigned webhooks (HTTP {bare}), so it has an app_secret")
    return found


async def redis(url: str, keys: Keys, *, ours: bool) -> list[Finding]:
    """Return what is to be said of Redis; `ours` is the embedded server."""
    name = "the embedded server" if ours else "redis.url"
    try:
        async with Link(url) as link:
            found = await durability.examine(link)
            await link.call("SET", keys.ready, b"." * 4096, "EX", 60)
    except StreamUnavailable as error:
        return [Finding("fail", "redis", f"{name} does not take a write: {error}", "start it, give it room")]
    told = [(level, line) for level, lines in (("fail", found.refusals), ("warn", found.cautions)) for line in lines]
    findings = [_of_redis(level, line) for level, line in told]
    return findings or [Finding("ok", "redis", f"{name} takes writes, keeps them on disk, and evicts nothing")]


def _of_redis(level: str, line: str) -> Finding:
    text, _, remedy = line.removeprefix("redis.url: ").partition("; ")
    return Finding("fail" if level == "fail" else "warn", "redis", text, remedy)


async def files(config: Config) -> list[Finding]:
    """Return whether files of messages can be stored: one is begun and thrown away, or the bucket is listed."""
    media = config.media
    place = media.storage or f"media.data_path ({media.data_path})"
    try:
        store = open_store(media)
        async with asyncio.timeout(4 * _PATIENCE), store.part() as part:
            await part.write(bytes(BUFFER))
            async for _ in store.held():
                break
    except ConfigError as error:
        return [Finding("fail", "files", str(error), "correct it; nothing starts with it")]
    except (StoreUnavailable, TimeoutError) as error:
        text = str(error) or f"{place} does not answer"
        return [Finding("fail", "files", text, "until then messages go out without their files")]
    return [Finding("ok", "files", f"can be stored in {place}")]


def disk(config: Config, *, embedded: bool) -> list[Finding]:
    """Return whether the folders of this config have room."""
    folders = [("message_cache.data_path", config.message_cache.data_path)] if embedded else []
    folders += [] if config.media.storage else [("media.data_path", config.media.data_path)]
    logger = config.event_logger
    targets = logger.targets if logger.enabled else ()
    folders += [("event_logger.file_dir", logger.file_dir)] if "file" in targets else []
    folders += [("event_logger.sqlite_path", logger.sqlite_path)] if "sqlite" in targets else []
    return [_room(key, Path(folder), _free(Path(folder))) for key, folder in folders]


def _free(folder: Path) -> int:
    there = next((place for place in (folder, *folder.absolute().parents) if place.exists()), Path("/"))
    return shutil.disk_usage(there).free


def _room(key: str, folder: Path, free: int) -> Finding:
    text = f"{free / (1 << 30):.1f} GB free for {key} ({folder})"
    if free < ROOM:
        return Finding("fail" if free < LITTLE else "warn", "disk", text, f"make room: a full disk stops {_FULL[key]}")
    return Finding("ok", "disk", text)


async def hooks(found: Sequence[Hook]) -> list[Finding]:
    """Return whether the active hooks' hosts answer; no event is sent."""
    return list(await asyncio.gather(*(_hook(hook) for hook in found if hook.active)))


async def _hook(hook: Hook) -> Finding:
    parts = urlsplit(hook.url)
    secure = parts.scheme == "https"
    context = ssl.create_default_context() if secure else None
    try:
        async with asyncio.timeout(_PATIENCE):
            _, writer = await asyncio.open_connection(
                parts.hostname, parts.port or (443 if secure else 80), ssl=context
            )
    except (OSError, TimeoutError, ValueError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "verify_message", None) or type(error).__name__
        text = f"{hook.id}: {shown(hook.url)} cannot be reached: {reason}"
        return Finding("fail", "hook", text, "start the receiver, or correct hooks[].url; events wait for it meanwhile")
    writer.close()
    return Finding("ok", "hook", f"{hook.id}: {shown(hook.url)} can be reached")
