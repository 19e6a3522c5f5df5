"""Graph's own error objects: each way in which the simulator says no, as Meta words it.

Source: Meta's error reference and the texts seen in real answers; wording that nobody could verify is near enough.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False)
class Refusal(Exception):  # noqa: N818 - an answer, not a failure of ours
    """An answer of Graph's that is an error; `headers` go with it."""

    status: int
    code: int
    text: str
    type: str = "OAuthException"
    subcode: int = 0
    details: str = ""
    transient: bool = False
    headers: dict[str, str] = field(default_factory=dict)

    def body(self, trace: str) -> dict[str, Any]:
        """Return the error object; `trace` is its fbtrace_id."""
        error: dict[str, Any] = {"message": self.text, "type": self.type, "code": self.code}
        if self.details:
            error["error_data"] = {"messaging_product": "whatsapp", "details": self.details}
        if self.subcode:
            error["error_subcode"] = self.subcode
        if self.transient:
            error["is_transient"] = True
        return {"error": error | {"fbtrace_id": trace}}


def no_token() -> Refusal:
    """Return the answer to a call without a token."""
    return _unauthorised(104, "An access token is required to request this resource.")


def garbled_token() -> Refusal:
    """Return the answer to a token that is none of ours."""
    return _unauthorised(190, "Invalid OAuth access token - Cannot parse access token")


def expired_token(when: str) -> Refusal:
    """Return the answer to a token whose time is over; `when` as Meta writes it."""
    return _unauthorised(190, f"Error validating access token: Session has expired on {when}.", 463)


def invalidated_token(subcode: int) -> Refusal:
    """Return the answer to a token that was taken back."""
    return _unauthorised(190, "Error validating access token: The session has been invalidated.", subcode)


def lacks_scope(scope: str) -> Refusal:
    """Return the answer to a token without a permission."""
    text = f"(#10) Application does not have permission for this action: requires {scope}"
    return Refusal(403, 10, text)


def not_found(node_id: str, method: str) -> Refusal:
    """Return the answer for an object that is not there or not this token's: Meta does not tell them apart."""
    text = (
        f"Unsupported {method.lower()} request. Object with ID '{node_id}' does not exist, cannot be loaded due to "
        "missing permissions, or does not support this operation."
    )
    return Refusal(400, 100, text, "GraphMethodException", 33)


def unknown_path(path: str) -> Refusal:
    """Return the answer to a path that is none of Graph's."""
    return Refusal(400, 2500, f"(#2500) Unknown path components: /{path}")


def ours() -> Refusal:
    """Return the answer to a call that failed by a fault of the simulator's own."""
    return Refusal(500, 1, "(#1) An unknown error occurred", details="a fault of the simulator: see its log")


def parameter(text: str, details: str = "", *, code: int = 100) -> Refusal:
    """Return the answer to a parameter that is missing or wrong."""
    return Refusal(400, code, f"(#{code}) {text}", details=details)


def message(code: int, text: str, details: str, *, status: int = 400, subcode: int = 0) -> Refusal:
    """Return an error on a message, with its details."""
    return Refusal(status, code, f"(#{code}) {text}", subcode=subcode, details=details)


def _unauthorised(code: int, text: str, subcode: int = 0) -> Refusal:
    headers = {"WWW-Authenticate": f'OAuth "Facebook Platform" "invalid_request" "{text}"'}
    return Refusal(401, code, text, subcode=subcode, headers=headers)
