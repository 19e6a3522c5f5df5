"""What Graph's error codes mean: whether to try again, and what an operator should do; a table, pure.

Source: Meta's error code reference, by `error.code` and `error_subcode`. The same codes come in the answers of calls
and in `statuses[].errors` of messages that were accepted.
"""

import enum


class Retry(enum.Enum):
    """Whether a call that failed may be made again."""

    #: The same call would fail in the same way until somebody mends its cause.
    NEVER = "never"
    #: With growing pauses, as long as it takes.
    LATER = "later"
    #: A few times.
    FEW = "few"
    #: Only at the code's own pace: `pause` says how long to wait at least.
    PACED = "paced"


_TOKEN = "the access token is not valid: copy it again, or make a new one of a system user that never expires"  # noqa: S105 - advice about one
_SUBSCRIBE = (
    "the app is not added to the WABA, or the token lacks whatsapp_business_management and whatsapp_business_messaging"
)
_BUSY = "too many calls: wait, and make fewer"
_MANAGER = "see the WhatsApp manager"

_N, _L, _F, _P = Retry.NEVER, Retry.LATER, Retry.FEW, Retry.PACED

_CODES: dict[int, tuple[Retry, str]] = {
    0: (_N, "Graph could not authenticate the token: make a new one"),
    1: (_F, "Graph does not say what is wrong: try again, then look at the request"),
    2: (_L, "Graph is out of order for a while: try again"),
    3: (_N, _SUBSCRIBE),
    4: (_L, "too many calls of this app: wait"),
    10: (_N, _SUBSCRIBE),
    15: (_N, "this call needs the app's own token: check business_api.app_id and app_secret"),
    17: (_L, _BUSY),
    33: (_N, "the business number was deleted or its id is wrong"),
    100: (_N, "a parameter is wrong: check phone_number_id and api_version"),
    104: (_N, "no access token was sent: set business_api.access_token"),
    190: (_N, _TOKEN),
    368: (_N, f"Meta has blocked the account for a policy violation: {_MANAGER}"),
    613: (_L, _BUSY),
    803: (_N, "no object has this id"),
    2200: (
        _N,
        "Meta could not verify the callback URL: it must answer its GET within this call, with the verify token",
    ),
    2500: (_N, "Graph knows no such path: check the ids and api_version"),
    80007: (_L, "too many calls of this WABA: wait"),
    80008: (_L, "too many calls of this WABA: wait"),
    130403: (_N, "the business has blocked this user"),
    130429: (_L, "more messages than the number's throughput allows: send slower"),
    130472: (_N, "the user takes part in an experiment of Meta's: no marketing message reaches them now"),
    130497: (_N, "the account may not write to users of this country"),
    131000: (_F, "Meta does not say what is wrong: try again"),
    131005: (_N, _SUBSCRIBE),
    131008: (_N, "a parameter is missing"),
    131009: (_N, "a parameter has a value that Meta does not take"),
    131016: (_L, "Meta is out of order for a while: try again"),
    131021: (_N, "a number cannot write to itself"),
    131026: (_N, "the message cannot reach this user: no WhatsApp, an old one, or blocked"),
    131030: (_N, "a test number reaches only the recipients of its list: add this one in the app's dashboard"),
    131031: (_N, f"the account is locked: {_MANAGER}"),
    131037: (_N, f"the number's display name is not approved: {_MANAGER}"),
    131042: (_N, f"something is wrong with the payment method: {_MANAGER}"),
    131045: (_N, "the number's registration is broken: register it again"),
    131047: (_N, "the user wrote more than 24 hours ago: send a template"),
    131048: (_P, "users reported the number as spam: wait some hours, then send less"),
    131049: (_P, "Meta keeps this user from more marketing: wait a day at least"),
    131050: (_N, "the user wants no marketing messages"),
    131051: (_N, "Meta does not know this type of message"),
    131052: (_F, "the user's file could not be fetched: try again"),
    131053: (_N, "the file was not taken: check its type and size"),
    131055: (_N, "this marketing call is not allowed here"),
    131056: (_P, "too many messages to one user: wait"),
    131057: (_L, "Meta maintains the number: try again in a minute"),
    131059: (_N, "the paging cursor is wrong"),
    131060: (_N, "this message is not available"),
    131062: (_N, "this template needs the user's phone number"),
    131063: (_N, "marketing templates are not allowed on this call"),
    131064: (_N, f"templates are limited because of violations: {_MANAGER}"),
    132000: (_N, "the number of parameters is not the template's"),
    132001: (_N, "there is no approved template of this name and language"),
    132005: (_N, "the template with its parameters is too long"),
    132007: (_N, "the template's content is against a policy"),
    132008: (_N, "a parameter does not fit the template"),
    132012: (_N, "a parameter does not have the template's format"),
    132015: (_N, "the template is paused for its low quality"),
    132016: (_N, "the template is disabled for good"),
    132018: (_N, "the template's parameters are wrong"),
    132068: (_N, "the flow is blocked"),
    132069: (_P, "the flow is throttled: ten messages an hour"),
    133000: (_F, "an earlier deregistration is not finished: try again"),
    133004: (_L, "Meta is out of order for a while: try again"),
    133005: (_N, "the PIN is wrong: it is the number's own two-step PIN; reset it in the WhatsApp manager"),
    133006: (_N, "the number must be verified first: whatshooked account request-code, then verify-code"),
    133008: (_P, "too many wrong PINs: wait"),
    133009: (_P, "PINs came too fast: wait"),
    133010: (_N, "the number is not registered: whatshooked account register with its six-digit PIN"),
    133015: (_P, "the number was deleted a moment ago: wait five minutes"),
    133016: (_N, "ten registrations in 72 hours are all that Meta allows: wait until they are over"),
    134011: (_N, f"the payment terms are not accepted: {_MANAGER}"),
    134101: (_P, "the template is still being taken over: wait ten minutes"),
    135000: (_N, "Meta does not say which value of the request it refuses"),
    136024: (_N, "the number is verified already: whatshooked account register is the next step"),
    136025: (_N, "the code is not the one that was sent: ask for a new one"),
    137000: (_N, "the user's identity has changed"),
}
_BY_SUBCODE: dict[tuple[int, int], str] = {
    (100, 33): "wrong phone_number_id, or a token without whatsapp_business_management and whatsapp_business_messaging",
    (190, 463): "the access token has expired: make one of a system user that never expires",
    (190, 467): "the access token was invalidated: make a new one",
    (190, 460): "the access token ended with a password change: use a system user's",
}
#: Seconds to wait at least before the same call; 131056 wants four times as many after each try.
_PAUSES = {
    131048: 4 * 3600.0,
    131049: 24 * 3600.0,
    131056: 4.0,
    132069: 3600.0,
    133008: 3600.0,
    133009: 60.0,
    133015: 300.0,
    134101: 600.0,
}
#: Codes that say "too many calls" of the whole account, and not of one user or one flow.
_OF_ALL = frozenset({4, 17, 613, 80007, 80008, 130429})
#: Codes that are about whom a message is for, whatever is in it.
_OF_USER = frozenset({130403, 130472, 130497, 131021, 131026, 131030, 131047, 131049, 131050, 131056, 137000})


def hint(code: int, subcode: int = 0) -> str:
    """Return the likely cause and the next step for an error, or "" when nothing is known of it."""
    if 200 <= code <= 299:
        return _SUBSCRIBE
    return _BY_SUBCODE.get((code, subcode)) or _CODES.get(code, (_N, ""))[1]


def retry(code: int, status: int, *, transient: bool = False) -> Retry:
    """Return whether a call that ended with this code may be made again; of an unknown code the HTTP status says it."""
    if code in _CODES:
        return _CODES[code][0]
    if 200 <= code <= 299:
        return _N
    return _L if transient or status >= 500 or status == 429 else _N


def pause(code: int) -> float:
    """Return the seconds to wait at least before a call is made again, 0 for a code without a pace of its own."""
    return _PAUSES.get(code, 0.0)


def throttles_all(code: int) -> bool:
    """Return whether further calls of the same account would meet the same limit."""
    return code in _OF_ALL


def is_of_user(code: int) -> bool:
    """Return whether a message was refused for whom it is to reach, and not for what is in it."""
    return code in _OF_USER
