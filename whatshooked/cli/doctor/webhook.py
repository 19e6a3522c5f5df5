"""The checks of one account's way in: app, subscription, callback URL, fields; facts in, findings out; pure."""

from whatshooked.cli.doctor.facts import WEBHOOK_PATH, Facts
from whatshooked.cli.doctor.findings import Finding, command, unseen
from whatshooked.meta.objects import Token

#: Fields that say of trouble before it stops messages.
USEFUL_FIELDS = (
    "account_update",
    "phone_number_quality_update",
    "phone_number_name_update",
    "message_template_status_update",
)


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
        return Finding("warn", "callback", "not known: app_id and app_secret would tell it", "set them")
    where = {"phone_number": " (set for this number)", "whatsapp_business_account": " (set for this WABA)"}
    text = f"{probe.url}{where.get(probe.level, '')}"
    if not probe.account_id:
        right = f"{WEBHOOK_PATH}{facts.account.id}"
        level = {"phone_number": " --level number", "whatsapp_business_account": " --level waba"}.get(probe.level, "")
        return Finding("fail", "callback", f"{text} is no path of this gateway: it ends with {right}", set_it + level)
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
        return Finding("fail", "answers", f"no answer from the URL: {probe.error}", remedy)
    if probe.refused_with == 403:
        text = "the gateway there does not take this config's verify_token"
        return Finding("fail", "answers", text, "let it read its config again (SIGHUP), or correct verify_token")
    text = f"HTTP {probe.refused_with} to a verification: that is not this gateway"
    return Finding("fail", "answers", text, "correct the proxy, or the callback URL: " + command("webhook", facts))


def fields(facts: Facts) -> Finding:
    """Whether messages are among what Meta sends."""
    if not isinstance(facts.subscriptions, list):
        return Finding("warn", "fields", "not known: app_id and app_secret would tell them", "set them")
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
    return Finding("ok", "fields", ", ".join(names))
