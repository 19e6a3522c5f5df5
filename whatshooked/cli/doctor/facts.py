"""What `doctor` knows of one account when it judges: facts as Structs, and what follows from them; pure."""

from collections.abc import Sequence

from msgspec import Struct

from whatshooked.config import Account, BusinessApi
from whatshooked.meta.accounts import trusts
from whatshooked.meta.failure import GraphFailure
from whatshooked.meta.objects import Number, Subscriber, Subscription, Token

#: The path of an account's webhook, before its id.
WEBHOOK_PATH = "/webhooks/whatsapp/"
#: Where people find the ids of numbers and WABAs.
WHERE = "app dashboard > WhatsApp > API Setup, or the WhatsApp manager"


class Probe(Struct, frozen=True):
    """What a callback URL answers to a verification; `error` when nothing answered."""

    url: str
    #: Which setting it comes from: phone_number, whatsapp_business_account or application.
    level: str
    #: The account whose path it is; "" when its path is none of ours.
    account_id: str
    #: Status of the last answer, whether a gateway of ours gave the first, and whether the challenge came back.
    status: int = 0
    ours: bool = False
    verified: bool = False
    error: str = ""


class Facts(Struct, frozen=True, kw_only=True):
    """Everything that was seen of one account; None = not looked at."""

    account: Account
    api: BusinessApi
    #: Unix seconds.
    now: float
    token: Token | GraphFailure
    #: The app's id, configured or told by the token; "" when unknown.
    app_id: str
    #: Why Meta does not take the app secret, None when it does or was not asked.
    app_secret: GraphFailure | None
    number: Number | GraphFailure
    #: Numbers that are found under `phone_number_id`: then it is a WABA's.
    beneath: list[Number] | None
    #: The WABA that is configured, else the learned one; and the one that number or token tell, "" when neither does.
    waba_id: str
    learned_waba: str
    numbers: list[Number] | GraphFailure | None
    subscribers: list[Subscriber] | GraphFailure | None
    subscriptions: list[Subscription] | GraphFailure | None
    probe: Probe | None


def callback_of(
    number: Number | GraphFailure, subscriptions: list[Subscription] | GraphFailure | None
) -> tuple[str, str]:
    """Return where Meta sends messages: the level of the setting, and the URL ("" = nowhere, or not known)."""
    known = dict(number.webhooks) if isinstance(number, Number) else {}
    if isinstance(subscriptions, list):
        known["application"] = subscriptions[0].callback_url if subscriptions else ""
    levels = ("phone_number", "whatsapp_business_account", "application")
    return next(((level, known[level]) for level in levels if known.get(level)), ("", ""))


def owner_of(url: str, account: Account, accounts: Sequence[Account]) -> Account | None:
    """Return the account whose webhook path a URL ends with, if what comes by it may be the account's."""
    path = url.partition("?")[0].rstrip("/")
    named = [one for one in accounts if path.endswith(WEBHOOK_PATH + one.id) and trusts(account, one)]
    return account if account in named else named[0] if named else None
