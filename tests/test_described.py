"""The OpenAPI document, the metrics' type, and ids on the command line: what the contract's HTTP face promises."""

import re
from collections.abc import Callable

import pytest

from tests.conftest import REPO, Gateway
from whatshooked.cli import main
from whatshooked.eventlog.export import FORMATS

CALLS = {
    ("get", "/webhooks/whatsapp/{account_id}", "200 403"),
    ("post", "/webhooks/whatsapp/{account_id}", "200 400 401 403 404 413 503"),
    ("get", "/api/cache", "200 400 401 403 429 503"),
    ("get", "/api/cache/stats", "200 401 403 429 503"),
    ("post", "/api/cache/replay", "200 401 403 404 503"),
    ("post", "/api/cache/event/replay", "200 400 401 403 404 503"),
    ("delete", "/api/cache/event/delete", "200 400 401 403 404 503"),
    ("delete", "/api/cache/clear", "200 400 401 403 503"),
    ("get", "/api/hooks", "200 401"),
    ("patch", "/api/hooks/{hook_id}", "200 400 401 403 404 429 503"),
    ("post", "/api/send", "200 202 400 401 403 404 409 413 422 429 503"),
    ("post", "/api/messages", "200 202 400 401 403 404 409 413 422 429 503"),
    ("get", "/api/messages", "200 400 401 403 404 422 429 503"),
    ("get", "/api/messages/refused", "200 400 401 403 429 503"),
    ("get", "/api/messages/{message_id}", "200 401 403 404 429 503"),
    ("post", "/api/messages/{message_id}/resend", "200 401 403 404 409 429 503"),
    ("post", "/api/messages/{message_id}/drop", "200 401 403 404 409 429 503"),
    ("get", "/api/media/{account_id}/{filename}", "200 206 304 307 401 403 404 416 429 503"),
    ("post", "/api/media/{account_id}", "201 400 401 403 404 413 429 503"),
    ("get", "/api/events", "200 400 401 403 404 409 429 503"),
    ("get", "/api/events/export", "200 400 401 403 404 409 429 503"),
    ("get", "/api/events/live", "200 400 401 403 429 503"),
    ("get", "/api/customers", "200 400 401 403 429 503"),
    ("get", "/api/customers/api/v1/query", "200 400 401 403 413 422 429 503"),
    ("post", "/api/customers/api/v1/query", "200 400 401 403 413 422 429 503"),
    ("delete", "/api/people/{person_id}", "200 400 401 403 429 503"),
    ("get", "/metrics", "200"),
    ("get", "/health", "200"),
    ("get", "/ready", "200 503"),
}


#: Answers that are none, some of them of a file alone.
NO_ERRORS = {"200", "201", "202", "206", "304", "307"}


async def test_the_openapi_document_has_every_call(make_gateway: Callable[..., Gateway]) -> None:
    """With its answers; an error of the API is the contract's, and the API alone wants credentials."""
    gateway = make_gateway()
    await gateway.start(workers=0)
    document = (await gateway.client.get(f"{gateway.base}/schema/openapi.json")).json()
    for method, path, codes in CALLS:
        operation = document["paths"][path][method]
        assert operation["responses"].keys() >= set(codes.split()), path
        api = path.startswith("/api/")
        assert bool(operation.get("security")) == api, path
        if api:
            for code in operation["responses"].keys() - NO_ERRORS:
                schema = operation["responses"][code]["content"]["application/json"]["schema"]
                form = "Refusal" if path.endswith("/query") else "Error"
                assert schema == {"$ref": f"#/components/schemas/{form}"}, (path, code)
    taken = document["paths"]["/webhooks/whatsapp/{account_id}"]["post"]["responses"]["200"]
    assert "content" not in taken
    for path, needed in (("/api/send", ["to", "text"]), ("/api/messages", None)):
        call = document["paths"][path]["post"]
        assert call["requestBody"]["content"]["application/json"]["schema"].get("required") == needed
        assert "Idempotency-Key" in {parameter["name"] for parameter in call["parameters"]}
        for code, name in (("200", "MessageView"), ("202", "Taken")):
            schema = call["responses"][code]["content"]["application/json"]["schema"]
            assert schema == {"$ref": f"#/components/schemas/{name}"}
    exported = document["paths"]["/api/events/export"]["get"]["responses"]["200"]["content"]
    assert exported.keys() == {kind.media_type.partition(";")[0] for kind in FORMATS.values()}
    assert document["paths"]["/api/events/live"]["get"]["responses"]["200"]["content"].keys() == {"text/event-stream"}
    page = document["paths"]["/api/events"]["get"]
    assert page["responses"]["200"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/EventPage"
    }
    assert {one["name"] for one in page["parameters"]} >= {"since", "type", "state", "target", "after", "limit"}
    assert document["components"]["schemas"]["Error"]["required"] == ["error"]
    assert document["components"]["securitySchemes"].keys() == {"basic", "key", "bearer", "link"}
    told = {(method, path) for path, item in document["paths"].items() for method in item}
    assert told == {(method, path) for method, path, _ in CALLS}


def test_the_page_on_the_api_has_every_call() -> None:
    """Each stands in its table; each of the API also in a line that can be copied, with its method."""
    page = (REPO / "docs/api.md").read_text()
    lines = [line for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) for line in block.splitlines()]
    for method, path, _ in CALLS:
        assert f"`{method.upper()} {path}" in page
        if path.startswith("/api/"):
            asked = re.compile(re.sub(r"\\{\w+\\}", '[^/"]+', re.escape(f'"$WH{path}')) + '["?]')
            sends = {"get": "", "post": "-X POST| -d | --data-binary |\\\\$"}.get(method, f"-X {method.upper()}")
            assert [line for line in lines if asked.search(line) and re.search(sends, line)], (method, path)


async def test_the_metrics_name_their_type_once(make_gateway: Callable[..., Gateway]) -> None:
    """As Prometheus asks for it."""
    gateway = make_gateway()
    await gateway.start(workers=0)
    answer = await gateway.client.get(f"{gateway.base}/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


@pytest.mark.parametrize("arguments", [["list", "--after", "x"], ["replay", "abc"], ["delete", "1790000000000"]])
def test_what_is_no_id_is_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """It is said before Redis is asked, with what an id looks like."""
    with pytest.raises(SystemExit) as ended:
        main(["cache", *arguments])
    assert ended.value.code == 2
    assert "looks like 1790000000000-0" in capsys.readouterr().err
