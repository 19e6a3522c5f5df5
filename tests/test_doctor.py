"""`whatshooked doctor` against a simulated Meta: each planted fault is found by itself, and its command mends it."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.commands import run, set_up, simulated_account
from tests.conftest import Gateway, hook
from tests.doctored import api, broken, doctor, doubtful, findings, wrong_number_id, wrong_waba_id
from tests.receiver import Receiver
from tests.simulated import Meta, simulated
from whatshooked.cli.doctor.machine import _of_redis, _room
from whatshooked.simulator.world.model import MANAGEMENT, MESSAGING


@pytest.fixture
async def sim() -> AsyncIterator[Meta]:
    async with simulated() as found:
        yield found


@pytest.fixture
async def gateway(make_gateway: Callable[..., Gateway], receiver: Receiver, sim: Meta) -> Gateway:
    """A gateway that is set up without a fault."""
    found = make_gateway(hook("h1", receiver.url()), accounts=[simulated_account(sim)])
    await set_up(found, sim)
    return found


def subscription(sim: Meta) -> Any:
    return sim.app.subscription


# The ten faults: each plants itself in the config or at Meta.


def waba_id_in_its_place(gateway: Gateway, sim: Meta) -> None:
    api(gateway)["phone_number_id"] = sim.waba.id


def token_without_a_scope(gateway: Gateway, sim: Meta) -> None:
    sim.state.tokens[sim.token].scopes = [MANAGEMENT]


def token_without_the_other(gateway: Gateway, sim: Meta) -> None:
    sim.state.tokens[sim.token].scopes = [MESSAGING]


def expired_token(gateway: Gateway, sim: Meta) -> None:
    sim.state.tokens[sim.token].expires_at = int(sim.world.clock.now()) - 10


def unregistered_number(gateway: Gateway, sim: Meta) -> None:
    sim.number.registered = False


def token_of_the_wrong_waba(gateway: Gateway, sim: Meta) -> None:
    sim.state.tokens[sim.token].targets = {MANAGEMENT: ["299"], MESSAGING: ["299"]}


def unsubscribed_waba(gateway: Gateway, sim: Meta) -> None:
    sim.waba.subscribed.clear()


def wrong_callback(gateway: Gateway, sim: Meta) -> None:
    subscription(sim).callback_url = f"{gateway.base}/webhook"


def callback_elsewhere(gateway: Gateway, sim: Meta) -> None:
    subscription(sim).callback_url = "http://127.0.0.1:9/webhooks/whatsapp/business"


def callback_at_a_stranger(gateway: Gateway, sim: Meta) -> None:
    subscription(sim).callback_url = f"{sim.url}/webhooks/whatsapp/business"


def missing_messages(gateway: Gateway, sim: Meta) -> None:
    subscription(sim).fields = ["account_update"]


def dead_version(gateway: Gateway, sim: Meta) -> None:
    api(gateway)["api_version"] = "v20.0"


Fault = Callable[[Gateway, Meta], None]
FAULTS = [
    (wrong_number_id, "number", 'set phone_number_id to "100000000000001"'),
    (waba_id_in_its_place, "number", 'set phone_number_id to "100000000000001"'),
    (wrong_waba_id, "waba", 'set business_account_id to "200000000000001"'),
    (token_without_a_scope, "scopes", "new token"),
    (token_without_the_other, "scopes", "new token"),
    (expired_token, "token", "system user"),
    (unregistered_number, "registered", "whatshooked account register --account business"),
    (token_of_the_wrong_waba, "waba", "assign the WABA"),
    (unsubscribed_waba, "subscribed", "whatshooked account subscribe --account business"),
    (wrong_callback, "callback", "whatshooked account webhook --url"),
    (callback_elsewhere, "answers", "start the gateway"),
    (callback_at_a_stranger, "answers", "whatshooked account webhook"),
    (missing_messages, "fields", "whatshooked account webhook --fields messages"),
    (dead_version, "version", "api_version"),
]


async def test_a_set_up_without_a_fault_has_no_finding_to_mend(gateway: Gateway, sim: Meta) -> None:
    """Exit code 0, every line a tick but for what this version does not do, and no secret on the screen."""
    said = await doctor(gateway)
    assert said.code == 0, said.out
    assert said.out.count("✗") == 0
    for check in ("token", "scopes", "waba", "number", "registered", "verified", "quality", "app", "subscribed"):
        assert f"✓ {check}" in said.out
    for check in ("callback", "answers", "fields", "version", "self-test", "gateway", "redis", "hook", "config"):
        assert f"✓ {check}" in said.out
    for secret in (sim.token, sim.secret, sim.verify_token):
        assert secret not in said.out + said.err


@pytest.mark.parametrize(("plant", "check", "remedy"), FAULTS, ids=lambda value: getattr(value, "__name__", ""))
async def test_each_planted_fault_is_found_by_itself(
    gateway: Gateway, sim: Meta, plant: Fault, check: str, remedy: str
) -> None:
    """One fault, one ✗, with the command or the step that mends it; what hides behind it is not accused."""
    plant(gateway, sim)
    gateway.write()
    found = await broken(gateway)
    assert set(found) == {check}
    assert remedy in found[check]["remedy"]


@pytest.mark.parametrize(
    ("plant", "checks"),
    [
        (wrong_number_id, {"number"}),
        (waba_id_in_its_place, {"number"}),
        (token_without_a_scope, {"scopes"}),
        (expired_token, {"token"}),
        (unregistered_number, {"registered"}),
        (token_of_the_wrong_waba, {"waba"}),
        (unsubscribed_waba, {"subscribed"}),
        (wrong_callback, {"callback"}),
        (missing_messages, {"fields"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_without_the_optional_ids_the_same_faults_are_found(
    gateway: Gateway, sim: Meta, plant: Fault, checks: set[str]
) -> None:
    """An old config names neither app nor WABA: token and number tell them. An expired token tells nothing more."""
    for key in ("app_id", "business_account_id"):
        del api(gateway)[key]
    sim.state.tokens[sim.token].targets = {MANAGEMENT: [sim.waba.id], MESSAGING: [sim.waba.id]}
    plant(gateway, sim)
    gateway.write()
    assert set(await broken(gateway)) == checks


@pytest.mark.parametrize(
    ("plant", "command"),
    [
        (unsubscribed_waba, ("account", "subscribe")),
        (unregistered_number, ("account", "register", "--pin", "123456")),
        (wrong_callback, ("account", "webhook", "--url", "BASE")),
        (missing_messages, ("account", "webhook", "--fields", "messages")),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_the_named_command_mends_the_fault(
    gateway: Gateway, sim: Meta, plant: Fault, command: tuple[str, ...]
) -> None:
    """What doctor says to do is all there is to do."""
    plant(gateway, sim)
    assert (await doctor(gateway)).code == 1
    words = [gateway.base if word == "BASE" else word for word in command]
    mended = await run(*words, "-c", str(gateway.path))
    assert mended.code == 0, mended.err
    assert (await doctor(gateway)).code == 0


async def test_verified_yet_nothing_arrives(gateway: Gateway, sim: Meta) -> None:
    """The most frequent complaint: the webhook answers its verification, and the WABA was never subscribed."""
    unsubscribed_waba(gateway, sim)
    said = await doctor(gateway)
    assert "✓ answers" in said.out
    assert (
        "✗ subscribed  the app is not subscribed to the WABA: the webhook is verified, yet nothing arrives" in said.out
    )


async def test_a_token_that_is_no_system_users_or_ends_soon(gateway: Gateway, sim: Meta) -> None:
    """Both work today and are warned of; excess scopes too."""
    token = sim.state.tokens[sim.token]
    token.type = "USER"
    token.scopes = [*token.scopes, "ads_management"]
    found = await doubtful(gateway)
    assert "type USER" in found["token"]["text"]
    assert "ads_management" in found["scopes"]["text"]
    token.expires_at = 2_000_000_000
    sim.state.tokens[sim.token].type = "SYSTEM_USER"
    assert "token" not in await doubtful(gateway)


async def test_a_short_verify_token_and_a_missing_secret(gateway: Gateway, sim: Meta) -> None:
    """They do not break the chain; each is said once."""
    api(gateway)["verify_token"] = "short"
    del api(gateway)["app_secret"]
    gateway.write()
    found = await findings(gateway)
    assert [one for one in found if one["level"] == "warn" and "shorter than 32" in one["text"]]
    assert len([one for one in found if "app_secret" in one["text"] + one["remedy"] and one["check"] == "app"]) == 1


async def test_an_app_secret_of_another_app(gateway: Gateway, sim: Meta) -> None:
    """Meta does not take it for the app: found before the first webhook fails by it; so is the wrong app."""
    api(gateway)["app_secret"] = "secret-of-another-app-0123456789"
    gateway.write()
    found = await broken(gateway)
    assert "Meta does not take app_secret" in found["app"]["text"]
    assert "read another config" in found["self-test"]["text"]  # the running gateway has the right one still
    api(gateway)["app_id"] = "399"
    gateway.write()
    assert f'set app_id to "{sim.app.id}"' in (await broken(gateway))["app"]["remedy"]


async def test_a_secret_that_is_being_replaced(gateway: Gateway, sim: Meta) -> None:
    """Of two secrets one is enough for Meta's own calls."""
    api(gateway)["app_secret"] = ["the-new-secret-that-meta-has-not-yet", sim.secret]
    gateway.write()
    assert "app" not in await broken(gateway)


async def test_a_number_of_another_phone_or_waba(gateway: Gateway, sim: Meta) -> None:
    """The id is a number's, but not this one's; the WABA is the token's, but not the number's."""
    gateway.document["whatsapp"][0]["phone_number"] = "+4930999999"
    gateway.write()
    assert "+4930999999" in (await doubtful(gateway))["number"]["text"]
    other = type(sim.waba)(id="299", business_id=sim.waba.business_id)
    sim.state.wabas[other.id] = other
    api(gateway)["business_account_id"] = "299"
    gateway.write()
    assert f'set business_account_id to "{sim.waba.id}"' in (await broken(gateway))["waba"]["remedy"]


async def test_the_phone_number_or_the_app_in_place_of_the_id(gateway: Gateway, sim: Meta) -> None:
    """Each mix-up is named."""
    for wrong, named in ((sim.number.phone, "the phone number, not its id"), (sim.app.id, "the app's id")):
        api(gateway)["phone_number_id"] = wrong
        gateway.write()
        assert named in (await broken(gateway))["number"]["text"]


async def test_a_number_that_is_not_well(gateway: Gateway, sim: Meta) -> None:
    """Quality, a declined name, a restriction: to look at, not broken; a ban is."""
    sim.number.quality_rating = "RED"
    sim.number.name_status = "DECLINED"
    found = await doubtful(gateway)
    assert "RED" in found["quality"]["text"]
    assert "declined" in found["verified"]["text"]
    sim.number.status = "RESTRICTED"
    assert "RESTRICTED" in (await doubtful(gateway))["registered"]["text"]
    sim.number.status = "BANNED"
    assert "banned" in (await broken(gateway))["registered"]["text"]


async def test_a_hook_that_cannot_be_reached(gateway: Gateway, receiver: Receiver) -> None:
    """Only its connection is tried: no event is sent."""
    gateway.document["hooks"].append(hook("gone", "http://127.0.0.1:9/hook?token=planted"))
    gateway.document["hooks"].append(hook("off", "http://127.0.0.1:9/hook", active=False))
    gateway.write()
    found = await findings(gateway)
    (gone,) = [one for one in found if one["check"] == "hook" and one["level"] == "fail"]
    assert gone["text"].startswith("gone: http://127.0.0.1:9/hook cannot be reached")
    assert "planted" not in json.dumps(found)
    assert not receiver.received


async def test_a_gateway_that_does_not_run(gateway: Gateway, sim: Meta) -> None:
    """Its own tests are left out, and Meta's callback URL does not answer."""
    await gateway.stop()
    found = await findings(gateway)
    levels = {one["check"]: one["level"] for one in found}
    assert (levels["gateway"], levels["answers"]) == ("warn", "fail")
    assert "self-test" not in levels


async def test_meta_that_does_not_answer(gateway: Gateway) -> None:
    """One ✗ with the network's own words; the machine is looked at all the same."""
    api(gateway)["graph_url"] = "http://127.0.0.1:9"
    gateway.write()
    found = await broken(gateway)
    assert "ConnectError" in found["token"]["text"]
    assert set(found) == {"token"}


async def test_an_override_is_followed(gateway: Gateway, sim: Meta) -> None:
    """The number's own callback URL counts before the app's."""
    wrong_callback(gateway, sim)
    done = await run("account", "webhook", "--url", gateway.base, "--level", "number", "-c", str(gateway.path))
    assert done.code == 0, done.err
    said = await doctor(gateway)
    assert f"✓ callback    {gateway.base}/webhooks/whatsapp/business (set for this number)" in said.out
    assert said.code == 0


async def test_one_account_alone(gateway: Gateway) -> None:
    """`--account` takes one; a name that is none is refused with those there are."""
    assert (await doctor(gateway, "--account", "business")).code == 0
    said = await doctor(gateway, "--account", "nobody")
    assert (said.code, said.err) == (1, "no business-api account nobody in the config; there is: business\n")


def test_little_room_and_a_redis_that_evicts() -> None:
    """A disk below 2 GB is a warning, below 200 MB a fault; what durability refuses is a fault with its remedy."""
    levels = [_room("message_cache.data_path", Path("x"), free).level for free in (3 << 30, 1 << 30, 1 << 20)]
    assert levels == ["ok", "warn", "fail"]
    finding = _of_redis("fail", "redis.url: maxmemory-policy is allkeys-lru, so events go; set it to noeviction")
    assert (finding.level, finding.remedy) == ("fail", "set it to noeviction")


async def test_files_that_cannot_be_stored_are_broken(gateway: Gateway, tmp_path: Path) -> None:
    """A folder that is none, and a bucket's option that is none, are named with what becomes of messages."""
    (tmp_path / "file").write_text("")
    gateway.document["media"] = {"data_path": str(tmp_path / "file")}
    gateway.write()
    found = (await broken(gateway))["files"]
    assert "a file stands where a folder should be" in found["text"]
    assert "without their files" in found["remedy"]
    gateway.document["media"] = {"storage": "s3://bucket", "storage_options": {"colour": "red"}}
    gateway.write()
    assert "media.storage_options.colour" in (await broken(gateway))["files"]["text"]
    said = await run("check", "-c", str(gateway.path))
    assert said.code == 78
    assert "media.storage_options.colour" in said.err


async def test_a_target_of_the_log_that_cannot_be_written_is_broken(gateway: Gateway, tmp_path: Path) -> None:
    """Each target has a line: what is fine says where it writes, what is not says what stands in its way."""
    (tmp_path / "in the way").write_text("")
    places = {"file_dir": str(tmp_path / "in the way" / "events"), "sqlite_path": str(tmp_path / "events.sqlite")}
    gateway.document["event_logger"] = {"enabled": True, "targets": ["file", "sqlite"]} | places
    gateway.write()
    found = (await broken(gateway))["event log"]
    assert "event_logger.file_dir" in found["text"]
    assert (tmp_path / "events.sqlite").exists()
