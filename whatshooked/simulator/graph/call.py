"""One call of Graph as its handlers see it, and the table in which they stand."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from whatshooked.simulator.graph import refusals
from whatshooked.simulator.world.model import Node, Token
from whatshooked.simulator.world.world import World

#: What may stand behind a field's name: fields of its own, or `.limit(1)`.
_modifier = re.compile(r"[{(.]")
#: Parameters that every call may have.
_EVERYWHERE = frozenset({"access_token", "appsecret_proof", "fields", "format", "pretty", "debug", "locale", "method"})


@dataclass
class Upload:
    """A file of a multipart call; `mime_type` is its part's own."""

    filename: str
    mime_type: str
    content: bytes


@dataclass
class Call:
    """A call whose token is good and may see `node`; `node` is None for paths without an object (`debug_token`)."""

    world: World
    method: str
    edge: str
    node: Any
    params: dict[str, str]
    #: JSON or form fields.
    body: dict[str, Any]
    token: Token | None
    upload: Upload | None = None
    #: Keys that were accepted and ignored, for the request log.
    unknown: list[str] = field(default_factory=list)

    def value(self, name: str) -> Any:
        """Return a field of the body, else of the query: Graph takes parameters from both."""
        return self.body.get(name, self.params.get(name))

    def need(self, name: str) -> Any:
        """Return a field; raises Refusal when it is missing."""
        found = self.value(name)
        if found in (None, ""):
            raise refusals.parameter(f"The parameter {name} is required.")
        return found

    def need_product(self) -> None:
        """Raise Refusal unless `messaging_product` is `whatsapp`."""
        if self.need("messaging_product") != "whatsapp":
            raise refusals.parameter("Param messaging_product must be one of {WHATSAPP}")

    def ignored(self, known: set[str]) -> None:
        """Note the keys of body and query that are not among `known`."""
        self.unknown += sorted({*self.body, *self.params} - known - _EVERYWHERE)

    def show(self, data: dict[str, Any], default: str) -> dict[str, Any]:
        """Return the fields of a node that were asked for, and note those that it does not have."""
        fields = self.params.get("fields")
        strange = [f"fields.{name}" for name in names(fields or default) if name not in data]
        self.unknown += [name for name in strange if name not in self.unknown]
        return pick(data, fields, default)


Handler = Callable[[Call], Awaitable[dict[str, Any]]]
#: Method, kind of node (None: no object in the path), edge ("" = the node itself) -> scope that is needed, handler.
Routes = dict[tuple[str, type[Node] | None, str], tuple[str, Handler]]


def pick(data: dict[str, Any], fields: str | None, default: str) -> dict[str, Any]:
    """Return the fields that were asked for (`a,b{c,d},e`), always with `id`; without any the default ones."""
    return {key: data[key] for key in dict.fromkeys([*names(fields or default), "id"]) if key in data}


def names(fields: str) -> list[str]:
    """Return the names in a list of fields (`a,b{c,d},e`), without what is asked of each."""
    found, depth, name = [], 0, ""
    for sign in fields + ",":
        depth += (sign in "{(") - (sign in "})")
        if sign == "," and not depth:
            found.append(_modifier.split(name, maxsplit=1)[0].strip())
            name = ""
        else:
            name += sign
    return found
