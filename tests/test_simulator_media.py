"""The simulator's media: look-up, upload, deletion, the URLs of files, and every way in which a download fails."""

import asyncio
import base64
import hashlib
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.simulated import TOKEN, Meta
from whatshooked.simulator.media import filetypes, samples
from whatshooked.simulator.media import store as media
from whatshooked.simulator.media.samples import sample
from whatshooked.simulator.world.model import Media, MediaFault, Number, Token, Waba

_MB = 1024 * 1024
_VOICE = filetypes.VOICE
_FORM = {"messaging_product": "whatsapp", "type": "image/png"}


def stored(sim: Meta, kind: samples.SampleKind = "photo", *, fault: MediaFault = "", inbound: bool = True) -> Media:
    """A sample that a user sent to the number."""
    file = sample(kind)
    found = media.store(sim.world, sim.number, file.mime_type, file.content, filename=file.filename, inbound=inbound)
    found.fault = fault
    return found


async def url_of(sim: Meta, found: Media) -> str:
    """A new URL of a file, from its metadata."""
    url: str = (await sim.ask("GET", found.id)).json()["url"]
    return url


async def download(sim: Meta, found: Media) -> httpx.Response:
    """What comes of a file's new URL."""
    return await sim.client.get(await url_of(sim, found))


async def upload(sim: Meta, mime_type: str, content: bytes, *, filename: str = "f", **fields: str) -> httpx.Response:
    """Upload a file as its number."""
    data = {"messaging_product": "whatsapp", "type": mime_type} | fields
    return await sim.ask("POST", f"{sim.number.id}/media", data=data, files={"file": (filename, content, mime_type)})


async def test_row_15_metadata_tells_of_a_file(sim: Meta) -> None:
    """The look-up gives the hash in hex, the size as a number (or as text by its knob) and a URL on another path."""
    found = stored(sim)
    answer = await sim.ask("GET", found.id)
    told = answer.json()
    assert told | {"url": ""} == {
        "messaging_product": "whatsapp",
        "url": "",
        "mime_type": "image/png",
        "sha256": hashlib.sha256(found.content).hexdigest(),
        "file_size": len(found.content),
        "id": found.id,
    }
    place = urlsplit(told["url"])
    assert (f"{place.scheme}://{place.netloc}", place.path) == (sim.url, "/_files/whatsapp_business/attachments/")
    assert {"mid", "ext", "hash"} <= parse_qs(place.query).keys()
    sim.world.knobs.file_size_text = True
    assert (await sim.ask("GET", found.id)).json()["file_size"] == str(len(found.content))


async def test_row_15_a_webhook_has_the_hash_in_base64(sim: Meta) -> None:
    """A webhook's media object has a base64 hash, and a URL that works unless the knob keeps it away."""
    found = stored(sim)
    told = media.webhook_object(sim.world, found)
    assert told.keys() == {"id", "mime_type", "sha256", "url"}
    assert base64.b64decode(told["sha256"]) == hashlib.sha256(found.content).digest()
    assert (await sim.client.get(told["url"])).content == found.content
    assert "source=webhook" in told["url"]
    sim.world.knobs.media_url = False
    assert "url" not in media.webhook_object(sim.world, found)


async def test_row_15_a_download_gives_the_bytes_to_the_token(sim: Meta) -> None:
    """The URL gives the file with its type; each look-up gives a new one, and those before still hold."""
    found = stored(sim, "voice")
    first, second = await url_of(sim, found), await url_of(sim, found)
    assert first != second
    for url in (first, second):
        answer = await sim.client.get(url)
        assert (answer.status_code, answer.content) == (200, found.content)
        assert answer.headers["content-type"] == _VOICE
        assert answer.headers["content-length"] == str(len(found.content))


async def test_row_15_a_download_demands_the_bearer(sim: Meta) -> None:
    """Without a token, with a strange one or with one in the query a file is refused with 401."""
    url = await url_of(sim, stored(sim))
    for header in ("", "Bearer nobody's", f"Basic {TOKEN}"):
        answer = await sim.client.get(f"{url}&access_token={TOKEN}", headers={"authorization": header})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("OAuth")


async def test_row_15_a_download_demands_one_user_agent(sim: Meta) -> None:
    """No User-Agent, an empty one, or two of them, are refused with 400."""
    url = await url_of(sim, stored(sim))
    for agents in ([], [b""], [b"a/1", b"b/1"]):
        request = sim.client.build_request("GET", url)
        del request.headers["user-agent"]
        raw = [*request.headers.raw, *((b"User-Agent", agent) for agent in agents)]
        answer = await sim.client.send(httpx.Request("GET", url, headers=raw))
        assert answer.status_code == 400
        assert answer.json()["error"]["fbtrace_id"]


async def test_row_15_a_url_lives_five_minutes(sim: Meta) -> None:
    """After five minutes a URL gives 404, and a new look-up a URL that works again."""
    sim.world.clock.run(0)
    found = stored(sim)
    url = await url_of(sim, found)
    sim.world.clock.advance(media.URL_LIFE - 1)
    assert (await sim.client.get(url)).status_code == 200
    sim.world.clock.advance(1)
    assert (await sim.client.get(url)).status_code == 404
    assert (await download(sim, found)).status_code == 200
    assert len(found.urls) == 1  # the dead one is forgotten


async def test_row_15_a_url_is_good_for_its_file_only(sim: Meta) -> None:
    """A hash of another file, a made-up one and a file that is not there give 404; only GET is known."""
    found, other = stored(sim), stored(sim)
    url = await url_of(sim, found)
    for wrong in (url.replace(found.id, other.id), url[:-4] + "beef", url.replace(found.id, "1"), url.split("?")[0]):
        assert (await sim.client.get(wrong)).status_code == 404
    assert (await sim.client.post(url)).status_code == 405


async def test_row_15_a_foreign_token_sees_no_file(sim: Meta) -> None:
    """A token of another WABA gets the same answer for a file as for one that is not there, by id and by URL."""
    found = stored(sim)
    url = await url_of(sim, found)
    scope = "whatsapp_business_messaging"
    sim.state.wabas["209"] = Waba(id="209", business_id="409")
    sim.state.tokens["other"] = Token(value="other", app_id=sim.app.id, scopes=[scope], targets={scope: ["209"]})
    sim.client.headers["authorization"] = "Bearer other"
    seen, missing = await sim.refused("GET", found.id), await sim.refused("GET", "12345")
    assert (seen[0], seen[1]["code"], seen[1]["error_subcode"]) == (400, 100, 33)
    assert seen[1]["message"].replace(found.id, "") == missing[1]["message"].replace("12345", "")
    assert (await sim.client.get(url)).status_code == 400


@pytest.mark.parametrize(("inbound", "days"), [(True, 7), (False, 30)])
async def test_row_15_ids_die(sim: Meta, inbound: bool, days: int) -> None:
    """What a user sent is gone after 7 days, an upload after 30: 100/33 as if it had never been."""
    sim.world.clock.run(0)
    found = stored(sim, inbound=inbound)
    sim.world.clock.advance(days * 86_400 - 1)
    assert (await sim.ask("GET", found.id)).status_code == 200
    assert media.usable(sim.world, sim.number, found.id)
    sim.world.clock.advance(1)
    assert not media.usable(sim.world, sim.number, found.id)
    for method in ("GET", "DELETE"):
        status, error = await sim.refused(method, found.id)
        assert (status, error["code"], error["error_subcode"]) == (400, 100, 33)
        assert error["type"] == "GraphMethodException"
    stored(sim)
    assert found.id not in sim.state.media


async def test_row_15_the_number_of_a_look_up_must_be_the_files(sim: Meta) -> None:
    """`phone_number_id` may be left out or be right; a wrong one is an error, also for a deletion."""
    found = stored(sim)
    assert (await sim.ask("GET", found.id, params={"phone_number_id": sim.number.id})).status_code == 200
    for method in ("GET", "DELETE"):
        status, error = await sim.refused(method, found.id, params={"phone_number_id": "100000000000009"})
        assert (status, error["code"]) == (400, 100)


async def test_row_15_a_wrong_hash(sim: Meta) -> None:
    """The bytes are not those of the hash, yet as many."""
    found = stored(sim, fault="wrong_hash")
    answer = await download(sim, found)
    assert len(answer.content) == len(found.content)
    assert answer.content != found.content


async def test_row_15_a_truncated_download(sim: Meta) -> None:
    """The connection ends amid the bytes; `short` ends well with half of them."""
    with pytest.raises(httpx.RemoteProtocolError):
        await download(sim, stored(sim, fault="truncated"))
    found = stored(sim, fault="short")
    answer = await download(sim, found)
    assert answer.content == found.content[: len(found.content) // 2]


async def test_row_15_a_slow_download(sim: Meta) -> None:
    """The bytes drip one by one, at the pace of the knob."""
    found = stored(sim, fault="slow")
    sim.world.knobs.drip = 0.001
    assert (await download(sim, found)).content == found.content
    sim.world.knobs.drip = 60
    async with sim.client.stream("GET", await url_of(sim, found)) as answer:
        assert len(await anext(answer.aiter_raw())) == 1


async def test_row_15_downloads_too_long(sim: Meta) -> None:
    """More bytes come than the metadata says, or no end at all: then until the caller leaves; none tells a length."""
    oversize = stored(sim, fault="oversize")
    answer = await download(sim, oversize)
    assert "content-length" not in answer.headers
    assert answer.content.startswith(oversize.content)
    assert len(answer.content) > (await sim.ask("GET", oversize.id)).json()["file_size"]
    endless, got = stored(sim, fault="endless"), 0
    async with sim.client.stream("GET", await url_of(sim, endless)) as answer:
        async for piece in answer.aiter_raw():
            got += len(piece)
            if got > 3 * 64 * 1024:
                break
    await _quiet()


async def test_row_15_a_wrong_content_type(sim: Meta) -> None:
    """The file comes as a page of HTML, by its header."""
    found = stored(sim, fault="wrong_type")
    answer = await download(sim, found)
    assert (answer.headers["content-type"], answer.content) == ("text/html; charset=utf-8", found.content)


async def test_row_15_one_redirect_on_the_same_host(sim: Meta) -> None:
    """One hop leads to another path of the same host, which wants the token too."""
    found = stored(sim, fault="redirect")
    hop = await download(sim, found)
    assert hop.status_code == 302
    place = urlsplit(hop.headers["location"])
    assert (place.netloc, place.path) == (urlsplit(sim.url).netloc, "/_files/whatsapp_business/served/")
    assert (await sim.client.get(hop.headers["location"])).content == found.content
    assert (await sim.client.get(hop.headers["location"], headers={"authorization": ""})).status_code == 401


async def test_row_15_one_redirect_to_another_host(sim: Meta) -> None:
    """One hop leads to another host: the file comes without a token, and the log tells whether one came along."""
    found = stored(sim, fault="redirect_away")
    hop = (await download(sim, found)).headers["location"]
    assert urlsplit(hop).hostname == "localhost"
    async with httpx.AsyncClient(trust_env=False) as bare:
        assert (await bare.get(hop)).content == found.content
        assert (await bare.get(hop, headers={"authorization": f"Bearer {TOKEN}"})).status_code == 200
        assert (await bare.get(hop.replace("/elsewhere/", "/attachments/"))).status_code == 401
    away = [call.body for call in sim.world.calls if "/elsewhere/" in call.path]
    assert [(body["host"], body["authorization"]) for body in away] == [
        (urlsplit(hop).netloc, False),
        (urlsplit(hop).netloc, True),
    ]
    assert TOKEN not in repr(sim.world.calls)


async def test_row_15_a_fault_may_be_counted(sim: Meta) -> None:
    """A fault hits as many downloads as it is told to, hops not counted, then the file comes whole."""
    found = stored(sim, fault="redirect")
    found.faults_left = 2
    for _ in range(2):
        hop = await download(sim, found)
        assert (await sim.client.get(hop.headers["location"])).content == found.content
    assert (await download(sim, found)).content == found.content
    assert found.fault == ""


async def test_row_16_an_upload_can_be_looked_up_and_deleted_once(sim: Meta) -> None:
    """An upload gives an id, its file comes back byte for byte; a second deletion is 100/33."""
    file = sample("document")
    media_id = (await upload(sim, file.mime_type, file.content, filename="offer.pdf")).json()["id"]
    kept = sim.state.media[media_id]
    assert (kept.number_id, kept.filename, kept.mime_type) == (sim.number.id, "offer.pdf", "application/pdf")
    assert (await download(sim, kept)).content == file.content
    assert (await sim.ask("DELETE", media_id)).json() == {"success": True}
    status, error = await sim.refused("DELETE", media_id)
    assert (status, error["code"], error["error_subcode"]) == (400, 100, 33)


async def test_row_16_an_upload_needs_its_product_key_and_file(sim: Meta) -> None:
    """Without `messaging_product` the answer is Meta's own text; without a file it names the file."""
    path, files = f"{sim.number.id}/media", {"file": ("a.png", b"x", "image/png")}
    _, error = await sim.refused("POST", path, data={"type": "image/png"}, files=files)
    assert (error["code"], error["message"]) == (100, "(#100) The parameter messaging_product is required.")
    _, error = await sim.refused("POST", path, data=_FORM)
    assert (error["code"], error["message"]) == (100, "(#100) The parameter file is required.")
    _, error = await sim.refused("POST", path, data=_FORM, files={"other": files["file"]})
    assert (error["code"], error["message"]) == (100, "(#100) The parameter file is required.")


async def test_row_16_the_parts_own_type_counts(sim: Meta) -> None:
    """The file's part must carry a type that Meta takes, whatever `type` says; a part without one has none."""
    headers, path = {"content-type": "multipart/form-data; boundary=cut"}, f"/v25.0/{sim.number.id}/media"
    for part in ("", "application/octet-stream", "image/gif", "audio/ogg", "x"):
        answer = await sim.client.post(path, content=_multipart(part, _FORM), headers=headers)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (400, 100)
        assert error["message"].endswith(f"Received file of type '{part or 'application/octet-stream'}'.")
    answer = await sim.client.post(path, content=_multipart("image/webp; x=1", _FORM), headers=headers)
    assert answer.status_code == 200


async def test_row_16_a_declared_type_must_be_one_that_meta_takes(sim: Meta) -> None:
    """`type` may be left out; one that Meta does not take is refused."""
    assert (await upload(sim, "image/png", b"x", type="")).status_code == 200
    assert (await upload(sim, "image/png", b"x", type="image/gif")).json()["error"]["code"] == 100


async def test_row_16_ogg_must_say_opus(sim: Meta) -> None:
    """Ogg is taken as Opus only, and its type must say so; the parameter is kept."""
    content = sample("voice").content
    assert (await upload(sim, "audio/ogg", content)).status_code == 400
    assert (await upload(sim, "audio/ogg; codecs=vorbis", content)).status_code == 400
    kept = sim.state.media[(await upload(sim, _VOICE, content)).json()["id"]]
    assert kept.mime_type == _VOICE
    assert (await upload(sim, 'audio/ogg;codecs="opus"', content)).status_code == 200


@pytest.mark.parametrize(
    ("mime_type", "most"),
    [
        ("image/jpeg", 5 * _MB),
        ("video/mp4", 16 * _MB),
        ("audio/mpeg", 16 * _MB),
        ("application/pdf", 100 * _MB),
        ("image/webp", 100 * 1024),
    ],
)
def test_row_16_each_kind_has_its_size(mime_type: str, most: int) -> None:
    """The sizes are those of Meta's table; a sticker that moves may have more."""
    kind = filetypes.kind_of(mime_type)
    assert kind is not None
    assert filetypes.most_bytes(kind, b"") == most
    assert filetypes.most_bytes("sticker", sample("animated").content) == 500 * 1024


async def test_row_16_a_file_too_large_or_empty_is_refused(sim: Meta) -> None:
    """A file of just the size is taken, a byte more is not; nor is an empty one."""
    head = sample("animated").content
    assert (await upload(sim, "image/webp", bytes(100 * 1024))).status_code == 200
    assert (await upload(sim, "image/webp", head + bytes(100 * 1024))).status_code == 200
    for content in (bytes(100 * 1024 + 1), head + bytes(500 * 1024), b""):
        answer = await upload(sim, "image/webp", content)
        assert answer.json()["error"]["code"] == 100
        assert str(len(content)) in answer.json()["error"]["error_data"]["details"]


async def test_row_16_a_broken_form_is_graphs_own_error(sim: Meta) -> None:
    """A multipart body that is none gives an error object, as everything does."""
    headers = {"content-type": "multipart/form-data; boundary=cut"}
    for content in (b"nothing", b"--cut\r\nContent-Disp"):
        status, error = await sim.refused("POST", f"{sim.number.id}/media", content=content, headers=headers)
        assert (status, error["code"]) == (400, 100)


async def test_row_16_media_belong_to_their_number(sim: Meta) -> None:
    """A file is good for sending with the number it was uploaded to, and with no other."""
    found = stored(sim, inbound=False)
    other = Number(id="109", waba_id=sim.waba.id, phone="15550100009", display_phone_number="+1 555-010-0009")
    assert media.usable(sim.world, sim.number, found.id)
    assert not media.usable(sim.world, other, found.id)
    assert not media.usable(sim.world, sim.number, "1")


def _multipart(part_type: str, fields: dict[str, str]) -> bytes:
    """A form whose file part carries this Content-Type, "" none."""
    rows = [f'--cut\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}' for name, value in fields.items()]
    kind = f"\r\nContent-Type: {part_type}" if part_type else ""
    rows.append(f'--cut\r\nContent-Disposition: form-data; name="file"; filename="a.png"{kind}\r\n\r\nbytes')
    return "\r\n".join([*rows, "--cut--\r\n"]).encode()


async def _quiet() -> None:
    """Wait until no download is under way any more."""
    async with asyncio.timeout(5):
        while any("files._" in repr(task.get_coro()) or "_answer" in repr(task) for task in asyncio.all_tasks()):
            await asyncio.sleep(0.01)
