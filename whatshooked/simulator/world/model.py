"""What Meta knows, in the simulator: apps, tokens, businesses, WABAs, numbers, templates, users, media, messages.

All of it is data that can be written to a file and read again. Ids are what Meta calls them: `Number.id` is the
phone_number_id, `User.id` the business-scoped user id (BSUID).
"""

from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct, field

#: The two permissions that WhatsApp needs, and the one that lists businesses.
MESSAGING, MANAGEMENT, BUSINESS = "whatsapp_business_messaging", "whatsapp_business_management", "business_management"


class Subscription(Struct, kw_only=True, forbid_unknown_fields=True):
    """Where an app gets its webhooks: one callback URL, and the fields it wants."""

    callback_url: str
    verify_token: str
    fields: list[str]
    object: str = "whatsapp_business_account"
    active: bool = True


class App(Struct, kw_only=True, forbid_unknown_fields=True):
    """A Meta app; its secret signs all of its webhooks."""

    id: str
    secret: str
    name: str = "Demo"
    #: The secret before `secret`: signs when the knob `signature` says so.
    old_secret: str = ""
    subscription: Subscription | None = None


class Token(Struct, kw_only=True, forbid_unknown_fields=True):
    """An access token; a scope without `targets` holds for every WABA."""

    value: str
    app_id: str
    type: Literal["SYSTEM_USER", "USER", "APP"] = "SYSTEM_USER"
    scopes: list[str] = field(default_factory=lambda: [MANAGEMENT, MESSAGING])
    #: Scope -> WABA ids; business ids for `business_management`.
    targets: dict[str, list[str]] = {}
    user_id: str = "122100000000000001"
    issued_at: int = 0
    #: Unix seconds, 0 = never.
    expires_at: int = 0
    #: Why it is not valid although not expired: a subcode such as 460, 0 = valid.
    invalidated: int = 0


class Business(Struct, kw_only=True, forbid_unknown_fields=True):
    """A business portfolio."""

    id: str
    name: str


class Override(Struct, forbid_unknown_fields=True):
    """A callback URL of a WABA or a number in place of the app's."""

    uri: str
    verify_token: str
    #: Whose webhooks go there, of a number's override.
    app_id: str = ""


class Waba(Struct, kw_only=True, forbid_unknown_fields=True):
    """A WhatsApp Business Account; without an app in `subscribed` no webhook of it leaves Meta."""

    id: str
    business_id: str
    name: str = "Demo"
    #: Ids of other businesses that share it.
    clients: list[str] = []
    #: App id -> override, None without one.
    subscribed: dict[str, Override | None] = {}
    currency: str = "EUR"
    timezone_id: str = "1"
    country: str = "DE"
    account_review_status: str = "APPROVED"
    business_verification_status: str = "verified"


class Number(Struct, kw_only=True, forbid_unknown_fields=True):
    """A business phone number; `phone` has digits only."""

    id: str
    waba_id: str
    phone: str
    display_phone_number: str
    verified_name: str = "Demo"
    quality_rating: str = "GREEN"
    status: str = "CONNECTED"
    name_status: str = "APPROVED"
    code_verification_status: str = "VERIFIED"
    account_mode: Literal["LIVE", "SANDBOX"] = "LIVE"
    platform_type: str = "CLOUD_API"
    throughput: Literal["STANDARD", "HIGH", "COEXISTENCE"] = "STANDARD"
    #: How many users it may open a conversation with in 24 hours.
    tier: str = "TIER_250"
    registered: bool = True
    pin: str = ""
    #: Digits of the numbers that a SANDBOX number may write to.
    allow_list: list[str] = []
    override: Override | None = None
    profile: dict[str, Any] = {}
    #: The code that was sent by SMS or voice, "" when none was asked for.
    code: str = ""
    #: When register and deregister were called, unix seconds: ten in 72 hours is all Meta allows.
    registrations: list[float] = []


class Template(Struct, kw_only=True, forbid_unknown_fields=True):
    """A message template in one language."""

    id: str
    waba_id: str
    name: str
    language: str
    category: str
    components: list[Any]
    status: str = "APPROVED"
    parameter_format: str = "POSITIONAL"
    #: Why it was rejected.
    reason: str = "NONE"


class User(Struct, kw_only=True, forbid_unknown_fields=True):
    """A WhatsApp user; `phone` is "" when the business may not see it."""

    id: str
    phone: str = ""
    name: str = ""
    username: str = ""
    #: Whether `read` comes back.
    receipts: bool = True


#: What may be wrong with a download of media.
MediaFault = Literal[
    "",
    "wrong_hash",  # the bytes are not those of the hash, the size is right
    "truncated",  # the connection ends amid the bytes
    "short",  # half of the bytes, as if they were all
    "slow",  # the bytes drip
    "oversize",  # more bytes than the metadata says
    "endless",  # bytes without an end
    "wrong_type",  # a Content-Type that is not the file's
    "redirect",  # one hop to another path of the same host
    "redirect_away",  # one hop to another host, where the token has no business
]


class Media(Struct, kw_only=True, forbid_unknown_fields=True):
    """A file at Meta; its bytes lie in `content`."""

    id: str
    number_id: str
    mime_type: str
    content: bytes
    #: Uploaded ids live 30 days, those of inbound messages 7.
    dies_at: float
    filename: str = ""
    #: How downloads misbehave, and how many of them still do, 0 = all.
    fault: MediaFault = ""
    faults_left: int = 0
    #: `place/hash` of an issued URL -> unix seconds at which it dies.
    urls: dict[str, float] = {}


class Message(Struct, kw_only=True, forbid_unknown_fields=True):
    """A message that passed through; `body` is what the business sent, or what the user's webhook held."""

    id: str
    number_id: str
    #: The user's id; for a group message the participant's.
    user_id: str
    outgoing: bool
    at: float
    type: str
    body: dict[str, Any]
    group_id: str = ""
    #: Statuses so far, in the order in which they were made.
    statuses: list[str] = []
    callback_data: str = ""


class State(Struct, kw_only=True, forbid_unknown_fields=True):
    """Everything Meta knows, by id."""

    apps: dict[str, App] = {}
    tokens: dict[str, Token] = {}
    businesses: dict[str, Business] = {}
    wabas: dict[str, Waba] = {}
    numbers: dict[str, Number] = {}
    templates: dict[str, Template] = {}
    users: dict[str, User] = {}
    media: dict[str, Media] = {}
    messages: dict[str, Message] = {}
    #: `number id/user id` -> unix seconds of the user's last message: 24 hours from then anything may be sent.
    windows: dict[str, float] = {}
    #: `number id/user or group id` -> when the last message arrived that the business marked as read.
    reads: dict[str, float] = {}
    #: The same -> unix seconds until which the user sees that the business is typing.
    typing: dict[str, float] = {}
    #: Counts what ids are made of.
    count: int = 0
    #: Simulated time when it was saved, unix seconds: what is simulated later does not begin before it.
    saved_at: float = 0.0


Node = App | Business | Waba | Number | Template | Media


def node(state: State, node_id: str) -> Node | None:
    """Return the Graph object of this id."""
    tables: tuple[dict[str, Any], ...] = (
        state.numbers,
        state.wabas,
        state.media,
        state.apps,
        state.businesses,
        state.templates,
    )
    return next((table[node_id] for table in tables if node_id in table), None)


def waba_of(state: State, found: Node) -> Waba | None:
    """Return the WABA that a node belongs to, None for what stands above one."""
    if isinstance(found, Waba):
        return found
    if isinstance(found, Number | Template):
        return state.wabas.get(found.waba_id)
    if isinstance(found, Media):
        number = state.numbers.get(found.number_id)
        return state.wabas.get(number.waba_id) if number else None
    return None


def demo_state(
    *,
    callback_url: str,
    verify_token: str,
    app_secret: str,
    token: str = "sim-token",  # noqa: S107 - opens a stand-in
    fields: Sequence[str] = ("messages",),
) -> State:
    """Return a world with one business, one registered number whose app is subscribed, and three users."""
    app = App(
        id="300000000000001",
        secret=app_secret,
        subscription=Subscription(callback_url=callback_url, verify_token=verify_token, fields=list(fields)),
    )
    waba = Waba(id="200000000000001", business_id="400000000000001", subscribed={app.id: None})
    number = Number(id="100000000000001", waba_id=waba.id, phone="15550100001", display_phone_number="+1 555-010-0001")
    users = [
        User(id="US.13491208655302741918", phone="15550100002", name="Ana Silva", username="ana.silva"),
        User(id="DE.20451209655302741923", phone="4915112345678", name="Bo Lee"),
        User(id="BR.30981208655302741111", name="Cem", username="cem.k"),
    ]
    template = Template(
        id="500000000000001",
        waba_id=waba.id,
        name="hello_world",
        language="en_US",
        category="UTILITY",
        components=[{"type": "BODY", "text": "Hello World"}],
    )
    return State(
        apps={app.id: app},
        tokens={token: Token(value=token, app_id=app.id)},
        businesses={waba.business_id: Business(id=waba.business_id, name="Demo")},
        wabas={waba.id: waba},
        numbers={number.id: number},
        templates={template.id: template},
        users={user.id: user for user in users},
    )
