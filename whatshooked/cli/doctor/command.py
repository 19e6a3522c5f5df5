"""`doctor`: the whole chain from Meta to the hooks, one line for each link: fine, or the reason and what mends it."""

import argparse
import asyncio
import sys

import msgspec

from whatshooked.boot import Boot, config_path
from whatshooked.cli.doctor import checks, machine
from whatshooked.cli.doctor.event_log import event_log
from whatshooked.cli.doctor.findings import Finding
from whatshooked.cli.doctor.gather import gather
from whatshooked.cli.graph import connected
from whatshooked.cli.program import fitting
from whatshooked.config import Account, BusinessApi, Config, Loaded, load
from whatshooked.errors import EmbeddedError
from whatshooked.keys import Keys
from whatshooked.meta.graph import Graph

_MARKS = {"ok": "✓", "warn": "!", "fail": "✗"}
#: Warnings of the config that a check of ours says better.
_SAID = (".api_version", ".app_secret")


def doctor(options: argparse.Namespace) -> int:
    """Print every finding; 1 when something is broken. Raises ConfigError."""
    loaded = load(config_path())
    accounts = connected(loaded.config, options.account)
    findings = asyncio.run(_of_accounts(accounts, loaded.config))
    findings += _of_config(loaded) + asyncio.run(_of_machine(loaded.config, accounts)) + _of_redis(loaded.config)
    findings = [Finding(one.level, one.check, fitting(one.text), fitting(one.remedy), one.account) for one in findings]
    if options.json:
        print(as_json(findings))
    else:
        print("\n".join(lines(findings)))
    return int(any(one.level == "fail" for one in findings))


def as_json(findings: list[Finding]) -> str:
    """Return the findings as one JSON object, for machines."""
    document = {"ok": all(one.level != "fail" for one in findings), "findings": findings}
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def lines(findings: list[Finding]) -> list[str]:
    """Return the findings for people: by account, then the machine."""
    marks = _MARKS if (sys.stdout.encoding or "").lower().replace("-", "") == "utf8" else {"ok": "+", "fail": "x"}
    said = []
    for name in dict.fromkeys(one.account for one in findings):
        said.append(f"account {name}" if name else "this machine")
        for one in (one for one in findings if one.account == name):
            said.append(f"  {marks.get(one.level, '!')} {one.check:<11} {one.text}")
            said += [f"    {'':<11} -> {one.remedy}"] if one.remedy else []
    counts = {level: sum(one.level == level for one in findings) for level in _MARKS}
    return [*said, f"{counts['ok']} fine, {counts['warn']} to look at, {counts['fail']} broken"]


async def _of_accounts(accounts: list[tuple[Account, BusinessApi]], config: Config) -> list[Finding]:
    graph = Graph()
    try:
        facts = [await gather(graph, account, api, config.whatsapp) for account, api in accounts]
    finally:
        await graph.close()
    return [finding for one in facts for finding in checks.of_account(one)]


async def _of_machine(config: Config, accounts: list[tuple[Account, BusinessApi]]) -> list[Finding]:
    found = await machine.gateway(address(config), accounts) if config.server.port else []
    found += await machine.files(config) + await event_log(config)
    found += machine.disk(config, embedded=not config.redis.url)
    return found + await machine.hooks(config.hooks)


def _of_redis(config: Config) -> list[Finding]:
    try:
        boot = Boot.peek()
    except EmbeddedError as error:
        return [Finding("fail", "redis", "the embedded server does not start", str(error))]
    try:
        keys = Keys(config.redis.prefix)
        return asyncio.run(machine.redis(boot.url, keys, ours=boot.embedded is not None))
    finally:
        boot.close()


def _of_config(loaded: Loaded) -> list[Finding]:
    """Return the config's own warnings, but for those that the checks of an account say as well."""
    found = []
    for warning in loaded.warnings:
        _, place, text = warning.split(": ", 2) if warning.count(": ") > 1 else ("", "", warning)
        if not place.endswith(_SAID):
            found.append(Finding("warn", "config", f"{place}: {text}" if place else text))
    return found or [Finding("ok", "config", f"{loaded.config.path} is fine")]


def address(config: Config) -> str:
    """Return where this config's gateway is reached from here."""
    host = config.server.host
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 - compared, not bound
        host = "127.0.0.1" if host != "::" else "::1"
    return f"http://{f'[{host}]' if ':' in host else host}:{config.server.port}"
