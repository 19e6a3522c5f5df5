"""A list in pages, as Graph gives one: rows, cursors before and after, and the next page's URL."""

import base64
import binascii
from typing import Any
from urllib.parse import urlencode

from whatshooked.simulator.graph import refusals
from whatshooked.simulator.graph.call import Call

#: Rows of a page, without `limit` and at most.
_USUAL, _MOST = 25, 100


def page(call: Call, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the page of `rows` (each with its `id`) that a call asks for by `limit` and `after` or `before`.

    Raises Refusal for a limit or a cursor that is none. No token stands in `next`: in Meta's one may.
    """
    limit = _limit(call.params.get("limit", ""))
    start = _start(rows, call.params, limit)
    shown = rows[start : start + limit]
    if not shown:
        return {"data": []}
    paging: dict[str, Any] = {"cursors": {"before": cursor(shown[0]["id"]), "after": cursor(shown[-1]["id"])}}
    if start + limit < len(rows):
        paging["next"] = _next(call, limit, paging["cursors"]["after"])
    return {"data": shown, "paging": paging}


def cursor(row_id: str) -> str:
    """Return the cursor that stands for a row."""
    return base64.urlsafe_b64encode(f"row/{row_id}".encode()).decode()


def _limit(given: str) -> int:
    if not given:
        return _USUAL
    if not given.isdecimal() or not int(given):
        raise refusals.parameter("Param limit must be a positive integer")
    return min(int(given), _MOST)


def _start(rows: list[dict[str, Any]], params: dict[str, str], limit: int) -> int:
    """Return the place of a page's first row."""
    if after := params.get("after"):
        return _place(rows, after) + 1
    if before := params.get("before"):
        return max(_place(rows, before) - limit, 0)
    return 0


def _place(rows: list[dict[str, Any]], given: str) -> int:
    try:
        kind, _, row_id = base64.urlsafe_b64decode(given).decode().partition("/")
    except (binascii.Error, UnicodeDecodeError):
        kind = row_id = ""
    places = [place for place, row in enumerate(rows) if kind == "row" and row["id"] == row_id]
    if not places:
        raise refusals.message(131059, "Invalid cursor", "The cursor names no row of this list.")
    return places[0]


def _next(call: Call, limit: int, after: str) -> str:
    kept = {name: value for name, value in call.params.items() if name not in ("access_token", "before")}
    query = urlencode(kept | {"limit": str(limit), "after": after})
    path = f"{call.node.id}/{call.edge}" if call.node else call.edge
    return f"{call.world.address}/{path}?{query}"
