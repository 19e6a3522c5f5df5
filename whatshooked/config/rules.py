"""Rules that look at more than one key: what is refused, and what the operator is warned of.

Refusals look at the walk's plain data, where a faulty value is UNSET; warnings look at the finished Config.
Both yield (path, text) and quote no value, since any value may be a secret from `env:` or `file:`.
"""

import base64
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import msgspec

from whatshooked.config.model import DEFAULT_VERSION, Account, BusinessApi, Config, Hook
from whatshooked.config.walk import nearest
from whatshooked.events import EVENT_TYPES

Finding = tuple[str, str]

#: The day each Graph API version dies, from Meta's changelog; None while Meta has not set it.
VERSION_ENDS: Mapping[tuple[int, int], date | None] = {
    (26, 0): None,
    (25, 0): date(2028, 7, 29),
    (24, 0): date(2028, 2, 18),
    (23, 0): date(2027, 10, 8),
    (22, 0): date(2027, 5, 20),
    (21, 0): date(2027, 1, 21),
    (20, 0): date(2026, 9, 24),
}
VERSION_NOTICE = timedelta(days=90)
VERIFY_TOKEN_LENGTH = 32
E164_DIGITS = range(7, 16)
#: What examples and old set-up guides hold; such a password protects nothing.
SAMPLE_PASSWORDS = frozenset(
    {"secure_password", "password", "admin", "changeme", "secret", "optional_api_key", "key-of-the-demo"}
)
#: Statuses Meta is known to send beyond the four; close in spelling to a name of ours, yet no slip.
RARE_STATUSES = frozenset({"message.played", "message.deleted", "message.warning", "message.pending"})
EVENT_FAMILIES = frozenset({"*", "message.*", "whatsapp.*", "hook.*", "meta.*"})
HERE = frozenset({"localhost", "127.0.0.1", "::1"})
SLIP = 0.85  # a name this like one of ours is a slip of the pen, not a status of Meta's


def refusals(found: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield why the file's parts do not fit together."""
    accounts, hooks = _objects(found, "whatsapp"), _objects(found, "hooks")
    yield from _doubled([(f"whatsapp[{n}].id", account.get("id")) for n, account in accounts])
    yield from _doubled([(f"hooks[{n}].id", hook.get("id")) for n, hook in hooks])
    yield from _doubled(
        [(f"whatsapp[{n}].business_api.phone_number_id", _phone_number_id(account)) for n, account in accounts]
    )
    yield from _unconnected(accounts)
    yield from _no_database(found)


def _objects(found: Mapping[str, Any], name: str) -> list[tuple[int, dict[str, Any]]]:
    items = found.get(name)
    if not isinstance(items, list):
        return []
    return [(n, item) for n, item in enumerate(items) if isinstance(item, dict)]


def _phone_number_id(account: Mapping[str, Any]) -> object:
    api = account.get("business_api")
    return api.get("phone_number_id") if isinstance(api, dict) else None


def _doubled(ids: Iterable[tuple[str, object]]) -> Iterator[Finding]:
    first: dict[str, str] = {}
    for path, value in ids:
        if not isinstance(value, str):
            continue
        if value in first:
            yield path, f"expected a value of its own, it is the same as {first[value]}"
        first.setdefault(value, path)


def _unconnected(accounts: Iterable[tuple[int, dict[str, Any]]]) -> Iterator[Finding]:
    for n, account in accounts:
        if account.get("type") == "business-api" and "business_api" not in account:
            yield (
                f"whatsapp[{n}].business_api",
                "missing, expected an object with phone_number_id, access_token and verify_token",
            )


def _no_database(found: Mapping[str, Any]) -> Iterator[Finding]:
    logger, database = found.get("event_logger"), found.get("database", {})
    if not isinstance(logger, dict) or logger.get("enabled") is not True or database is msgspec.UNSET:
        return
    targets = logger.get("targets")
    if isinstance(targets, list) and "postgres" in targets:
        for name in ("host", "database"):
            if name not in database:
                yield f"database.{name}", "missing, expected a string (event_logger.targets holds postgres)"


def cautions(config: Config, today: date) -> Iterator[Finding]:
    """Yield what the operator should know of a file that is used all the same."""
    if not config.whatsapp:
        yield "whatsapp", "no account is configured, so every webhook is answered 404; add one"
    if not config.hooks:
        yield "hooks", "no hook is configured, so every event stays in the message cache; add one"
    for n, account in enumerate(config.whatsapp):
        yield from _account(f"whatsapp[{n}]", account, today)
    accounts = [account.id for account in config.whatsapp]
    for n, hook in enumerate(config.hooks):
        yield from _hook(f"hooks[{n}]", hook, accounts)
    yield from _access(config)
    yield from _links(config)
    yield from _log(config)
    if config.media.storage_options and config.media.storage is None:
        yield "media.storage_options", "without effect: files go to media.data_path; name the store in media.storage"


def _account(path: str, account: Account, today: date) -> Iterator[Finding]:
    digits = account.phone_number.translate({ord(mark): None for mark in "+- ().\u00a0"})
    if not (digits.isascii() and digits.isdigit() and len(digits) in E164_DIGITS):
        yield f"{path}.phone_number", "does not look like a number in E.164, such as +1234567890"
    if account.type == "whatsmeow":
        yield f"{path}.type", "this version cannot connect a whatsmeow account; it stays unconnected"
    elif account.business_api:
        yield from _api(f"{path}.business_api", account.business_api, today)


def _api(path: str, api: BusinessApi, today: date) -> Iterator[Finding]:
    if len(api.verify_token) < VERIFY_TOKEN_LENGTH:
        yield f"{path}.verify_token", f"shorter than {VERIFY_TOKEN_LENGTH} characters, so it could be guessed"
    if not api.app_secret:
        yield (
            f"{path}.app_secret",
            "missing, so webhooks are accepted without proof that Meta sent them, and strangers can use up the "
            "look-ups of files; add business_api.app_secret (app dashboard > App settings > Basic > App secret)",
        )
    if text := version_end(api.api_version, today):
        yield f"{path}.api_version", f"{text}; use {DEFAULT_VERSION}"


def version_end(version: str, today: date) -> str:
    """Return what is to be said of a Graph API version that is dead or dies soon, "" of any other."""
    end, days = VERSION_ENDS.get(_numbers(version)), days_of_version(version, today)
    if days is None or days > VERSION_NOTICE.days:
        return ""
    if end is None:
        return "Meta has retired this version and answers it with another one"
    if days <= 0:
        return f"Meta retired this version on {end} and answers it with another one"
    return f"Meta retires this version on {end}"


def days_of_version(version: str, today: date) -> int | None:
    """Return the days that a Graph API version has left: 0 or less when it is dead, None while nobody knows."""
    if _numbers(version) < min(VERSION_ENDS):
        return 0
    end = VERSION_ENDS.get(_numbers(version))
    return None if end is None else (end - today).days


def _numbers(version: str) -> tuple[int, int]:
    major, minor = map(int, version.removeprefix("v").split("."))
    return major, minor


def _hook(path: str, hook: Hook, accounts: list[str]) -> Iterator[Finding]:
    for n, event in enumerate(hook.events):
        if near := _nearest_event(event):
            yield f"{path}.events[{n}]", f"no such event; the nearest is {near}"
    for n, account in enumerate(hook.accounts):
        if account not in accounts:
            yield f"{path}.accounts[{n}]", "no account of this file has this id, so the hook gets nothing from it"


def _nearest_event(event: str) -> str:
    """Return the event that was probably meant; "" for a name that may arrive."""
    if event in EVENT_TYPES or event in EVENT_FAMILIES or event in RARE_STATUSES:
        return ""
    family, _, rest = event.partition(".")
    if rest and family == "meta":
        return ""
    return nearest(event, EVENT_TYPES, SLIP if rest and family == "message" else 0.0)


def _access(config: Config) -> Iterator[Finding]:
    server = config.server
    if bool(server.username) != bool(server.password):
        lacking = "password" if server.username else "username"
        yield f"server.{lacking}", "missing, so Basic authentication is off; set both server.username and .password"
    if not (server.username and server.password) and not server.auth_key:
        yield "server", "no credentials, so /api/* answers only on loopback; set username and password, or auth_key"
    for name in ("password", "auth_key", "customers_key"):
        if getattr(server, name) in SAMPLE_PASSWORDS:
            yield f"server.{name}", "is the value of an example, which anybody knows; choose your own"
    if server.customers_key and server.customers_key in (server.auth_key, server.password):
        yield "server.customers_key", "opens all of /api/* as well; choose another, since dashboards hand it about"


def _links(config: Config) -> Iterator[Finding]:
    if config.media.base_url or not any((hook.media_mode or config.media.mode) != "base64" for hook in config.hooks):
        return
    far = [n for n, hook in enumerate(config.hooks) if urlsplit(hook.url).hostname not in HERE]
    if far:
        yield (
            "media.base_url",
            f"missing, so links to files point at localhost, where hooks[{far[0]}] cannot fetch them; set it to where "
            "the gateway is reached",
        )


def _log(config: Config) -> Iterator[Finding]:
    logger = config.event_logger
    if logger.enabled and not logger.targets:
        yield "event_logger.targets", "is empty, so nothing is logged; name file, sqlite or postgres"
    if logger.payloads and logger.mask:
        yield "event_logger.payloads", "without effect beside event_logger.mask: a payload shows what the mask hides"


def without_credentials(hook: Hook) -> Hook:
    """Return the hook with its URL's user and password moved to an Authorization header, where none is given.

    The earlier program's HTTP client sent them so; in the URL they would show in logs and metrics.
    """
    parts = urlsplit(hook.url)
    user, at, host = parts.netloc.rpartition("@")
    if not at:
        return hook
    headers = dict(hook.headers)
    if "authorization" not in {name.lower() for name in headers}:
        headers["Authorization"] = "Basic " + base64.b64encode(unquote(user).encode()).decode()
    return msgspec.structs.replace(hook, url=urlunsplit(parts._replace(netloc=host)), headers=headers)
