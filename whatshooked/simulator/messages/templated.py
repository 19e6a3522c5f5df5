"""A send of a template against the template itself: is it there, do the parameters fit, what does it say; pure.

Source: Meta's error reference (132000 and its neighbours).
"""

import re
from typing import Any

from whatshooked.simulator.account import templates
from whatshooked.simulator.graph import refusals
from whatshooked.simulator.world.model import State, Template

#: Statuses for which Meta has an error of its own; every other one but APPROVED is as if it were not there.
_STOPPED = {"PAUSED": (132015, "Template is paused"), "DISABLED": (132016, "Template is disabled")}
_placeholder = re.compile(r"\{\{\s*(\w+)\s*\}\}")


def fitting(state: State, waba_id: str, sent: dict[str, Any]) -> Template:
    """Return the template that a send names; raises Refusal when it cannot go out, or not with these parameters."""
    name, language = sent["name"], sent["language"]["code"]
    found = templates.find(state, waba_id, name, language)
    template = found[0] if found else None
    if template is not None and template.status in _STOPPED:
        code, text = _STOPPED[template.status]
        raise refusals.message(code, text, f"Template {name} ({language}) is {template.status.lower()}.")
    if template is None or template.status != "APPROVED":
        details = f"Template name ({name}) does not exist in {language}, or is not approved."
        raise refusals.message(132001, "Template name does not exist in the translation", details, status=404)
    _need_parameters(template, sent)
    return template


def rendered(template: Template, sent: dict[str, Any]) -> str:
    """Return the template's body as the user reads it."""
    parts = [part for part in template.components if str(part.get("type", "")).upper() == "BODY"]
    text = str(parts[0].get("text", "")) if parts else ""
    given = _parameters(sent, "body")
    values = {one.get("parameter_name") or str(place): _text(one) for place, one in enumerate(given, start=1)}
    return _placeholder.sub(lambda found: values.get(found[1], found[0]), text)


def _need_parameters(template: Template, sent: dict[str, Any]) -> None:
    expected = templates.expected(template)
    header, body = _parameters(sent, "header"), _parameters(sent, "body")
    _need_count("header", len(header), 1 if expected.header else 0)
    if expected.header and (kind := str(header[0]["type"]).lower()) != expected.header:
        raise _misfit(f"header: expected {expected.header}, got {kind}")
    _need_count("body", len(body), len(expected.body))
    if template.parameter_format == "NAMED" and {one.get("parameter_name") for one in body} != set(expected.body):
        raise _misfit(f"body: parameter_name must be each of {', '.join(expected.body)}")
    for index, count in expected.buttons.items():
        _need_count(f"button {index}", len(_parameters(sent, "button", index)), count)


def _need_count(place: str, given: int, expected: int) -> None:
    if given != expected:
        details = f"{place}: number of parameters ({given}) does not match the expected number ({expected})"
        raise refusals.message(132000, "Number of parameters does not match the expected number of params", details)


def _misfit(details: str) -> refusals.Refusal:
    return refusals.message(132012, "Parameter format does not match format in the created template", details)


def _parameters(sent: dict[str, Any], kind: str, index: int | None = None) -> list[dict[str, Any]]:
    """Return the parameters of a component; of a button the one with this index."""
    return [
        parameter
        for component in sent.get("components") or []
        if component["type"].lower() == kind and (index is None or int(component["index"]) == index)
        for parameter in component.get("parameters") or []
    ]


def _text(parameter: dict[str, Any]) -> str:
    held = parameter.get(str(parameter["type"]).lower())
    return str(held.get("fallback_value", "")) if isinstance(held, dict) else str(held or "")
