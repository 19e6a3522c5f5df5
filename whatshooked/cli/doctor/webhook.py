"""The checks of one account's way in: app, subscription, callback URL, fields; facts in, findings out; pure."""

from whatshooked.cli.doctor.facts import WEBHOOK_PATH, Facts
from whatshooked.cli.doctor.findings import Finding, as_app, command, unseen
from whatshooked.meta.objects import Token

#: Fields that say of trouble before it stops messages.
USEFUL_FIELDS = (
    "account_update",
    "phone_number_quality_update",
    "phone_number_name_update",
    "message_template_status_update",
)
#: Levels of a callback URL that stands before the app's, as `account webhook --level` calls them.
_LEVELS = {"phone_number": "number", "whatsapp_business_account": "waba"}


def app(facts: Facts, blocked: bool) -> Finding:
    """Whether the app secret is that of the token's app."""
    if not facts.api.app_secret:
        remedy = "set app_secret (app dashboard > App settings > Basic)"
        return Finding("warn", "app", "no app_secret: webhooks are accepted without proof that Meta sent them", remedy)
    told = facts.token.app_id if isinstance(facts.token, Token) else ""
    if facts.api.app_id and told and told != facts.api.app_id:
        text = f"the token is of app {told}, the config says {facts.api.app_id}"
        return Finding("fail", "app", text, f'set app_id to "{told}", and that app\'s secret')
    if facts.app_secret is not None:
        text = f"Meta does not take app_secret for app {facts.app_id}: {facts.app_secret.line}"
        return Finding("fail", "app", text, "copy it again (app dashboard > App settings > Basic), with its app_id")
    if not facts.app_id and not blocked:
        return Finding("warn", "app", "which app it is is not known: its secret could not be tried", as_app(facts))
    if not isinstance(facts.subscriptions, list):
        failure = facts.subscriptions
        return Finding("warn", "app", failure.line, failure.hint) if failure else unseen("app", None, blocked)
    return Finding("ok", "app", f"{facts.app_id}, and its secret is right")


def subscribed(facts: Facts, blocked: bool) -> Finding:
    """Whether the app gets the WABA's webhooks at all."""
    subscribers = facts.subscribers
    if not isinstance(subscribers, list):
        return unseen("subscribed", subscribers, blocked)
    ids = [one.app_id for one in subscribers]
    if facts.app_id in ids:
        return Finding("ok", "subscribed", "the app gets the WABA's webhooks")
    if ids and not facts.app_id:
        return Finding("warn", "subscribed", f"apps {', '.join(ids)}; whether ours is one is not known", "set app_id")
    text = "the app is not subscribed to the WABA: the webhook is verified, yet nothing arrives"
    return Finding("fail", "subscribed", text, command("subscribe", facts))


def callback(facts: Facts) -> Finding:
    """Whether Meta's callback URL is a path of this gateway."""
    probe, set_it = facts.probe, command("webhook --url https://YOUR-DOMAIN", facts)
    if probe is None:
        if isinstance(facts.subscriptions, list):
            return Finding("fail", "callback", "the app has no callback URL", set_it)
        return Finding("warn", "callback", "not known: Meta shows it to the app alone", as_app(facts))
    where = {"phone_number": " (set for this number)", "whatsapp_business_account": " (set for this WABA)"}
    text = f"{probe.url}{where.get(probe.level, '')}"
    if not probe.account_id:
        right = f"{WEBHOOK_PATH}{facts.account.id}"
        level = f" --level {_LEVELS[probe.level]}" if probe.level in _LEVELS else ""
        text = f"{text} is no path of this gateway: it ends with {right}"
        return Finding("fail", "callback", text, f"{set_it}{level}{_or_remove(facts)}")
    return Finding("ok", "callback", text)


def answers(facts: Facts) -> Finding:
    """Whether the callback URL answers a verification as this gateway does."""
    probe = facts.probe
    if probe is None or not probe.account_id:
        return unseen("answers", None, blocked=True)
    if probe.verified:
        return Finding("ok", "answers", "the URL answers from here as Meta wants it")
    if "Timeout" in probe.error:
        text = "the URL does not answer from here; a firewall that lets only Meta in would look the same"
        return Finding("warn", "answers", text, "see whether Meta reaches it: app dashboard > Webhooks > Test")
    if probe.error:
        remedy = "start the gateway, check DNS, certificate and proxy"
        return Finding("fail", "answers", f"no answer from the URL: {probe.error}", remedy + _or_remove(facts))
    if probe.ours:
        text = "the gateway there does not take this config's verify_token"
        return Finding("fail", "answers", text, "let it read its config again (SIGHUP), or correct verify_token")
    text = f"HTTP {probe.status} from the URL: that is not this gateway, or one without this account"
    remedy = "correct the proxy, or the callback URL: " + command("webhook --url https://YOUR-DOMAIN", facts)
    return Finding("fail", "answers", text, remedy + _or_remove(facts))


def _or_remove(facts: Facts) -> str:
    """Return how to take off a callback URL that a number or a WABA has of its own, "" when it is the app's."""
    level = _LEVELS.get(facts.probe.level) if facts.probe else None
    if level is None:
        return ""
    return f"; or let the app's own URL count again: {command(f'webhook --level {level} --remove', facts)}"


def fields(facts: Facts) -> Finding:
    """Whether messages are among what Meta sends."""
    if not isinstance(facts.subscriptions, list):
        return Finding("warn", "fields", "not known: Meta shows them to the app alone", as_app(facts))
    if not facts.subscriptions:
        return unseen("fields", None, blocked=True)
    names = facts.subscriptions[0].fields
    if "messages" not in names:
        have = ", ".join(names) or "none"
        return Finding(
            "fail", "fields", f"messages is not subscribed (only {have})", command("webhook --fields messages", facts)
        )
    if lacking := [name for name in USEFUL_FIELDS if name not in names]:
        remedy = command(f"webhook --fields {','.join(lacking)}", facts)
        return Finding("ok", "fields", f"messages; {len(lacking)} more would tell of trouble early", remedy)
    return Finding("ok", "fields", f"messages and {len(names) - 1} more")
