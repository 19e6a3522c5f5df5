"""A plausible value for every `field` that Meta tells of, beyond messages and statuses.

`FIELDS` maps each field to its events, the usual one first: what of a field's several shapes is wanted.

Source: Meta's reference of the webhook fields; the shapes of five fields are documented nowhere (`_OPAQUE`).
"""

import difflib
from collections.abc import Mapping

from whatshooked.simulator.fields import account as fields_account
from whatshooked.simulator.fields import talk as fields_talk
from whatshooked.simulator.fields import template as fields_template
from whatshooked.simulator.fields.place import Maker, Place
from whatshooked.simulator.people.details import Object
from whatshooked.simulator.world.model import Number, Waba

#: Seen as names only, in dashboards and code.
_OPAQUE = ("business_status_update", "campaign_status_update", "tracking_events", "consumer_profile")


def value(field: str, number: Number, waba: Waba, stamp: str, event: str = "") -> Object:
    """Return the value of a field's change; `stamp` is unix seconds as text. Raises ValueError for unknown names."""
    if field not in FIELDS:
        near = " or ".join(difflib.get_close_matches(field, FIELDS, 2))
        meant = f"is {near} meant? " if near else ""
        raise ValueError(
            f"there is no field {field!a}; {meant}`whatshooked simulate notify list` has all {len(FIELDS)}"
        )
    events = FIELDS[field]
    if event and event not in events:
        raise ValueError(f"{field} has no event {event!a}; there are {', '.join(events) or 'none'}")
    return _MAKERS[field](Place(number=number, waba=waba, stamp=stamp), event or next(iter(events), ""))


def _opaque(place: Place, _: str) -> Object:
    return {"waba_id": place.waba.id, "timestamp": int(place.stamp), "details": {"kind": "undocumented"}}


_TOLD: Mapping[str, tuple[Maker, tuple[str, ...]]] = (
    fields_template.FIELDS | fields_account.FIELDS | fields_talk.FIELDS | dict.fromkeys(_OPAQUE, (_opaque, ()))
)
_MAKERS = {field: make for field, (make, _) in _TOLD.items()}
#: Field -> its events, the usual one first.
FIELDS: Mapping[str, tuple[str, ...]] = {field: events for field, (_, events) in _TOLD.items()}
