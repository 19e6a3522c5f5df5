"""What Meta tells about conversations beside messages: clicks, preferences, calls, echoes, history, groups, hand-overs.

The person in them is made up: they are no user of the simulator's.
"""

import base64

from whatshooked.simulator.fields.place import Makers, Place
from whatshooked.simulator.people import inbound
from whatshooked.simulator.people.details import Object, error
from whatshooked.simulator.world.model import User

_PERSON = User(id="DE.20451209655302749999", phone="4915112349999", name="Eve Kaya", username="eve.k")
_GROUP = "Y2FwaV9ncm91cDoxMjAzNjMwNDAwMDAwMDAx"
_CALL = "wacid.ABGGFlCGg0cvAgo6cHbBhfK5760V"
_SDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"


def _wamid(name: str) -> str:
    return "wamid." + base64.b64encode(f"simulated {name}".encode()).decode()


def _contacts() -> list[Object]:
    return [inbound.contact(_PERSON)]


def _clicks(place: Place, _: str) -> Object:
    data = {"click_component": "cta", "click_id": "click-1", "tracking_token": "token-1"}
    action: Object = {"action_type": "marketing_messages_link_click", "timestamp": place.stamp}
    return place.of_number(user_actions=[action | {"marketing_messages_link_click_data": data}])


def _preferences(place: Place, event: str) -> Object:
    person = {"wa_id": _PERSON.phone, "user_id": _PERSON.id}
    told = {"detail": f"User requested to {event} marketing messages", "category": "marketing_messages"}
    row = person | told | {"value": event, "timestamp": place.now}
    return place.of_number(contacts=_contacts(), user_preferences=[row])


def _calls(place: Place, event: str) -> Object:
    if event in ("RINGING", "ACCEPTED", "REJECTED"):
        row = {"id": _CALL, "type": "call", "status": event, "recipient_id": _PERSON.phone}
        return place.of_number(contacts=_contacts(), statuses=[row | {"timestamp": place.stamp}])
    call: Object = {"id": _CALL, "from": _PERSON.phone, "to": place.number.phone, "event": event}
    call |= {"timestamp": place.stamp, "direction": "USER_INITIATED"}
    if event == "connect":
        call["session"] = {"sdp_type": "offer", "sdp": _SDP}
    if event == "terminate":
        call |= {"status": "COMPLETED", "start_time": str(place.now - 61), "end_time": place.stamp, "duration": 61}
    return place.of_number(contacts=_contacts(), calls=[call])


def _echo(place: Place, event: str) -> Object:
    row: Object = {"from": place.number.phone, "to": _PERSON.phone, "to_user_id": _PERSON.id}
    row |= {"id": _wamid(f"echo {event}"), "timestamp": place.stamp, "type": event}
    said = {"type": "text", "text": {"body": "Written in the phone app"}}
    match event:
        case "edit":
            return row | {"edit": {"original_message_id": _wamid("echo text"), "message": said}}
        case "revoke":
            return row | {"revoke": {"original_message_id": _wamid("echo text")}}
        case _:
            return row | {"text": said["text"]}


def _echoes(place: Place, event: str) -> Object:
    return place.of_number(contacts=_contacts(), message_echoes=[_echo(place, event)])


def _sync(place: Place, event: str) -> Object:
    first, _, _ = _PERSON.name.partition(" ")
    person: Object = {"phone_number": _PERSON.phone}
    person |= {"full_name": _PERSON.name, "first_name": first} if event == "add" else {}
    row: Object = {"type": "contact", "contact": person, "action": event, "metadata": {"timestamp": place.stamp}}
    return place.of_number(state_sync=[row])


def _history(place: Place, event: str) -> Object:
    if event == "declined":
        told = error(2593109, "History sync is turned off by the business", "Nothing of the past will be shared.")
        return place.of_number(history=[{"errors": [told]}])
    shown = {"history_context": {"status": "READ"}}
    one: Object = {"from": _PERSON.phone, "id": _wamid("history 1"), "timestamp": str(place.now - 9000)}
    two: Object = {"from": place.number.phone, "to": _PERSON.phone, "id": _wamid("history 2")}
    messages = [
        one | {"type": "text", "text": {"body": "Are you open on Sunday?"}} | shown,
        two | {"timestamp": str(place.now - 8000), "type": "media_placeholder"} | shown,
    ]
    chunk = {"phase": 0, "chunk_order": 1, "progress": 100}
    return place.of_number(history=[{"metadata": chunk, "threads": [{"id": _PERSON.phone, "messages": messages}]}])


def _group(place: Place, kind: str, **more: object) -> Object:
    row: Object = {"timestamp": place.stamp, "group_id": _GROUP, "type": kind, "request_id": "request-1"}
    return place.of_number(groups=[row | more])


def _lifecycle(place: Place, event: str) -> Object:
    if event == "group_delete":
        return _group(place, event)
    link = "https://chat.whatsapp.example/AbCdEf"
    return _group(place, event, subject="Neighbours", invite_link=link, join_approval_mode="auto_approve")


def _participants(place: Place, event: str) -> Object:
    person: Object = {"wa_id": _PERSON.phone, "user_id": _PERSON.id}
    match event:
        case "group_participants_add":
            added = [{"input": _PERSON.phone} | person | {"username": _PERSON.username}]
            return _group(place, event, added_participants=added, reason="invite_link")
        case "group_participants_remove":
            return _group(place, event, removed_participants=[person], initiated_by="business")
        case _:
            return _group(place, event, join_request_id="join-1", **person)


def _group_settings(place: Place, event: str) -> Object:
    values: dict[str, Object] = {
        "profile_picture": {"mime_type": "image/jpeg", "sha256": "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="},
        "group_subject": {"text": "Neighbours"},
        "group_description": {"text": "All of our street"},
    }
    return _group(place, "group_settings_update", **{event: values[event] | {"update_successful": True}})


def _standby(place: Place, event: str) -> Object:
    message = inbound.message(
        "text", "phone_and_user_id", user=_PERSON, message_id=_wamid("standby"), stamp=place.stamp
    )
    status = {"id": _wamid("standby out"), "status": "delivered", "timestamp": place.stamp}
    rows = {
        "messages": message,
        "message_echoes": _echo(place, "text"),
        "statuses": status | {"recipient_id": _PERSON.phone},
    }
    return place.of_number(contacts=_contacts(), standby={event: [rows[event]]})


def _handovers(place: Place, event: str) -> Object:
    told = {"previous_owner_role": "ai_agent", "new_owner_role": "partner", "metadata": "asked for a person"}
    row = {"type": event, "timestamp": place.stamp, "recipient": {"wa_id": _PERSON.phone, "user_id": _PERSON.id}}
    return place.of_number(messaging_handovers=[row | told])


def _automatic(place: Place, event: str) -> Object:
    row: Object = {"id": _wamid("automatic"), "event_name": event, "timestamp": place.now, "ctwa_clid": "ARAkLkA8rmlF"}
    row |= {"custom_data": {"currency": "EUR", "value": 12.5}} if event == "Purchase" else {}
    return place.of_number(automatic_events=[row])


FIELDS: Makers = {
    "messages": (_clicks, ("marketing_messages_link_click",)),
    "user_preferences": (_preferences, ("stop", "resume", "signup")),
    "calls": (_calls, ("connect", "terminate", "call_created", "RINGING", "ACCEPTED", "REJECTED")),
    "smb_message_echoes": (_echoes, ("text", "edit", "revoke")),
    "message_echoes": (_echoes, ("text",)),
    "smb_app_state_sync": (_sync, ("add", "remove")),
    "history": (_history, ("chunk", "declined")),
    "group_lifecycle_update": (_lifecycle, ("group_create", "group_delete")),
    "group_participants_update": (
        _participants,
        (
            "group_participants_add",
            "group_participants_remove",
            "group_join_request_created",
            "group_join_request_revoked",
        ),
    ),
    "group_settings_update": (_group_settings, ("group_subject", "group_description", "profile_picture")),
    "group_status_update": (_group, ("group_suspend", "group_suspend_cleared")),
    "standby": (_standby, ("messages", "message_echoes", "statuses")),
    "messaging_handovers": (_handovers, ("control_passed", "control_taken")),
    "automatic_events": (_automatic, ("LeadSubmitted", "Purchase")),
}
