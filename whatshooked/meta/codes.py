"""What Graph's error codes mean for an operator, as a table; pure.

Source: Meta's error code reference, by `error.code` and `error_subcode`.
"""

_TOKEN = "the access token is not valid any more: make a new one of a system user that never expires"  # noqa: S105 - advice about one
_SUBSCRIBE = (
    "the app is not added to the WABA, or the token lacks whatsapp_business_management and whatsapp_business_messaging"
)

_HINTS: dict[tuple[int, int], str] = {
    (100, 33): "wrong phone_number_id, or a token without whatsapp_business_management and whatsapp_business_messaging",
    (190, 463): "the access token has expired: make one of a system user that never expires",
    (190, 467): "the access token was invalidated: make a new one",
    (190, 460): "the access token ended with a password change: use a system user's",
}
_BY_CODE = {
    0: "Graph could not authenticate the token: make a new one",
    3: _SUBSCRIBE,
    4: "too many calls of this app: wait",
    10: _SUBSCRIBE,
    33: "the business number was deleted or its id is wrong",
    100: "a parameter is wrong: check phone_number_id and api_version",
    104: "no access token was sent: set business_api.access_token",
    190: _TOKEN,
    368: "Meta has blocked the account for a policy violation: see the WhatsApp manager",
    131031: "the account is locked: see the WhatsApp manager",
    133010: "the number is not registered: register it with its six-digit PIN",
}


def hint(code: int, subcode: int = 0) -> str:
    """Return the likely cause and the next step for an error, or "" when nothing is known of it."""
    if 200 <= code <= 299:
        return _SUBSCRIBE
    return _HINTS.get((code, subcode)) or _BY_CODE.get(code, "")
