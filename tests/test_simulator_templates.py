"""The simulator's templates: lists in pages, creation, Meta's verdict, deletion, and what a send of one must give."""

from typing import Any

import pytest

from tests.simulated import Meta
from whatshooked.simulator.account import templates
from whatshooked.simulator.account.templates import Expected, expected
from whatshooked.simulator.world.model import Template

_BODY = {"type": "BODY", "text": "Hi {{1}}, order {{2}} is on its way"}
_NEW = {"name": "order_sent", "language": "de", "category": "UTILITY", "components": [_BODY]}


def made(sim: Meta, count: int, **more: Any) -> list[Template]:
    """Templates of the WABA, named t000 and so on."""
    for number in range(count):
        known = {"id": f"7{number:05d}", "waba_id": sim.waba.id, "name": f"t{number:03d}", "language": "en_US"}
        one = Template(**(known | {"category": "UTILITY", "components": [_BODY]} | more))
        sim.state.templates[one.id] = one
    return list(sim.state.templates.values())[-count:]


def template(*components: Any, category: str = "UTILITY") -> Template:
    """A template of these components."""
    return Template(id="1", waba_id="2", name="t", language="de", category=category, components=list(components))


async def listed(sim: Meta, **params: str) -> dict[str, Any]:
    """What the WABA's list gives."""
    answer = await sim.ask("GET", f"{sim.waba.id}/message_templates", params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def create(sim: Meta, **more: Any) -> dict[str, Any]:
    """The answer to a creation."""
    found: dict[str, Any] = (await sim.ask("POST", f"{sim.waba.id}/message_templates", json=_NEW | more)).json()
    return found


async def test_row_20_a_list_comes_in_pages(sim: Meta) -> None:
    """Following `after` gives every template once, 25 a page unless `limit` says otherwise and 100 at most."""
    made(sim, 129)
    first = await listed(sim)
    assert (len(first["data"]), first["data"][0]["name"]) == (25, "hello_world")
    assert first["paging"]["next"].startswith(f"{sim.url}/{sim.waba.id}/message_templates?")
    names, after = [], ""
    for size in (100, 30):
        page = await listed(sim, limit="1000", after=after)
        assert len(page["data"]) == size
        names += [row["name"] for row in page["data"]]
        after = page["paging"]["cursors"]["after"]
    assert "next" not in page["paging"]
    assert names == ["hello_world", *(f"t{number:03d}" for number in range(129))]
    assert await listed(sim, after=after) == {"data": []}


async def test_row_20_pages_go_back_and_by_url(sim: Meta) -> None:
    """`before` gives the page before; `next` is a URL that works with the token and holds none."""
    made(sim, 9)
    second = await listed(sim, limit="5", after=(await listed(sim, limit="5"))["paging"]["cursors"]["after"])
    back = await listed(sim, limit="5", before=second["paging"]["cursors"]["before"])
    assert back == await listed(sim, limit="5")
    assert sim.token not in back["paging"]["next"]
    assert (await sim.client.get(back["paging"]["next"])).json() == second


async def test_row_20_strange_cursors_and_limits_are_refused(sim: Meta) -> None:
    """A cursor that is none is 131059, a limit that is none 100."""
    for name, value, code in (("after", "x", 131059), ("before", "cm93LzE=", 131059), ("limit", "0", 100)):
        status, error = await sim.refused("GET", f"{sim.waba.id}/message_templates", params={name: value})
        assert (status, error["code"]) == (400, code)


async def test_row_20_a_list_is_filtered(sim: Meta) -> None:
    """Name (in part), status, category and language each narrow the list, together too."""
    made(sim, 3)
    made(sim, 2, status="REJECTED", category="MARKETING", language="de")
    assert len((await listed(sim, status="rejected"))["data"]) == 2
    assert len((await listed(sim, category="MARKETING"))["data"]) == 2
    assert len((await listed(sim, language="en_US"))["data"]) == 2
    assert [row["name"] for row in (await listed(sim, name="hello"))["data"]] == ["hello_world"]
    assert [row["name"] for row in (await listed(sim, language="de", name="t001"))["data"]] == ["t001"]
    assert await listed(sim, language="fr") == {"data": []}


async def test_row_20_a_summary_counts(sim: Meta) -> None:
    """`summary` adds what was asked of it: how many passed the filters, how many there are and may be."""
    made(sim, 3)
    sim.waba.business_verification_status = "not_verified"
    found = await listed(
        sim, name="t00", limit="1", summary="total_count,message_template_count,message_template_limit"
    )
    counts = {"total_count": 3, "message_template_count": 4, "message_template_limit": 250}
    assert (len(found["data"]), found["summary"]) == (1, counts)
    assert "summary" not in await listed(sim)


async def test_row_20_fields_are_honoured(sim: Meta) -> None:
    """By default a template shows what Meta shows; `fields` chooses, in the list and for one."""
    found = next(iter(sim.state.templates.values()))
    shown = (await listed(sim))["data"][0]
    assert shown == {
        "name": "hello_world",
        "parameter_format": "POSITIONAL",
        "components": [{"type": "BODY", "text": "Hello World"}],
        "language": "en_US",
        "status": "APPROVED",
        "category": "UTILITY",
        "id": found.id,
    }
    assert (await sim.ask("GET", found.id)).json() == shown
    chosen = (await listed(sim, fields="name,quality_score{score}"))["data"][0]
    assert chosen.keys() == {"name", "quality_score", "id"}
    assert chosen["quality_score"]["score"] == "UNKNOWN"
    answer = await sim.ask("GET", found.id, params={"fields": "rejected_reason"})
    assert answer.json() == {"rejected_reason": "NONE", "id": found.id}


async def test_row_20_a_new_template_is_pending_until_decided(sim: Meta) -> None:
    """A creation answers PENDING; the verdict changes it and goes to the app as a webhook."""
    answer = await create(sim)
    assert answer == {"id": answer["id"], "status": "PENDING", "category": "UTILITY"}
    assert sim.app.subscription is not None
    sim.app.subscription.fields = ["messages", "message_template_status_update"]
    found = sim.state.templates[answer["id"]]
    templates.decide(sim.world, found, "APPROVED")
    [change] = await sim.changes(field="message_template_status_update")
    assert change["value"] == {
        "event": "APPROVED",
        "message_template_id": int(found.id),
        "message_template_name": "order_sent",
        "message_template_language": "de",
        "message_template_category": "UTILITY",
        "reason": "NONE",
    }
    assert (await listed(sim, name="order_sent"))["data"][0]["status"] == "APPROVED"


async def test_row_20_a_rejection_has_a_reason(sim: Meta) -> None:
    """A rejected template carries its reason, in the webhook and when it is read."""
    found = sim.state.templates[(await create(sim))["id"]]
    templates.decide(sim.world, found, "REJECTED", "TAG_CONTENT_MISMATCH")
    value = templates.status_value(found, "REJECTED")
    assert (value["reason"], value["rejection_info"].keys()) == ("TAG_CONTENT_MISMATCH", {"reason", "recommendation"})
    answer = await sim.ask("GET", found.id, params={"fields": "status,rejected_reason"})
    assert answer.json() == {"status": "REJECTED", "rejected_reason": "TAG_CONTENT_MISMATCH", "id": found.id}


async def test_row_20_other_events_of_a_template(sim: Meta) -> None:
    """A pause says which it is, a reinstatement approves again, a deleted template is gone; a strange event is none."""
    found = next(iter(sim.state.templates.values()))
    templates.decide(sim.world, found, "PAUSED")
    assert found.status == "PAUSED"
    assert templates.status_value(found, "PAUSED")["other_info"]["title"] == "FIRST_PAUSE"
    templates.decide(sim.world, found, "REINSTATED")
    assert found.status == "APPROVED"
    with pytest.raises(ValueError, match="no event of a template"):
        templates.decide(sim.world, found, "LOST")
    templates.decide(sim.world, found, "DELETED")
    assert found.id not in sim.state.templates


async def test_row_20_a_creation_is_checked(sim: Meta) -> None:
    """What is missing or wrong is 100, with its name."""
    wrong: list[tuple[str, Any, str]] = [
        ("name", "", "name is required"),
        ("name", "Order-Sent", "name"),
        ("language", None, "language is required"),
        ("category", "NEWS", "category"),
        ("parameter_format", "LOOSE", "parameter_format"),
        ("components", "x", "components"),
        ("components", ["x"], "components"),
        ("components", [{"type": "FOOTER", "text": "x"}], "missing a component"),
    ]
    for name, value, says in wrong:
        error = (await create(sim, **{name: value}))["error"]
        assert error["code"] == 100
        assert says in error["message"]


async def test_row_20_a_name_has_each_language_once(sim: Meta) -> None:
    """A second template of a name and language is refused; another language is not."""
    await create(sim)
    assert (await create(sim))["error"]["error_subcode"] == 2388024
    assert (await create(sim, language="en"))["status"] == "PENDING"


async def test_row_20_a_waba_has_room_for_250_templates(sim: Meta) -> None:
    """The 251st template is refused, unless the business is verified."""
    made(sim, 249)
    sim.waba.business_verification_status = "not_verified"
    assert (await create(sim))["error"]["error_subcode"] == 2388019
    sim.waba.business_verification_status = "verified"
    assert (await create(sim))["status"] == "PENDING"


async def test_row_20_templates_are_deleted_by_name_or_id(sim: Meta) -> None:
    """A name deletes every language of it, `hsm_id` one; what is not there is 100."""
    ids = [(await create(sim, language=language))["id"] for language in ("de", "en", "fr")]
    path = f"{sim.waba.id}/message_templates"
    assert (await sim.ask("DELETE", path, params={"hsm_id": ids[0]})).json() == {"success": True}
    assert (await sim.refused("DELETE", path, params={"hsm_id": ids[1], "name": "other"}))[1]["code"] == 100
    assert set(ids[1:]) <= sim.state.templates.keys()
    assert (await sim.ask("DELETE", path, params={"name": "order_sent"})).json() == {"success": True}
    assert not set(ids) & sim.state.templates.keys()
    for params in ({"name": "order_sent"}, {"hsm_id": ids[0]}, {}):
        assert (await sim.refused("DELETE", path, params=params))[1]["code"] == 100


def test_what_a_template_expects() -> None:
    """Placeholders count once each; media and locations in the header count, quick replies and fixed URLs do not."""
    buttons = [
        {"type": "QUICK_REPLY", "text": "Stop"},
        {"type": "URL", "text": "Track", "url": "https://example.com/{{1}}"},
        {"type": "URL", "text": "Home", "url": "https://example.com"},
        {"type": "COPY_CODE", "example": "SAVE10"},
    ]
    full = template({"type": "header", "format": "IMAGE"}, _BODY, {"type": "BUTTONS", "buttons": buttons})
    assert expected(full) == Expected(header="image", body=("1", "2"), buttons={1: 1, 3: 1})
    named = template({"type": "HEADER", "text": "Hi {{name}}"}, {"type": "BODY", "text": "{{a}} {{ b }} {{a}}"})
    assert expected(named) == Expected(header="text", body=("a", "b"))
    assert expected(template({"type": "HEADER", "format": "TEXT", "text": "Hi"}, {"type": "BODY"})) == Expected()
    assert expected(template({"type": "BODY"}, category="AUTHENTICATION")) == Expected(body=("1",), buttons={0: 1})


def test_strange_components_expect_nothing() -> None:
    """A state file may hold anything as components: what is not understood asks for nothing."""
    assert expected(template("x", 5, {"type": None}, {"type": "BODY", "text": 5})) == Expected()
    assert expected(template({"type": "BUTTONS", "buttons": ["x", {"type": 5}]})) == Expected()
