"""A webhook as the simulator writes it: its bytes and signature, and how many updates share one."""

import hashlib
import hmac
import json

from tests.simulated import Meta, message_ids
from whatshooked.meta.signature import Signer, Verdict, sign
from whatshooked.simulator.webhooks import wire
from whatshooked.simulator.webhooks.wire import Update


def test_row_12_known_bytes() -> None:
    """What Meta's serialiser is known to write for a text is written so, and signed so."""
    body = {
        "object": "whatsapp_business_account",
        "entry": [{"id": "1", "changes": [{"field": "messages", "value": {"t": "äö a@b.c https://x.y 😀"}}]}],
    }
    ascii_ = wire.serialise(body)
    assert rb'{"t":"\u00e4\u00f6 a\u0040b.c https:\/\/x.y \ud83d\ude00"}' in ascii_
    assert sign(ascii_, "test_app_secret").endswith("0b5785e1a97c1adaee39466e4d59292b899569babc6cda87174552e7a68f4e36")
    raw = wire.serialise(body, raw_utf8=True)
    assert "äö a@b.c https://x.y 😀".encode() in raw
    assert sign(raw, "test_app_secret").endswith("8f9f343f2019ce30fccc79a6c05cf07f7aed328a04328619880da6bbf409e155")


def test_row_12_every_sign_survives() -> None:
    """Whatever stands in a text is read again as it was: the escapes are JSON's own."""
    text = "\"\\ /%<>@&' \t\r\n\x00\x1f\x7f\u2028\ud7ff\U0001f600 \\u0040 \\/"
    for raw in (False, True):
        assert json.loads(wire.serialise({text: [text, 1.5, None, True]}, raw_utf8=raw)) == {
            text: [text, 1.5, None, True]
        }
    assert not set(b"/%<@").intersection(wire.serialise(text).replace(rb"\/", b""))


async def test_row_12_the_sent_bytes_are_the_signed_ones(sim: Meta) -> None:
    """A webhook arrives with Meta's headers, and its signature is over exactly its bytes."""
    sim.publish("50% <b> ä@ö 😀 https://x.y")
    (request,) = await sim.arrived()
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == "facebookexternalua"
    assert "x-hub-signature" not in request.headers
    assert Signer([sim.secret]).check(request.body, request.headers["x-hub-signature-256"]) is Verdict.OK
    assert request.body.isascii()
    assert rb"50\u0025 \u003Cb> \u00e4\u0040\u00f6 \ud83d\ude00 https:\/\/x.y" in request.body


async def test_row_12_signatures_that_fail(sim: Meta) -> None:
    """The signature can be missing, bad, or made with the secret before; the old SHA-1 can stand beside it."""
    sim.app.old_secret = "the secret before"
    kinds: list[wire.Signature] = ["missing", "bad", "old_secret", "right"]
    for kind in kinds:
        sim.world.knobs.signature = kind
        sim.world.knobs.sha1 = kind == "right"
        sim.publish()
        await sim.arrived(len(sim.posts()) + 1)
    missing, bad, old, right = sim.posts()
    assert "x-hub-signature-256" not in missing.headers
    verdicts = [Signer([sim.secret]).check(one.body, one.headers["x-hub-signature-256"]) for one in (bad, old, right)]
    assert verdicts == [Verdict.WRONG, Verdict.WRONG, Verdict.OK]
    assert Signer(["the secret before"]).check(old.body, old.headers["x-hub-signature-256"]) is Verdict.OK
    sha1 = hmac.new(sim.secret.encode(), right.body, hashlib.sha1).hexdigest()
    assert right.headers["x-hub-signature"] == f"sha1={sha1}"


async def test_row_12_raw_utf8(sim: Meta) -> None:
    """With a switch text stands as UTF-8, signed as it is."""
    sim.world.knobs.raw_utf8 = True
    sim.publish("ä@/")
    (request,) = await sim.arrived()
    assert "ä@/".encode() in request.body
    assert Signer([sim.secret]).check(request.body, request.headers["x-hub-signature-256"]) is Verdict.OK


async def test_row_10_batches(sim: Meta) -> None:
    """Up to `batch` updates share one POST: one entry, one change while the number and the kind are the same."""
    sim.world.knobs.batch = 3
    for count in range(7):
        sim.publish(id_=f"wamid.{count}")
    requests = await sim.arrived(3)
    assert sorted(len(message_ids(one)) for one in requests) == [1, 3, 3]
    assert all(len(one.json["entry"]) == len(one.json["entry"][0]["changes"]) == 1 for one in requests)
    assert sorted(id_ for one in requests for id_ in message_ids(one)) == [f"wamid.{count}" for count in range(7)]


async def test_row_10_messages_and_statuses_mixed(sim: Meta) -> None:
    """Messages and statuses stand in changes of their own, or in one value when mixing is on."""
    for mix, changes in ((False, 2), (True, 1)):
        sim.world.knobs.batch, sim.world.knobs.mix = 2, mix
        sim.publish()
        status_ = sim.value("statuses", {"id": "wamid.2", "status": "sent"})
        sim.world.webhooks.publish(sim.waba, sim.number, "messages", status_)
        request = (await sim.arrived(1 + mix))[-1]
        assert message_ids(request) == ["wamid.1", "wamid.2"]
        assert len(request.json["entry"][0]["changes"]) == changes


async def test_row_10_duplicates(sim: Meta) -> None:
    """A share of the updates goes out twice."""
    sim.world.knobs.duplicates = 1.0
    sim.publish()
    assert [message_ids(one) for one in await sim.arrived(2)] == [["wamid.1"]] * 2


async def test_row_10_disorder(sim: Meta) -> None:
    """With disorder updates overtake one another, and none is lost."""
    sim.world.knobs.disorder = True
    names = [f"wamid.{count}" for count in range(20)]
    for name in names:
        sim.publish(id_=name)
    found = [id_ for one in await sim.arrived(20) for id_ in message_ids(one)]
    assert found != names
    assert sorted(found) == sorted(names)


def test_the_envelope_of_several_wabas() -> None:
    """Each WABA has its entry; only account events carry a time; values with more than arrays stay apart."""
    plain = {"messaging_product": "whatsapp", "metadata": {"phone_number_id": "1"}}
    contact = {"wa_id": "49"}
    updates = [
        Update(waba_id="1", field="messages", value=plain | {"contacts": [contact], "messages": [{"id": "a"}]}),
        Update(waba_id="1", field="messages", value=plain | {"contacts": [contact], "messages": [{"id": "b"}]}),
        Update(waba_id="1", field="messages", value=plain | {"messages": [{"id": "c"}], "errors": [{"code": 1}]}),
        Update(waba_id="2", field="messages", value=plain | {"messages": [{"id": "d"}]}),
    ]
    found = wire.envelope(updates, 5)
    assert [entry["id"] for entry in found["entry"]] == ["1", "2"]
    assert all("time" not in entry for entry in found["entry"])
    first, second = (change["value"] for change in found["entry"][0]["changes"])
    assert (first["contacts"], first["messages"]) == ([contact], [{"id": "a"}, {"id": "b"}])
    assert second["errors"] == [{"code": 1}]
    assert updates[0].value["messages"] == [{"id": "a"}]
    assert wire.message_ids(updates) == ["a", "b", "c", "d"]
    account = Update(waba_id="1", field="account_update", value={"event": "X"})
    assert wire.envelope([account], 5)["entry"][0]["time"] == 5


async def test_row_10_tried(sim: Meta) -> None:
    """Whoever waits for what was published finds it POSTed, a batch that waited for more included."""
    sim.world.clock.run(0)
    sim.world.knobs.batch = 100
    sim.publish()
    await sim.world.webhooks.tried()
    assert [message_ids(one) for one in sim.posts()] == [["wamid.1"]]


async def test_no_body_is_larger_than_metas(sim: Meta) -> None:
    """A batch that would pass 3 MB goes out in parts."""
    sim.world.knobs.batch = 4
    for count in range(4):
        sim.publish("ä" * 200_000, id_=f"wamid.{count}")
    requests = await sim.arrived(2)
    assert [len(message_ids(one)) for one in requests] == [2, 2]
    assert all(len(one.body) <= wire.LARGEST for one in requests)
