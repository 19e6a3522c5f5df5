"""The checks of one account: facts in, findings out; pure.

Each check yields one finding, in the order in which an account is set up. What cannot be seen because of a fault that
was found before is said as such, so that one cause does not look like ten.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from whatshooked.cli.doctor import webhook
from whatshooked.cli.doctor.facts import Facts
from whatshooked.cli.doctor.findings import Finding, command, unseen
from whatshooked.config.rules import days_of_version, version_end
from whatshooked.meta.failure import GraphFailure
from whatshooked.meta.objects import MANAGEMENT, MESSAGING, Number, Token

_NEEDED = (MANAGEMENT, MESSAGING)
#: Scopes that do no harm beside the needed ones.
_USUAL = frozenset({*_NEEDED, "business_management", "public_profile", "whatsapp_business_manage_events"})
_DAY = 86_400
_NOTICE_DAYS = 14
_NEW_TOKEN = "make a token of a system user (business settings > System users) with both WhatsApp permissions"  # noqa: S105 - advice about one


def of_account(facts: Facts) -> Iterator[Finding]:
    """Yield the findings of one account."""
    blocked = False
    for check in (_token, _scopes, _waba, _number, _registered, _verified, _quality, webhook.app, webhook.subscribed):
        finding = check(facts, blocked)
        blocked = blocked or (finding.level == "fail" and check in (_token, _scopes, _waba))
        yield _named(finding, facts)
    for other in (webhook.callback, webhook.answers, webhook.fields, _version):
        yield _named(other(facts), facts)


def _named(finding: Finding, facts: Facts) -> Finding:
    return Finding(finding.level, finding.check, finding.text, finding.remedy, facts.account.id)


def _token(facts: Facts, _: bool) -> Finding:
    token = facts.token
    if isinstance(token, GraphFailure):
        if token.reached and token.code not in (0, 104, 190):  # this token may not ask about itself
            return Finding("warn", "token", f"Meta does not describe it: {token.line}", "set app_id and app_secret")
        return Finding("fail", "token", token.line, token.hint)
    if not token.is_valid:
        return Finding("fail", "token", token.error or "it is not valid", _NEW_TOKEN)
    days = (token.expires_at - facts.now) / _DAY
    if token.expires_at and days < _NOTICE_DAYS:
        return Finding("warn", "token", f"it expires in {days:.1f} days", _NEW_TOKEN)
    if token.type != "SYSTEM_USER":
        text = f"it is valid, but of type {token.type}: it ends with that person's session or password"
        return Finding("warn", "token", text, _NEW_TOKEN)
    end = f"expires in {days:.0f} days" if token.expires_at else "never expires"
    return Finding("ok", "token", f"a system user's, {end}")


def _scopes(facts: Facts, blocked: bool) -> Finding:
    if not isinstance(facts.token, Token) or blocked:
        return unseen("scopes", None, blocked)
    if lacking := [scope for scope in _NEEDED if scope not in facts.token.scopes]:
        text = f"the token lacks {' and '.join(lacking)}"
        return Finding("fail", "scopes", text, "make a new token with both WhatsApp permissions ticked")
    if excess := [scope for scope in facts.token.scopes if scope not in _USUAL]:
        text = f"the token may do more than is needed: {', '.join(excess)}"
        return Finding("warn", "scopes", text, "make one with the two WhatsApp permissions alone")
    return Finding("ok", "scopes", " and ".join(_NEEDED))


def _waba(facts: Facts, blocked: bool) -> Finding:
    if blocked:
        return unseen("waba", None, blocked)
    if not facts.waba_id:
        return Finding("warn", "waba", "not known which it is", "set business_account_id")
    token, waba_id = facts.token, facts.waba_id
    if isinstance(token, Token) and not all(token.reaches(scope, waba_id) for scope in _NEEDED):
        targets = sorted({target for ids in token.targets.values() for target in ids})
        text = f"the token does not reach WABA {waba_id}, only {', '.join(targets) or 'none'}"
        return Finding(
            "fail", "waba", text, "assign the WABA to the system user and make a new token, or correct the id"
        )
    if isinstance(facts.numbers, GraphFailure):
        remedy = f"correct business_account_id: {command('businesses', facts)} lists what the token sees"
        return Finding("fail", "waba", f"WABA {waba_id}: {facts.numbers.line}", remedy)
    if isinstance(facts.number, Number) and facts.number.owner("WABA") not in ("", waba_id):
        text = f"the number belongs to WABA {facts.number.owner('WABA')}, not to {waba_id}"
        return Finding("fail", "waba", text, f'set business_account_id to "{facts.number.owner("WABA")}"')
    return Finding("ok", "waba", f"{waba_id}, among the token's")


def _number(facts: Facts, blocked: bool) -> Finding:
    given = facts.api.phone_number_id
    listed = f"{command('numbers', facts)} lists the right ones"
    if isinstance(facts.number, Number):
        if _digits(facts.number.phone) != _digits(facts.account.phone_number):
            text = f"{given} is {facts.number.phone}, the config says {facts.account.phone_number}"
            return Finding("warn", "number", text, "correct phone_number or phone_number_id")
        return Finding("ok", "number", f"{facts.number.phone}, shown as {facts.number.verified_name or 'no name yet'}")
    mistaken = {facts.app_id: "the app's id", _digits(facts.account.phone_number): "the phone number, not its id"}
    whose = "a WABA's id" if facts.beneath is not None or given == facts.waba_id else mistaken.get(given)
    if whose:
        text = f"{given} is {whose}{_offer(facts.beneath or facts.numbers)}"
        return Finding("fail", "number", text, f"correct phone_number_id: {listed}")
    if blocked or not facts.number.reached:
        return unseen("number", facts.number, blocked)
    if facts.number.code != 100 and facts.number.status != 200:
        return unseen("number", facts.number, blocked)
    text = f"no number that this token sees has the id {given}{_offer(facts.numbers)}"
    return Finding("fail", "number", text, f"correct phone_number_id: {listed}")


def _offer(numbers: list[Number] | GraphFailure | None) -> str:
    if not isinstance(numbers, list) or not numbers:
        return ""
    return "; there is " + ", ".join(f"{one.id} ({one.phone})" for one in numbers[:5])


def _registered(facts: Facts, blocked: bool) -> Finding:
    if not isinstance(facts.number, Number):
        return unseen("registered", None, blocked)
    status, platform = facts.number.status, facts.number.platform_type
    register = command("register", facts) + " --pin PIN"
    match status:
        case "CONNECTED" if platform in ("", "CLOUD_API"):
            return Finding("ok", "registered", "connected to the Cloud API")
        case "CONNECTED" | "PENDING" | "DISCONNECTED" | "UNVERIFIED" | "MIGRATED" | "DELETED":
            where = f", platform {platform}" if platform not in ("", "CLOUD_API", "NOT_APPLICABLE") else ""
            return Finding("fail", "registered", f"the number is not registered (status {status}{where})", register)
        case "":
            return Finding("warn", "registered", "Meta does not tell the number's status", register)
        case "BANNED":
            return Finding("fail", "registered", "Meta has banned the number", "appeal in the WhatsApp manager")
        case _:
            return Finding("warn", "registered", f"the number's status is {status}", "see the WhatsApp manager")


def _verified(facts: Facts, blocked: bool) -> Finding:
    if not isinstance(facts.number, Number):
        return unseen("verified", None, blocked)
    number = facts.number
    if number.name_status in ("DECLINED", "EXPIRED"):
        text = f"the display name {number.verified_name!r} is {number.name_status.lower()}"
        return Finding("warn", "verified", text, "choose another name in the WhatsApp manager")
    if number.code_verification_status in ("VERIFIED", ""):
        return Finding("ok", "verified", "the number is proven to be yours")
    if number.status == "CONNECTED":  # the proof runs out; a registered number does without
        return Finding("ok", "verified", f"its proof is {number.code_verification_status.lower()}, which does no harm")
    remedy = command("request-code", facts) + ", then verify-code"
    return Finding("fail", "verified", "the number is not proven to be yours", remedy)


def _quality(facts: Facts, blocked: bool) -> Finding:
    if not isinstance(facts.number, Number):
        return unseen("quality", None, blocked)
    number, doubts = facts.number, []
    if number.quality_rating in ("RED", "YELLOW"):
        doubts.append(f"{number.quality_rating}: users block or report the number")
    for part in number.health if number.status == "CONNECTED" else ():
        if part.can_send in ("LIMITED", "BLOCKED"):
            why = "; ".join(part.problems) or "Meta does not say why"
            doubts.append(f"sending is {part.can_send.lower()} ({part.kind}): {why}")
    if doubts:
        return Finding("warn", "quality", ", and ".join(doubts), "see the WhatsApp manager; write to who asked for it")
    mode = ", a test number: it writes only to the recipients of its list" if number.account_mode == "SANDBOX" else ""
    return Finding("ok", "quality", f"{number.quality_rating or 'not rated yet'}{mode}")


def _version(facts: Facts) -> Finding:
    today = datetime.fromtimestamp(facts.now, UTC).date()
    version = facts.api.api_version
    if not (text := version_end(version, today)):
        return Finding("ok", "version", f"{version} is alive")
    dead = (days_of_version(version, today) or 0) <= 0
    return Finding("fail" if dead else "warn", "version", f"{version}: {text}", "set api_version to a newer one")


def _digits(phone: str) -> str:
    return re.sub(r"\D", "", phone)
