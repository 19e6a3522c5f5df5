"""Message templates: list, read, create and delete, Meta's verdict on command, and what a send of one must give.

Source: Meta's pages on templates; the subcodes of refusals are those of its error reference.
"""

import re
from typing import Any

from msgspec import Struct, structs

from whatshooked.simulator.graph import refusals
from whatshooked.simulator.graph.call import Call, Routes
from whatshooked.simulator.graph.paging import page
from whatshooked.simulator.world.model import MANAGEMENT, State, Template, Waba
from whatshooked.simulator.world.world import World

#: Templates that a WABA may have, while its business is not verified and when it is.
MOST, MOST_VERIFIED = 250, 6000
CATEGORIES = ("AUTHENTICATION", "MARKETING", "UTILITY")
FORMATS = ("POSITIONAL", "NAMED")
#: Events that are not themselves the template's status afterwards.
_AFTERWARDS = {"FLAGGED": "APPROVED", "REINSTATED": "APPROVED", "UNARCHIVED": "APPROVED"}
#: What `event` of a status webhook may be.
EVENTS = frozenset(_AFTERWARDS) | {
    "APPROVED",
    "ARCHIVED",
    "DELETED",
    "DISABLED",
    "IN_APPEAL",
    "LIMIT_EXCEEDED",
    "LOCKED",
    "PAUSED",
    "PENDING",
    "PENDING_DELETION",
    "REJECTED",
}
_FILTERS = ("name", "status", "category", "language")
_FIELDS = "name,parameter_format,components,language,status,category"
_placeholder = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_name = re.compile(r"[a-z0-9_]{1,512}")


class Expected(Struct, frozen=True, kw_only=True):
    """The parameters that a send of a template must give.

    `header` is "" without any, `text`, or the kind of media or location that stands there; `body` holds the
    placeholders in their order, "1", "2" or names; `buttons` how many each button needs, by its index.
    """

    header: str = ""
    body: tuple[str, ...] = ()
    buttons: dict[int, int] = {}


def expected(template: Template) -> Expected:
    """Return what a send must give; parameters that may be left out (payload of a quick reply) are not counted."""
    parts = {str(part.get("type", "")).upper(): part for part in template.components if isinstance(part, dict)}
    body = _placeholders(parts.get("BODY", {}).get("text"))
    if template.category == "AUTHENTICATION":
        return Expected(body=body or ("1",), buttons={0: 1})
    buttons = parts.get("BUTTONS", {}).get("buttons", [])
    needed = {index: 1 for index, button in enumerate(buttons) if _needs(button)}
    return Expected(header=_header(parts.get("HEADER", {})), body=body, buttons=needed)


def find(state: State, waba_id: str, name: str, language: str = "") -> list[Template]:
    """Return a WABA's templates of a name, in one language or in all."""
    return [
        template
        for template in state.templates.values()
        if template.waba_id == waba_id and template.name == name and language in ("", template.language)
    ]


def decide(world: World, template: Template, status: str, reason: str = "") -> None:
    """Let an event befall a template (APPROVED, REJECTED, PAUSED ...) and tell the apps.

    Raises ValueError for a status that is none of EVENTS.
    """
    if status not in EVENTS:
        raise ValueError(f"{status!r} is no event of a template: use one of {', '.join(sorted(EVENTS))}")
    template.status = _AFTERWARDS.get(status, status)
    template.reason = reason or ("INVALID_FORMAT" if status == "REJECTED" else "NONE")
    world.webhooks.publish(
        world.state.wabas[template.waba_id], None, "message_template_status_update", status_value(template, status)
    )
    if status == "DELETED":
        del world.state.templates[template.id]


def status_value(template: Template, event: str) -> dict[str, Any]:
    """Return the webhook's value for an event of a template."""
    value = {
        "event": event,
        "message_template_id": int(template.id),
        "message_template_name": template.name,
        "message_template_language": template.language,
        "message_template_category": template.category,
        "reason": template.reason,
    }
    if event == "REJECTED":
        value["rejection_info"] = {
            "reason": "The template does not follow the guidelines.",
            "recommendation": "Change the template and submit it again.",
        }
    if event in ("PAUSED", "DISABLED"):
        title = "FIRST_PAUSE" if event == "PAUSED" else "DISABLED"
        value["other_info"] = {"title": title, "description": "Users gave negative feedback on this template."}
    return value


async def _list(call: Call) -> dict[str, Any]:
    call.ignored({*_FILTERS, "fields", "limit", "after", "before", "summary"})
    rows = [_row(call, template) for template in _of(call.world.state, call.node)]
    wanted = {name: call.params[name] for name in _FILTERS if call.params.get(name)}
    kept = [row for row in rows if all(_matches(row, name, value) for name, value in wanted.items())]
    found = page(call, kept)
    found |= {"data": [call.show(row, _FIELDS) for row in found["data"]]}
    return found | _summary(call, len(kept))


def _summary(call: Call, count: int) -> dict[str, Any]:
    """Return the figures that `summary` asks for; `count` templates passed the filters."""
    figures = {
        "total_count": count,
        "message_template_count": len(_of(call.world.state, call.node)),
        "message_template_limit": _most(call.node),
        "are_translations_complete": True,
    }
    asked = [name for name in call.params.get("summary", "").split(",") if name in figures]
    return {"summary": {name: figures[name] for name in asked}} if asked else {}


async def _read(call: Call) -> dict[str, Any]:
    call.ignored({"fields"})
    return call.show(_row(call, call.node), _FIELDS)


async def _create(call: Call) -> dict[str, Any]:
    call.ignored({"name", "language", "category", "parameter_format", "components"})
    template = _made(call)
    _need_room(call.world.state, call.node)
    if find(call.world.state, template.waba_id, template.name, template.language):
        raise _refused(2388024, "Content in this language already exists", "Choose another name or language.")
    template.id = call.world.new_id("template")
    call.world.state.templates[template.id] = template
    return {"id": template.id, "status": template.status, "category": template.category}


async def _delete(call: Call) -> dict[str, Any]:
    call.ignored({"name", "hsm_id"})
    templates = call.world.state.templates
    template_id, name = str(call.value("hsm_id") or ""), str(call.value("name") or "")
    if template_id:
        one = templates.get(template_id)
        found = [one] if one and one.waba_id == call.node.id and name in ("", one.name) else []
    else:
        found = find(call.world.state, call.node.id, str(call.need("name")))
    if not found:
        raise refusals.parameter("Message template not found", "No template of this WABA has this name or hsm_id.")
    for template in found:
        del templates[template.id]
    return {"success": True}


def _made(call: Call) -> Template:
    """Return the template of a call; raises Refusal for what is missing or wrong."""
    name, language = str(call.need("name")), str(call.need("language"))
    category, components = str(call.need("category")).upper(), call.need("components")
    written = str(call.value("parameter_format") or "POSITIONAL").upper()
    if not _name.fullmatch(name):
        raise refusals.parameter("Param name must have 1 to 512 signs: a-z, 0-9 and _")
    if category not in CATEGORIES:
        raise refusals.parameter(f"Param category must be one of {{{', '.join(CATEGORIES)}}}")
    if written not in FORMATS:
        raise refusals.parameter(f"Param parameter_format must be one of {{{', '.join(FORMATS)}}}")
    if not isinstance(components, list) or not all(isinstance(part, dict) for part in components):
        raise refusals.parameter("Param components must be an array of objects")
    if not any(str(part.get("type", "")).upper() == "BODY" for part in components):
        raise _refused(2388043, "Message template is missing a component", "A template needs a BODY component.")
    return Template(
        id="",
        waba_id=call.node.id,
        name=name,
        language=language,
        category=category,
        components=components,
        status="PENDING",
        parameter_format=written,
    )


def _need_room(state: State, waba: Waba) -> None:
    if len(_of(state, waba)) >= _most(waba):
        details = f"This account has {_most(waba)} templates already."
        raise _refused(2388019, "Message template limit exceeded", details)


def _of(state: State, waba: Waba) -> list[Template]:
    return [template for template in state.templates.values() if template.waba_id == waba.id]


def _most(waba: Waba) -> int:
    return MOST_VERIFIED if waba.business_verification_status == "verified" else MOST


def _refused(subcode: int, text: str, details: str) -> refusals.Refusal:
    return refusals.Refusal(400, 100, f"(#100) {text}", subcode=subcode, details=details)


def _row(call: Call, template: Template) -> dict[str, Any]:
    row = structs.asdict(template)
    del row["waba_id"]
    row["rejected_reason"] = row.pop("reason")
    return row | {"quality_score": {"score": "UNKNOWN", "date": int(call.world.clock.now())}}


def _matches(row: dict[str, Any], name: str, value: str) -> bool:
    """Return whether a row passes a filter; a name matches in part, the others from end to end."""
    return value in row[name] if name == "name" else value.lower() == row[name].lower()


def _placeholders(text: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_placeholder.findall(text))) if isinstance(text, str) else ()


def _header(part: dict[str, Any]) -> str:
    kind = str(part.get("format", "TEXT")).lower()
    return kind if kind != "text" or _placeholders(part.get("text")) else ""


def _needs(button: Any) -> bool:
    """Return whether a button needs a parameter: the end of its URL, or a coupon code."""
    if not isinstance(button, dict):
        return False
    return str(button.get("type", "")).upper() == "COPY_CODE" or bool(_placeholders(button.get("url")))


ROUTES: Routes = {
    ("GET", Waba, "message_templates"): (MANAGEMENT, _list),
    ("POST", Waba, "message_templates"): (MANAGEMENT, _create),
    ("DELETE", Waba, "message_templates"): (MANAGEMENT, _delete),
    ("GET", Template, ""): (MANAGEMENT, _read),
}
