"""The checks of one account: facts in, findings out; pure.

Each check yields one finding, in the order in which an account is set up. What cannot be seen because of a fault that
was found before is said as such, so that one cause does not look like ten.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from whatshooked.cli.doctor import webhook
from whatshooked.cli.doctor.facts import WHERE, Facts
from whatshooked.cli.doctor.findings import Finding, as_app, command, unseen
from whatshooked.config.model import DEFAULT_VERSION
from whatshooked.config.rules import VERSION_ENDS, days_of_version, version_end
from whatshooked.meta.failure import GraphFailure
from whatshooked.meta.objects import MANAGEMENT, MESSAGING, Number, Token

_NEEDED = (MANAGEMENT, MESSAGING)
#: Scopes that do no harm beside the needed ones.
_USUAL = frozenset({*_NEEDED, "business_management", "public_profile", "whatsapp_business_manage_events"})
_HOUR, _DAY = 3600, 86_400
_NOTICE_DAYS = 14
_NEW_TOKEN = "make a token of a system user (business settings > System users) with both WhatsApp permissions"  # noqa: S105 - advice about one
_ASSIGN = "assign the WABA to the system user and make a new token"
_COPY = f"copy business_account_id again ({WHERE}), or {_ASSIGN}"
#: The versions whose end is known, or known to be open.
_VERSIONS = frozenset(f"v{major}.{minor}" for major, minor in VERSION_ENDS)


def of_account(facts: Facts) -> Iterator[Finding]:
    """Yield the findings of one account."""
    blocked = False
    for check in (_token, _scopes, _waba, _number, _verified, _registered, _quality, webhook.app, webhook.subscribed):
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
            return Finding("warn", "token", f"Meta does not describe it: {token.line}", as_app(facts))
        return Finding("fail", "token", token.line, token.hint)
    if not token.is_valid:
        return Finding("fail", "token", token.error or "it is not valid", _NEW_TOKEN)
    left = token.expires_at - facts.now
    if token.expires_at and left < _NOTICE_DAYS * _DAY:
        span = f"{left / _HOUR:.0f} hours" if left < 2 * _DAY else f"{left / _DAY:.0f} days"
        return Finding("warn", "token", f"it expires in {span}", _NEW_TOKEN)
    if token.type != "SYSTEM_USER":
        text = f"it is valid, but of type {token.type}: it ends with that person's session or password"
        return Finding("warn", "token", text, _NEW_TOKEN)
    end = f"expires in {left / _DAY:.0f} days" if token.expires_at else "never expires"
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
    waba_id, learned = facts.waba_id, facts.learned_waba
    if not waba_id:
        return Finding("warn", "waba", "not known which it is", f"set business_account_id ({WHERE})")
    if learned not in ("", waba_id):
        text = f"the number belongs to WABA {learned}, not to {waba_id}"
        return Finding("fail", "waba", text, f'set business_account_id to "{learned}"')
    if isinstance(facts.token, Token) and not all(facts.token.reaches(scope, waba_id) for scope in _NEEDED):
        reached = {one for scope in _NEEDED for one in facts.token.targets.get(scope, ())}
        text = f"the token does not reach WABA {waba_id}, only {', '.join(sorted(reached)) or 'none'}"
        return Finding("fail", "waba", text, f"{_ASSIGN}, or correct business_account_id")
    if isinstance(facts.numbers, GraphFailure):
        text, code = f"WABA {waba_id}: {facts.numbers.line}", facts.numbers.code
        return Finding("fail", "waba", text, _COPY if code == 100 else facts.numbers.hint)
    return Finding("ok", "waba", f"{waba_id}, among the token's")


def _number(facts: Facts, blocked: bool) -> Finding:
    given = facts.api.phone_number_id
    if isinstance(facts.number, Number):
        if _digits(facts.number.phone) != _digits(facts.account.phone_number):
            text = f"{given} is {facts.number.phone}, the config says {facts.account.phone_number}"
            return Finding("warn", "number", text, "correct phone_number or phone_number_id")
        return Finding("ok", "number", f"{facts.number.phone}, shown as {facts.number.verified_name or 'no name yet'}")
    if whose := _mistaken(facts):
        there = facts.beneath or facts.numbers
        return Finding("fail", "number", f"{given} is {whose}{_offer(there)}", _set_number(facts, there))
    if blocked or not facts.number.reached:
        return unseen("number", facts.number, blocked)
    if facts.number.code != 100 and facts.number.status != 200:
        return unseen("number", facts.number, blocked)
    text = f"no number that this token sees has the id {given}{_offer(facts.numbers)}"
    return Finding("fail", "number", text, _set_number(facts, facts.numbers))


def _mistaken(facts: Facts) -> str:
    """Return what `phone_number_id` is instead, "" when that is not known."""
    given = facts.api.phone_number_id
    if facts.beneath is not None or given == facts.waba_id:
        return "a WABA's id"
    others = {facts.app_id: "the app's id", _digits(facts.account.phone_number): "the phone number, not its id"}
    return others.get(given, "")


def _set_number(facts: Facts, numbers: list[Number] | GraphFailure | None) -> str:
    """Return which id to set: the only one there is, or where all of them are shown."""
    if isinstance(numbers, list) and len(numbers) == 1:
        return f'set phone_number_id to "{numbers[0].id}"'
    beneath = f" --waba {facts.api.phone_number_id}" if facts.beneath else ""
    return f"correct phone_number_id: {command('numbers', facts)}{beneath} lists the right ones"


def _offer(numbers: list[Number] | GraphFailure | None) -> str:
    if not isinstance(numbers, list) or not numbers:
        return ""
    return "; there is " + ", ".join(f"{one.id} ({one.phone})" for one in numbers[:5])


def _registered(facts: Facts, blocked: bool) -> Finding:
    if not isinstance(facts.number, Number):
        return unseen("registered", None, blocked)
    status, platform = facts.number.status, facts.number.platform_type
    register = command("register", facts) + " --pin PIN"
    if facts.number.code_verification_status not in ("VERIFIED", ""):
        register = f"{_prove(facts)}, then {register}"
    match status:
        case "CONNECTED" if platform in ("", "CLOUD_API"):
            return Finding("ok", "registered", "connected to the Cloud API")
        case "CONNECTED" if platform == "NOT_APPLICABLE":
            return Finding("fail", "registered", "the number is on no platform yet: it is not registered", register)
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
    if number.status == "CONNECTED" and number.platform_type != "NOT_APPLICABLE":
        # The proof runs out; a registered number does without.
        return Finding("ok", "verified", f"its proof is {number.code_verification_status.lower()}, which does no harm")
    return Finding("fail", "verified", "the number is not proven to be yours", _prove(facts))


def _prove(facts: Facts) -> str:
    return f"{command('request-code', facts)}, then {command('verify-code', facts)} CODE"


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
    version, newer = facts.api.api_version, f'set api_version to "{DEFAULT_VERSION}"'
    if text := version_end(version, today):
        dead = (days_of_version(version, today) or 0) <= 0
        return Finding("fail" if dead else "warn", "version", f"{version}: {text}", newer)
    if version not in _VERSIONS:
        return Finding("warn", "version", f"{version} is not known to this gateway: does Meta have it?", newer)
    return Finding("ok", "version", f"{version} is alive")


def _digits(phone: str) -> str:
    return re.sub(r"\D", "", phone)
