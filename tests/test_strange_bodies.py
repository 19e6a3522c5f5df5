"""Bodies that are cut, too deep or wrong in any place: refused as a whole, or walked without losing a neighbour."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.test_payload import ANA, ENVELOPE, SENT, TEXT, loads, webhook
from whatshooked.meta import change
from whatshooked.meta.payload import NotAWebhook, walk
from whatshooked.meta.scan import Malformed, elements, members, scan_elements, scan_members

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
quick = settings(deadline=None, database=None, max_examples=150)


NOT_WEBHOOKS = [
    b"",
    b" ",
    b"5",
    b"[]",
    b"{}",
    b'"entry"',
    b'{"entrY":[]}',
    b"\xff",
    b'{"entry":[]}x',
    b'{"entry":[]}{}',
]
NOT_WEBHOOKS += [
    b'{"entry":[1,]}',
    b'{"entry":[1 2]}',
    b'{"entry":[01]}',
    b"{'entry':[]}",
    b'{"entry"}',
    b'{"entry":[]]}',
]
NOT_WEBHOOKS += [b'{"entry":' + b"[" * 10_000 + b"}" * 10_000, b'{"entry":[' + b'{"a":' * 10_000 + b"1]}"]


@pytest.mark.parametrize("body", NOT_WEBHOOKS, ids=range(len(NOT_WEBHOOKS)))
def test_refused(body: bytes) -> None:
    """What is not one JSON object with an `entry` is refused, in one line."""
    with pytest.raises(NotAWebhook) as refusal:
        walk(body)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("tail", [TEXT, {**TEXT, "x": "NAN"}])
def test_cut_anywhere(tail: dict[str, Any]) -> None:
    """A body that was cut is refused wherever the cut is, on the short way and on the careful one."""
    body = webhook({**ENVELOPE, "messages": [tail]}).replace(b'"NAN"', b"NaN")
    assert walk(body)
    for end in range(len(body)):
        with pytest.raises(NotAWebhook):
            walk(body[:end])


DEEP_ARRAY, DEEP_OBJECT = b"[" * 10_000 + b"]" * 10_000, b'{"a":' * 10_000 + b"1" + b"}" * 10_000
DEEP_MIXED = b'[ {"a" : [1, {"b": "]}"}, ' * 50_000 + b"0" + b"]}]" * 50_000
STRANGE = [DEEP_ARRAY, DEEP_OBJECT, DEEP_MIXED, b"NaN", b"-Infinity", b"1e999", b"9" * 6000]
STRANGE += [
    rb'"\ud800"',
    rb'"\ude00\ud83d"',
    b'"\xff\xfe"',
    b'"\xed\xa0\x80"',
    b'"\x00\n"',
    rb'"\x"',
    b'"' + rb"\"" * 5000 + b'"',
]


@pytest.mark.parametrize("strange", STRANGE, ids=range(len(STRANGE)))
@pytest.mark.parametrize(
    "place", ['{"id":"wamid.X","x":@}', "@", '{"id":"wamid.X","text":{"body":@}}'], ids=["key", "member", "nested"]
)
def test_strange_values_spare_their_neighbours(strange: bytes, place: str) -> None:
    """What a strict parser stops at costs neither the item that holds it nor those before and behind it."""
    odd = place.encode().replace(b"@", strange)
    body = webhook({**ENVELOPE, "messages": [TEXT, "ODD", TEXT], "statuses": [SENT]}).replace(b'"ODD"', odd)
    items = walk(body)
    assert [item.raw for item in items].count(odd) == 1
    assert [loads(item.raw) for item in items if item.raw != odd] == [TEXT, TEXT, SENT]


def test_strange_siblings_spare_the_items() -> None:
    """The same beside the arrays: in the value, the change, the entry and the top of the body."""
    body = webhook({**ENVELOPE, "messages": [TEXT], "x": "ODD"}, y="ODD").replace(b'"object"', b'"z":"ODD","object"')
    for strange in STRANGE:
        items = walk(body.replace(b'"ODD"', strange))
        assert [loads(item.raw) for item in items if item.kind == "message"] == [TEXT]
        assert [item.field for item in items] == ["messages", "messages", "unknown", "unknown"]


def test_many_items() -> None:
    """A body of 4 MB is walked whole, also when one item in it is strange."""
    body = webhook({**ENVELOPE, "messages": [TEXT] * 30_000 + ["ODD"]})
    assert len(walk(body)) == 30_001
    assert len(walk(body.replace(b'"ODD"', b"NaN"))) == 30_001


WRONG: list[Any] = [None, True, 0, -1.5, "", "text", [], [[]], [None], {}, {"": {}}, [{"a": [1]}]]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value inside."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, part in inner for place in places(part, (*path, key)))]


def test_wrong_types_everywhere() -> None:
    """A wrong type in any place of a body loses no message but one that it stands in place of."""
    value = {**ENVELOPE, "contacts": [ANA], "messages": [TEXT], "statuses": [SENT]}
    body = loads(webhook(value, time=1))
    body["entry"].append(loads(webhook({**ENVELOPE, "messages": [{"id": "wamid.LAST"}]}))["entry"][0])
    for path in places(body):
        if len(path) < 2 or path[:2] == ("entry", 1):
            continue
        for wrong in WRONG:
            broken = loads(json.dumps(body))
            holder = broken
            for key in path[:-1]:
                holder = holder[key]
            holder[path[-1]] = wrong
            assert loads(walk(json.dumps(broken).encode())[-1].raw) == {"id": "wamid.LAST"}


@quick
@given(entry=JSON)
def test_any_entry_is_walked(entry: Any) -> None:
    """No JSON in `entry` makes the walk fail, and where there is something there are items."""
    items = walk(json.dumps({"entry": entry}).encode())
    assert items or not entry or all(isinstance(part, dict) and part.get("changes") == [] for part in entry)


@quick
@given(messages=st.lists(JSON, max_size=4), statuses=st.lists(JSON, max_size=4), contacts=JSON, other=JSON)
def test_no_member_is_lost(messages: list[Any], statuses: list[Any], contacts: Any, other: Any) -> None:
    """Whatever `messages` and `statuses` hold, each member is one item, in order."""
    body = webhook({**ENVELOPE, "contacts": contacts, "messages": messages, "statuses": statuses, "other": other})
    raws = [loads(item.raw) for item in walk(body)]
    if messages or statuses:
        assert raws[: len(messages) + len(statuses)] == messages + statuses


@quick
@given(
    messages=st.lists(st.fixed_dictionaries({"id": JSON, "from": JSON}), max_size=3),
    contacts=st.lists(JSON, max_size=3),
)
def test_ways_agree_on_anything(messages: list[Any], contacts: list[Any]) -> None:
    """Both ways find the same items, whatever the messages and contacts are."""
    body = webhook({**ENVELOPE, "contacts": contacts, "messages": messages})
    assert walk(body) == change.items(body)


@quick
@given(value=JSON, space=st.sampled_from(["", " ", "\n\t\r "]))
def test_scanner_agrees_with_msgspec(value: Any, space: str) -> None:
    """The scanner takes every JSON value apart as a strict parser does."""
    raw = json.dumps({"a": value, "b": [value]}, indent=space or None).encode()
    assert scan_members(raw) == members(raw)
    raw = json.dumps([value, value], ensure_ascii=False, indent=space or None).encode("utf-8", "replace")
    assert scan_elements(raw) == elements(raw)


@quick
@given(raw=st.text('[]{}",:\\ 01-.eE+truefalsnNaIiy', max_size=14).map(str.encode))
def test_scanner_refuses_what_json_refuses(raw: bytes) -> None:
    """On short texts of JSON's own signs the scanner is exactly as strict as a parser, but for NaN and escapes."""
    try:
        expected: Any = json.loads(b"[" + raw + b"]")
    except ValueError:
        expected = None
    try:
        found = scan_elements(b"[" + raw + b"]")
    except Malformed:
        found = None
    if b"\\" not in raw:
        assert (found is None) == (expected is None)
        assert found is None or len(found) == len(expected)
