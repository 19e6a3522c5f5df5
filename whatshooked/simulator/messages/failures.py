"""Why a message that was accepted did not arrive: the codes, as statuses tell them; pure.

Source: Meta's error reference.
"""

from typing import Any

#: Code -> title, details.
_KNOWN = {
    130472: ("User's number is part of an experiment", "Marketing messages are held back from some users."),
    131000: ("Something went wrong", "The message could not be sent for an unknown reason."),
    131008: ("Required parameter is missing", "The request lacks a parameter."),
    131009: ("Parameter value is not valid", "A value of the request may not be."),
    131026: ("Message undeliverable", "The recipient has no WhatsApp, an old version of it, or blocked the business."),
    131042: ("Business eligibility payment issue", "There is a problem with the account's payment method."),
    131047: ("Re-engagement message", "More than 24 hours have passed since the customer last wrote: send a template."),
    131048: ("Spam rate limit hit", "Too many messages of this number were blocked or reported."),
    131049: ("This message was not delivered to maintain healthy ecosystem engagement", "Try again a day later."),
    131050: ("User stopped marketing messages", "The recipient does not want marketing messages."),
    131051: ("Unsupported message type", "This type of message cannot be sent."),
    131052: ("Media download error", "The media that the user sent could not be downloaded."),
    131053: ("Media upload error", "The file at the link could not be fetched, or is of a type or size not allowed."),
    131056: ("Pair rate limit hit", "Too many messages were sent to the same number in a short time."),
    132012: ("Template parameter format mismatch", "A parameter is not of the format that the template needs."),
    132015: ("Template is paused", "The template is paused for its low quality."),
}
_HREF = "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/"


def error(code: int) -> dict[str, Any]:
    """Return a member of a status's `errors`."""
    title, details = _KNOWN.get(code, ("Unknown error", "The message could not be delivered."))
    return {"code": code, "title": title, "message": title, "error_data": {"details": details}, "href": _HREF}
