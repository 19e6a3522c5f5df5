"""What Meta tells about templates: reviews, quality, contents and categories."""

from whatshooked.simulator.account import templates
from whatshooked.simulator.fields.place import Makers, Place
from whatshooked.simulator.people.details import Object
from whatshooked.simulator.world.model import Template


def _sample(place: Place) -> Template:
    return Template(
        id="500000000000001",
        waba_id=place.waba.id,
        name="hello_world",
        language="en_US",
        category="UTILITY",
        components=[],
        reason="NONE",
    )


def _named(place: Place) -> Object:
    sample = _sample(place)
    return {
        "message_template_id": int(sample.id),
        "message_template_name": sample.name,
        "message_template_language": sample.language,
    }


def _status(place: Place, event: str) -> Object:
    return templates.status_value(_sample(place), event)


def _quality(place: Place, event: str) -> Object:
    return {"previous_quality_score": "GREEN", "new_quality_score": event} | _named(place)


def _components(place: Place, __: str) -> Object:
    buttons = [
        {
            "message_template_button_type": "URL",
            "message_template_button_text": "Track it",
            "message_template_button_url": "https://example.com/track/{{1}}",
        },
        {
            "message_template_button_type": "PHONE_NUMBER",
            "message_template_button_text": "Call us",
            "message_template_button_phone_number": "+15550100001",
        },
    ]
    return _named(place) | {
        "message_template_element": "Hello {{1}}, your parcel is on its way.",
        "message_template_title": "On its way",
        "message_template_footer": "Example Ltd",
        "message_template_buttons": buttons,
    }


def _category(place: Place, event: str) -> Object:
    if event == "announced":
        told: Object = {"correct_category": "MARKETING", "new_category": "UTILITY"}
        return _named(place) | told | {"category_update_timestamp": place.now + 86_400}
    return _named(place) | {"previous_category": "UTILITY", "new_category": "MARKETING"}


FIELDS: Makers = {
    "message_template_status_update": (_status, ("APPROVED", *sorted(templates.EVENTS - {"APPROVED"}))),
    "message_template_quality_update": (_quality, ("YELLOW", "GREEN", "RED", "UNKNOWN")),
    "message_template_components_update": (_components, ()),
    "template_category_update": (_category, ("done", "announced")),
}
