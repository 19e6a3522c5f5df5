"""*Account*: one number of ours: does Meta let us in, for how long yet, is it silent, what waits to be sent?"""

from grafana.board import Board, Row
from grafana.panels import BLUE, GREEN, RED, Names, Panel, Query, Told, falling, figure, lines, rising, states, words
from grafana.promql import fact, least, rate, within
from grafana.shared import CONNECTED, DAYS, HELD, accounts, alarms, late

_THIS = 'account="$account"'
_STATE: Names = {"1": ("yes", GREEN), "0": ("NO", RED)}
_DO = """\
**Not connected**: `whatshooked doctor` says what Meta refuses and how to mend it; intake goes on meanwhile.

**The token ends**: make one of a system user that never expires, set it, SIGHUP. `whatshooked account token` shows it.

**Silent**: `whatshooked account webhook`, `whatshooked account subscribe`, or as `doctor` says.

**Held**: `GET /api/messages` has `held`: Meta asked for patience and it passes, or the token is not accepted.

**Whom it concerns**: [the dashboard Customers](/d/whatshooked-customers?var-account=$account) has their numbers;
`whatshooked messages list --state unknown` each message.
"""


def board() -> Board:
    """Return the dashboard."""
    shows = "One account: does Meta let us in, how long yet, is the number silent, what waits to be sent, what to do."
    made = Board("account", "Account", shows)
    made.choose("account", "label_values(whatshooked_account_paused, account)", "Account")
    return made.rows(
        Row("All accounts", [accounts()]),
        Row("$account now", [*_access(), *_traffic()]),
        Row("Since when?", [_since(), alarms().span(8).height(7), words("What to do", _DO)]),
        Row("What waits to be sent", _outbox()),
        Row("Meta, all accounts together", _meta()),
    )


def _access() -> list[Panel]:
    connected = Told(
        "Whether Meta accepted its credentials when last asked; nothing while it was never asked.",
        "yes.",
        "`whatshooked doctor`.",
        "AccountDisconnected",
    )
    token = Told(
        "Days until its access token ends.",
        "never: a system user's token.",
        "make one that never expires, set it, SIGHUP.",
        "TokenEnds",
    )
    version = Told(
        "Days until Meta retires the API version it uses.",
        "above 90.",
        "a newer `api_version`, SIGHUP.",
        "ApiVersionEnds",
    )
    able, left = Query(least("account_connected", where=_THIS)), Query(least("token_days_left", where=_THIS))
    lives = Query(least("api_version_days_left", where=_THIS))
    yes = ((None, RED), (1.0, GREEN))
    return [
        figure("Connected", connected, able, steps=yes, names=CONNECTED).span(4),
        figure("Token ends in days", token, left, steps=falling(14, 30), names=DAYS).span(4),
        figure("API version ends in days", version, lives, unit="none", steps=falling(30, 90)).span(4),
    ]


def _traffic() -> list[Panel]:
    silent = Told(
        "Hours without a message at a time when there usually are some.",
        "0.",
        "`whatshooked doctor`.",
        "NumberSilent",
    )
    held = Told("Whether it sends nothing now.", "no.", "`held` of GET /api/messages says why.", "AccountHeld")
    unknown = Told(
        "Messages of which nobody knows whether they were sent.",
        "0.",
        "a status settles most; for the rest ask the customer, then `whatshooked messages resend` or `drop`.",
        "MessagesUnknown",
    )
    hours, paused = Query(fact("account_silent_hours", where=_THIS)), Query(fact("account_paused", where=_THIS))
    adrift = Query(fact("outbox_messages", where=f'{_THIS}, state="unknown"'))
    return [
        figure("Silent", silent, hours, unit="h", steps=rising(1, 3)).span(4),
        figure("Held", held, paused, steps=rising(1), names=HELD).span(4),
        figure("Unknown", unknown, adrift, steps=rising(1)).span(4),
    ]


def _since() -> Panel:
    told = Told(
        "Whether it is connected, sends, and has its usual messages: where a bar turns red it began.",
        "green.",
        "see *What to do*.",
        "AccountDisconnected",
    )
    return states(
        "Connected, sends, is not silent",
        told,
        Query(least("account_connected", where=_THIS), "connected"),
        Query(f"1 - {fact('account_paused', where=_THIS)}", "sends"),
        Query(f"{fact('account_silent_hours', where=_THIS)} == bool 0", "not silent"),
        names=_STATE,
    )


def _outbox() -> list[Panel]:
    waits = Told(
        "Its messages in the outbox, by state.",
        "new falls as fast as it rises.",
        "new grows: Meta's rates hold them back, or it is held.",
        "AccountHeld",
    )
    away = Told(
        "Messages that found no room, by the bound they met.",
        "none.",
        "line, account: a hook or a client asks for more than Meta lets through. memory: give Redis more.",
        "RedisFull",
    )
    unknown = Told(
        "Sends that had no answer.", "none.", "the line to Meta; each waits for its status.", "MessagesUnknown"
    )
    by_state = Query(fact("outbox_messages", "state", where=_THIS), "{{state}}")
    return [
        lines("Outbox", waits, by_state, colours={"unknown": RED, "new": BLUE}),
        lines("Turned away", away, Query(rate("messages_turned_away", "bound", where=_THIS), "{{bound}}"), unit="mps"),
        lines("Became unknown", unknown, Query(rate("messages_unknown", where=_THIS), "unknown"), unit="mps"),
    ]


def _meta() -> list[Panel]:
    codes = Told(
        "Messages that Meta refused, at once or later, by its code.",
        "none.",
        "`whatshooked messages list --state failed` has each code's hint. 131047 wants a template.",
    )
    status = Told(
        "From a message's entry into the outbox to Meta's word of it, 95 of 100.",
        "sent and delivered in seconds; read is up to people.",
        "Meta's status page; nothing here, Meta has the messages.",
    )
    send = Told(
        "From a message's entry into the outbox to Meta's acceptance.",
        "below a second or two.",
        "Meta is slow, or its rates hold messages back: `held` of GET /api/messages.",
        "AccountHeld",
    )
    shares = [Query(within(one, "send"), f"p{one * 100:g}") for one in (0.5, 0.95)]
    return [
        lines("Refused by Meta, by code", codes, Query(rate("messages_refused", "code"), "{{code}}"), unit="mps").span(
            6
        ),
        lines(
            "Statuses come after (p95)", status, Query(within(0.95, "status", "status"), "{{status}}"), unit="s"
        ).span(6),
        lines("Time of a send", send, *shares, unit="s").span(6),
        late().span(6).height(7),
    ]
