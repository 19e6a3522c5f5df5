"""What the OpenAPI document says beyond the handlers: Meta's calls, credentials, and the answers that are errors."""

from dataclasses import replace

from litestar import Litestar
from litestar.openapi.spec import (
    Components,
    OpenAPIFormat,
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
            properties={
                "code": _TEXT,
                "message": _TEXT,
                "hint": _TEXT,
                "faults": Schema(
                    type=OpenAPIType.ARRAY, items=_TEXT, description="of a message: one for each place that is wrong"
                ),
            },
        )
    },
)
_KEY = "server.auth_key; for /api/customers server.customers_key as well"
#: For `OpenAPIConfig`: the ways to show who one is.
COMPONENTS = Components(
    security_schemes={
        "basic": SecurityScheme(type="http", scheme="basic", description="server.username and server.password"),
        "key": SecurityScheme(type="apiKey", name="X-API-Key", security_scheme_in="header", description=_KEY),
        "bearer": SecurityScheme(type="http", scheme="bearer", description="server.auth_key"),
        "link": SecurityScheme(
            type="apiKey", name="signature", security_scheme_in="query", description="a link as payloads carry it"
        ),
    },
)
#: Any one of them will do.
SECURITY: list[dict[str, list[str]]] = [{"basic": []}, {"key": []}, {"bearer": []}]
_API_ERRORS = {
    "400": "a parameter is missing or wrong",
    "401": "credentials are missing or wrong",
    "403": "no credentials are configured, and the request is not of this machine",
    "404": "no such event, hook, account, message or target",
    "429": "too many wrong credentials: see Retry-After",
    "503": "Redis does not answer",
}
_CANNOT_BE_SENT = {"422": "the message cannot be sent as it is, or not by this account"}
_OF_POSTS = {"409": "the Idempotency-Key was used for another message, or the message's state does not allow it"}
_TOO_LARGE = {"413": "more than 512 KB"}
_OF_FILES = {"413": "more than media.max_bytes", "415": "a form in place of the file itself"}
_OF_LOG = {"409": "the event log is off", "503": "the event log does not answer, or as many export as may"}
_OF_LISTENERS = {"503": "as many listen as may"}
#: The call whose answers have the form of Prometheus' query API, and what it refuses beside the rest.
_QUERY = "/api/customers/api/v1/query"
_OF_QUERIES = {"413": "more than 16 KB", "422": "a moment that is past: only now is known"}
_OF_PROMETHEUS = Schema(
    type=OpenAPIType.OBJECT,
    required=["status", "errorType", "error"],
    properties={"status": Schema(type=OpenAPIType.STRING, enum=["error"]), "errorType": _TEXT, "error": _TEXT},
)
_QUESTION = Schema(
    type=OpenAPIType.OBJECT,
    required=["query"],
    properties={"query": _TEXT, "time": _TEXT},
    examples=[{"query": 'whatshooked_customer_count{hook="crm"}', "time": "1790000000"}],
)
#: What a stream of bytes is, by its type.
_STREAMS = {
    "/api/events/export": {
        "application/x-ndjson": "a row a line, as a page shows it",
        "text/csv": "with a header; texts that a spreadsheet would take for a formula begin with an apostrophe",
        "application/vnd.apache.parquet": "a table",
    },
    "/api/events/live": {"text/event-stream": "id: the row's, event: its type, data: the row as a page shows it"},
}
_ACCOUNT = Schema(type=OpenAPIType.STRING, description="whatsapp[].id; not needed when there is only one account")
_TO = Schema(
    type=OpenAPIType.STRING,
    description="a phone number with its country code, a user id such as US.1349, or a group id",
)
_SEND_TEXT = Schema(
    type=OpenAPIType.OBJECT,
    required=["to", "text"],
    properties={"account_id": _ACCOUNT, "to": _TO, "text": _TEXT},
    examples=[{"account_id": "business", "to": "+4915112345678", "text": "Hello"}],
)
_SEND = Schema(
    type=OpenAPIType.OBJECT,
    description="what Meta's messages endpoint takes, and account_id",
    properties={"account_id": _ACCOUNT, "to": _TO, "type": _TEXT},
    additional_properties=True,
    examples=[
        {
            "messaging_product": "whatsapp",
            "to": "+4915112345678",
            "type": "template",
            "template": {"name": "hello_world", "language": {"code": "en_US"}},
        },
        {"status": "read", "message_id": "wamid.HBgN", "typing_indicator": {"type": "text"}},
    ],
)
#: What may be sent; the handlers take the bytes as they come, and say by their own rules what is wrong with them.
_BODIES = {"/api/send": _SEND_TEXT, "/api/messages": _SEND}
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
_FILE = {
    "200": "the file; of several ranges at once all of it",
    "206": "the bytes of `Range`",
    "304": "the file is the one of `If-None-Match` or `If-Modified-Since`",
    "307": "where an object store has it, for some minutes",
}
_NO_FILE = {
    "401": "credentials are missing or wrong",
    "403": "the link's time is over or it was changed; or no credentials are configured",
    "404": "no such file",
    "416": "the file is shorter: see Content-Range",
    "429": "too many wrong credentials: see Retry-After",
    "503": "Redis or the store of files does not answer",
}
_VERIFIED = {"200": "the challenge", "403": "the token is not the account's, or there is no such account"}


def describe(app: Litestar) -> None:
    """Complete an application's OpenAPI document."""
    document = app.openapi_schema
    paths = document.paths or {}
    # Litestar puts the schemas it found in the place of those it was given.
    document.components.schemas["Error"] = _ERROR
    document.components.schemas["Refusal"] = _OF_PROMETHEUS
    for path, item in paths.items():
        for operation in (item.get, item.post, item.patch, item.delete):
            if operation is not None and operation.responses is not None and path.startswith("/api/"):
                errors = _errors(path, posts=operation is item.post)
                schema_name = "Refusal" if path == _QUERY else "Error"
                operation.responses.update({code: _error(text, schema_name) for code, text in errors.items()})
    for path, schema in _BODIES.items():
        if (post := paths[path].post) is not None:
            body = RequestBody({"application/json": OpenAPIMediaType(schema=schema)}, required=True)
            paths[path].post = replace(post, request_body=body)
    if (post := paths[_QUERY].post) is not None:
        form = OpenAPIMediaType(schema=_QUESTION)
        body = RequestBody({"application/x-www-form-urlencoded": form}, required=True)
        paths[_QUERY].post = replace(post, request_body=body)
    ready = paths["/ready"].get
    if ready is not None and ready.responses is not None:
        content = {"application/json": OpenAPIMediaType(schema=Schema(type=OpenAPIType.OBJECT))}
        ready.responses["503"] = OpenAPIResponse(description="Redis does not take a write", content=content)
    for path, contents in _STREAMS.items():
        if (get := paths[path].get) is not None and get.responses is not None:
            get.responses["200"] = OpenAPIResponse(description="all that is asked for", content=_contents(contents))
    paths["/webhooks/whatsapp/{account_id}"] = _webhook()
    if (keep := paths["/api/media/{account_id}"].post) is not None:
        binary = OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY))
        paths["/api/media/{account_id}"].post = replace(keep, request_body=RequestBody({"*/*": binary}, required=True))
    paths["/api/media/{account_id}/{filename}"] = _media()


def _errors(path: str, *, posts: bool) -> dict[str, str]:
    """Return the errors that a call of the API may answer with."""
    if path == _QUERY:
        return _API_ERRORS | _OF_QUERIES
    if path.startswith("/api/events"):
        return _API_ERRORS | (_OF_LISTENERS if path.endswith("/live") else _OF_LOG)
    if not path.startswith(("/api/send", "/api/messages")):
        return _API_ERRORS | (_OF_FILES if path.startswith("/api/media/") else {})
    return _API_ERRORS | _CANNOT_BE_SENT | (_OF_POSTS if posts else {}) | (_TOO_LARGE if path in _BODIES else {})


def _contents(types: dict[str, str]) -> dict[str, OpenAPIMediaType]:
    return {
        name: OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING, description=text)) for name, text in types.items()
    }


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


def _media() -> PathItem:
    named: list[Parameter | Reference] = [
        Parameter("account_id", "path", schema=_TEXT, description="whatsapp[].id", required=True),
        Parameter("filename", "path", schema=_TEXT, description="as payloads name it", required=True),
        Parameter("expires", "query", schema=_TEXT, description="of a link: seconds since 1970"),
        Parameter("Range", "header", schema=_TEXT, description="bytes=0-1023"),
    ]
    content = {"*/*": OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY))}
    answers: dict[str, OpenAPIResponse | Reference] = {
        code: OpenAPIResponse(description=text, content=content if code in ("200", "206") else None)
        for code, text in _FILE.items()
    }
    answers |= {code: _error(text, "Error") for code, text in _NO_FILE.items()}
    return PathItem(
        get=Operation(
            ["media"], "Get a stored file", parameters=named, responses=answers, security=[*SECURITY, {"link": []}]
        )
    )


def _texts(answers: dict[str, str]) -> "dict[str, OpenAPIResponse | Reference]":
    content = {"text/plain": OpenAPIMediaType(schema=_TEXT)}
    return {code: OpenAPIResponse(description=text, content=content) for code, text in answers.items()}


def _error(text: str, name: str) -> OpenAPIResponse:
    schema = Reference(ref=f"#/components/schemas/{name}")
    return OpenAPIResponse(description=text, content={"application/json": OpenAPIMediaType(schema=schema)})
