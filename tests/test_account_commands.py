"""`whatshooked account ...` against a simulated Meta: what each command shows, does, and refuses."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.commands import Said, run, set_up, simulated_account
from tests.conftest import Gateway, hook
from tests.receiver import Receiver
from tests.simulated import Meta, simulated
from whatshooked.simulator.rules import Rule
from whatshooked.simulator.world.model import BUSINESS, MANAGEMENT, MESSAGING, Number, Waba


@pytest.fixture
async def sim() -> AsyncIterator[Meta]:
    async with simulated() as found:
        token = found.state.tokens[found.token]
        token.targets = {MANAGEMENT: [found.waba.id], MESSAGING: [found.waba.id]}
        yield found


@pytest.fixture
async def gateway(make_gateway: Callable[..., Gateway], receiver: Receiver, sim: Meta) -> Gateway:
    found = make_gateway(hook("h1", receiver.url()), accounts=[simulated_account(sim)])
    await set_up(found, sim)
    return found


async def account(gateway: Gateway, *words: str, stdin: str = "") -> Said:
    said = await run("account", *words, "-c", str(gateway.path), stdin=stdin)
    assert "Traceback" not in said.err
    return said


def asked(sim: Meta, path: str, method: str = "POST") -> int:
    """How often Meta was asked for a path."""
    return sum(path in one.path and one.method == method for one in sim.world.calls)


async def test_list_shows_each_account_as_meta_sees_it(gateway: Gateway, sim: Meta) -> None:
    """One line each; 1 when Meta refuses one, with its reason and the remedy."""
    said = await account(gateway, "list")
    assert said.code == 0
    assert said.out.split()[:5] == ["business", f"+{sim.number.phone}", sim.number.id, "CONNECTED", "GREEN"]
    sim.state.tokens[sim.token].invalidated = 460
    said = await account(gateway, "list")
    assert said.code == 1
    assert "refused: HTTP 401 190/460" in said.out
    assert "password change" in said.out


async def test_businesses_and_numbers_lead_to_the_ids(gateway: Gateway, sim: Meta) -> None:
    """Businesses with their WABAs need a permission of their own; numbers do not, and all pages are read."""
    said = await account(gateway, "businesses")
    assert (said.code, "business_management" in said.err) == (1, True)
    token = sim.state.tokens[sim.token]
    token.scopes = [*token.scopes, BUSINESS]
    said = await account(gateway, "businesses")
    assert f"  {sim.waba.id}" in said.out
    for place in range(150):
        number = Number(
            id=f"17{place:013d}", waba_id=sim.waba.id, phone=f"1777{place:07d}", display_phone_number="+1 7"
        )
        sim.state.numbers[number.id] = number
    said = await account(gateway, "numbers")
    assert said.out.count("CONNECTED") == 151
    assert said.out.startswith(sim.number.id)


async def test_numbers_of_another_waba_and_of_none(gateway: Gateway, sim: Meta) -> None:
    """`--waba` names one; without any the token's own are taken; an empty one is said to be."""
    empty = Waba(id="299", business_id=sim.waba.business_id)
    sim.state.wabas["299"] = empty
    sim.state.tokens[sim.token].targets[MANAGEMENT].append("299")
    said = await account(gateway, "numbers", "--waba", "299")
    assert (said.code, said.out.startswith("no number")) == (1, True)
    del gateway.document["whatsapp"][0]["business_api"]["business_account_id"]
    gateway.write()
    assert sim.number.id in (await account(gateway, "numbers")).out


async def test_ids_are_found_before_there_is_a_config(sim: Meta, tmp_path: Path) -> None:
    """`--token` stands for one: numbers, businesses and the token itself; a token for all WABAs wants one named."""
    token = sim.state.tokens[sim.token]
    file = tmp_path / "token"
    file.write_text(sim.token)
    words = ("--token", f"file:{file}", "--graph-url", sim.url, "-c", str(tmp_path / "none.json"))
    assert sim.number.id in (await run("account", "numbers", *words)).out
    assert "valid    yes" in (await run("account", "token", *words)).out
    token.targets = {}
    said = await run("account", "numbers", *words)
    assert (said.code, "give one with --waba" in said.err) == (1, True)
    assert sim.number.id in (await run("account", "numbers", "--waba", sim.waba.id, *words)).out
    token.scopes = [*token.scopes, BUSINESS]
    assert sim.waba.id in (await run("account", "businesses", *words)).out
    said = await run("account", "numbers", "--graph-url", sim.url, *words[-2:])
    assert (said.code, said.err.startswith("--graph-url goes with --token")) == (1, True)


async def test_token_is_described_and_never_shown(gateway: Gateway, sim: Meta) -> None:
    """Validity, type, app, end, scopes with their WABAs; 1 when it is not valid."""
    sim.state.tokens[sim.token].expires_at = 1_893_456_000
    said = await account(gateway, "token")
    assert said.code == 0
    assert "expires  2030-01-01 00:00 UTC" in said.out
    assert f"scope    {MANAGEMENT}  for {sim.waba.id}" in said.out
    assert sim.token not in said.out


async def test_register_looks_first(gateway: Gateway, sim: Meta) -> None:
    """A connected number is left alone: Meta allows ten tries in 72 hours, and none of them is spent."""
    said = await account(gateway, "register", "--pin", "123456")
    assert (said.code, said.out) == (0, f"{sim.number.display_phone_number} is registered already: nothing was done\n")
    assert asked(sim, "/register") == 0
    sim.number.registered = False
    said = await account(gateway, "register", "--pin", "123456")
    assert (said.code, sim.number.registered, sim.number.pin) == (0, True, "123456")
    assert asked(sim, "/register") == 1


async def test_a_pin_that_is_wrong_or_none(gateway: Gateway, sim: Meta, tmp_path: Path) -> None:
    """What has not six digits costs no try; a wrong PIN is named as such; none is shown. Files and input will do."""
    sim.number.registered, sim.number.pin = False, "445566"
    said = await account(gateway, "register", "--pin", "12345")
    assert (said.code, asked(sim, "/register")) == (1, 0)
    said = await account(gateway, "register", "--pin", "112233")
    assert said.code == 1
    assert "133005" in said.err and "the PIN is wrong" in said.err
    file = tmp_path / "pin"
    file.write_text("445566\n")
    said = await account(gateway, "register", stdin="445566\n")
    assert said.code == 0
    assert "445566" not in said.out + said.err and "112233" not in said.out + said.err
    assert (await account(gateway, "set-pin", "--pin", f"file:{file}")).code == 0
    assert (await account(gateway, "set-pin", "--pin", "file:/nowhere")).code == 1


async def test_a_number_that_older_texts_call_registered(gateway: Gateway, sim: Meta) -> None:
    """An answer 131030 to a registration means: done."""
    sim.number.registered = False
    sim.world.rules.append(Rule(fault="error", path="*/register", status=400, code=131030, text="already registered"))
    assert (await account(gateway, "register", "--pin", "123456")).code == 0


async def test_a_registration_without_an_answer(gateway: Gateway, sim: Meta) -> None:
    """Nobody knows whether it was done: that is said, and nothing is tried again by itself."""
    sim.number.registered = False
    sim.world.rules.append(Rule(fault="reset_after", path="*/register"))
    said = await account(gateway, "register", "--pin", "123456")
    assert (said.code, asked(sim, "/register")) == (1, 1)
    assert "Meta may have done it all the same" in said.err


async def test_deregister_wants_to_be_confirmed(gateway: Gateway, sim: Meta) -> None:
    """Without --confirm nothing happens."""
    assert (await account(gateway, "deregister")).code == 1
    assert sim.number.registered
    assert (await account(gateway, "deregister", "--confirm")).code == 0
    assert not sim.number.registered


async def test_a_number_is_proven_by_its_code(gateway: Gateway, sim: Meta) -> None:
    """request-code, verify-code with dashes as it is shown; a verified number needs none."""
    sim.number.code_verification_status = "NOT_VERIFIED"
    assert (await account(gateway, "request-code", "--method", "voice", "--language", "de")).code == 0
    code = sim.number.code
    wrong = await account(gateway, "verify-code", "000000" if code != "000000" else "111111")
    assert (wrong.code, "136025" in wrong.err) == (1, True)
    assert (await account(gateway, "verify-code", f"{code[:3]}-{code[3:]}")).code == 0
    assert sim.number.code_verification_status == "VERIFIED"
    assert "verified already" in (await account(gateway, "request-code")).err


async def test_subscribe_names_the_fields(gateway: Gateway, sim: Meta) -> None:
    """The WABA is subscribed, and what is missing among the fields is said with its command."""
    sim.waba.subscribed.clear()
    assert sim.app.subscription is not None
    sim.app.subscription.fields = ["account_update"]
    said = await account(gateway, "subscribe")
    assert (said.code, list(sim.waba.subscribed)) == (0, [sim.app.id])
    assert "fields subscribed: account_update" in said.out
    assert "not subscribed: messages," in said.out
    assert "whatshooked account webhook --account business --fields messages," in said.out
    assert (await account(gateway, "unsubscribe")).code == 0
    assert not sim.waba.subscribed


async def test_subscribe_without_an_app_secret(gateway: Gateway, sim: Meta) -> None:
    """The fields cannot be seen then, so the dashboard's place is named; the WABA is found by itself."""
    api = gateway.document["whatsapp"][0]["business_api"]
    del api["app_secret"], api["business_account_id"]
    gateway.write()
    sim.waba.subscribed.clear()
    said = await account(gateway, "subscribe")
    assert (said.code, list(sim.waba.subscribed)) == (0, [sim.app.id])
    assert "messages" in said.out and "app dashboard > WhatsApp > Configuration" in said.out
    assert "app_secret" in (await account(gateway, "webhook", "--url", gateway.base)).err


async def test_webhook_sets_the_apps_url_and_keeps_its_fields(gateway: Gateway, sim: Meta) -> None:
    """The path is appended, Meta verifies it at once with our verify token, other fields stay, messages join."""
    assert sim.app.subscription is not None
    sim.app.subscription.fields = ["account_update"]
    said = await account(gateway, "webhook", "--url", gateway.base + "/")
    assert said.code == 0, said.err
    assert sim.app.subscription.callback_url == f"{gateway.base}/webhooks/whatsapp/business"
    assert sim.app.subscription.fields == ["account_update", "messages"]
    assert sim.verify_token not in said.out
    said = await account(gateway, "webhook", "--fields", "calls, security")
    assert sim.app.subscription.fields == ["account_update", "messages", "calls", "security"]
    said = await account(gateway, "webhook")
    assert f"messages go to             {gateway.base}/webhooks/whatsapp/business  (application)" in said.out


async def test_webhook_that_meta_cannot_verify(gateway: Gateway, sim: Meta) -> None:
    """The old URL stays, and the reason is said; so is a URL that is none."""
    before = sim.app.subscription
    said = await account(gateway, "webhook", "--url", "http://127.0.0.1:9")
    assert (said.code, sim.app.subscription) == (1, before)
    assert "2200" in said.err
    assert (await account(gateway, "webhook", "--url", "your-domain.example")).code == 1


async def test_webhook_of_a_waba_and_a_number(gateway: Gateway, sim: Meta) -> None:
    """Overrides are set, shown with what counts, and taken off; the app's own cannot be taken off."""
    for level in ("waba", "number"):
        assert (await account(gateway, "webhook", "--level", level, "--url", gateway.base)).code == 0
    said = await account(gateway, "webhook")
    assert "whatsapp business account  http" in said.out
    assert "(phone_number)" in said.out
    for level in ("waba", "number"):
        assert (await account(gateway, "webhook", "--level", level, "--remove")).code == 0
    assert sim.number.override is None
    assert list(sim.waba.subscribed.values()) == [None]
    assert (await account(gateway, "webhook", "--remove")).code == 1


async def test_which_account_is_meant(gateway: Gateway, sim: Meta) -> None:
    """One account needs no name; of two one has to be named."""
    second = simulated_account(sim) | {"id": "second"}
    second["business_api"] = {**gateway.document["whatsapp"][0]["business_api"], "phone_number_id": "177"}
    gateway.document["whatsapp"].append(second)
    gateway.write()
    said = await account(gateway, "token")
    assert (said.code, said.err) == (1, "say which account with --account ID; there is: business, second\n")
    assert (await account(gateway, "token", "--account", "second")).code == 0
