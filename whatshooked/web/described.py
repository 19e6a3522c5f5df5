"""What the OpenAPI document says beyond the handlers: Meta's calls, credentials, and the answers that are errors."""

from litestar import Litestar
from litestar.openapi.spec import (
    Components,
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    Parameter,
    PathItem,
    Reference,
    RequestBody,
    Schema,
    SecurityScheme,
)

_TEXT = Schema(type=OpenAPIType.STRING)
_ERROR = Schema(
    type=OpenAPIType.OBJECT,
    required=["error"],
    properties={
        "error": Schema(
            type=OpenAPIType.OBJECT,
            required=["code", "message", "hint"],
            properties={"code": _TEXT, "message": _TEXT, "hint": _TEXT},
        )
    },
)
#: For `OpenAPIConfig`: the ways to show who one is.
COMPONENTS = Components(
    security_schemes={
        "basic": SecurityScheme(type="http", scheme="basic", description="server.username and server.password"),
        "key": SecurityScheme(type="apiKey", name="X-API-Key", security_scheme_in="header", description="auth_key"),
        "bearer": SecurityScheme(type="http", scheme="bearer", description="server.auth_key"),
    },
)
#: Any one of them will do.
SECURITY: list[dict[str, list[str]]] = [{"basic": []}, {"key": []}, {"bearer": []}]
_API_ERRORS = {
    "400": "a parameter is missing or wrong",
    "401": "credentials are missing or wrong",
    "403": "no credentials are configured, and the request is not of this machine",
    "404": "no such event, or no such hook",
    "429": "too many wrong credentials: see Retry-After",
    "503": "Redis does not answer",
}
_TAKEN = "Redis holds every event of the body; the answer has none"
_REFUSED = {
    "400": "not a JSON object with an `entry`",
    "401": "the signature is missing",
    "403": "the signature is wrong",
    "404": "no account of this name is configured",
    "408": "the body took too long",
    "413": "more than 4 MB",
    "500": "an error of ours: send it again",
    "503": "Redis did not take it all: send it again",
}
_VERIFIED = {"200": "the challenge", "403": "the token is not the account's, or there is no such account"}


def describe(app: Litestar) -> None:
    """Complete an application's OpenAPI document."""
    document = app.openapi_schema
    paths = document.paths or {}
    # Litestar puts the schemas it found in the place of those it was given.
    document.components.schemas["Error"] = _ERROR
    for path, item in paths.items():
        for operation in (item.get, item.post, item.patch, item.delete):
            if operation is not None and operation.responses is not None and path.startswith("/api/"):
                operation.responses.update({code: _error(text) for code, text in _API_ERRORS.items()})
    ready = paths["/ready"].get
    if ready is not None and ready.responses is not None:
        body = {"application/json": OpenAPIMediaType(schema=Schema(type=OpenAPIType.OBJECT))}
        ready.responses["503"] = OpenAPIResponse(description="Redis does not take a write", content=body)
    paths["/webhooks/whatsapp/{account_id}"] = _webhook()


def _webhook() -> PathItem:
    account = Parameter("account_id", "path", schema=_TEXT, description="whatsapp[].id", required=True)
    asked = [Parameter(f"hub.{name}", "query", schema=_TEXT) for name in ("mode", "verify_token", "challenge")]
    signature = Parameter(
        "X-Hub-Signature-256", "header", schema=_TEXT, description="wanted when the account has an app_secret"
    )
    body = RequestBody(
        {"application/json": OpenAPIMediaType(schema=Schema(type=OpenAPIType.OBJECT, required=["entry"]))},
        required=True,
    )
    return PathItem(
        get=Operation(
            ["webhooks"], "Meta verifies the path", parameters=[account, *asked], responses=_texts(_VERIFIED)
        ),
        post=Operation(
            ["webhooks"],
            "Meta delivers events",
            parameters=[account, signature],
            request_body=body,
            responses={"200": OpenAPIResponse(description=_TAKEN), **_texts(_REFUSED)},
        ),
    )


def _texts(answers: dict[str, str]) -> "dict[str, OpenAPIResponse | Reference]":
    content = {"text/plain": OpenAPIMediaType(schema=_TEXT)}
    return {code: OpenAPIResponse(description=text, content=content) for code, text in answers.items()}


def _error(text: str) -> OpenAPIResponse:
    schema = Reference(ref="#/components/schemas/Error")
    return OpenAPIResponse(description=text, content={"application/json": OpenAPIMediaType(schema=schema)})
