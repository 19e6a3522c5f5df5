"""What `whatshooked doctor` advises leads somewhere: no circle, no contradiction, nothing asked for that is set."""

import re
import time
from collections.abc import AsyncIterator, Callable

import pytest

from tests.commands import run, set_up, simulated_account
from tests.conftest import Gateway, hook
from tests.doctored import api, broken, doctor, doubtful, wrong_number_id, wrong_waba_id
from tests.logged import logged
from tests.receiver import Receiver
from tests.simulated import Meta, simulated
from whatshooked.simulator.world.model import Override


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


async def test_a_gateway_that_has_an_app_secret_which_the_config_lacks(gateway: Gateway, sim: Meta) -> None:
    """An unsigned webhook is really sent: the gateway refuses it, so no tick says that it is taken."""
    del api(gateway)["app_secret"]
    gateway.write()
    assert "refuses unsigned webhooks (HTTP 401)" in (await broken(gateway))["self-test"]["text"]


async def test_doctor_leaves_no_fault_in_the_gateways_log(gateway: Gateway) -> None:
    """A refused verification there means that Meta has another token; doctor makes none."""
    with logged() as lines:
        assert (await doctor(gateway)).code == 0
    assert not lines.holding("verification refused")


async def test_a_wrong_waba_is_no_circle(gateway: Gateway, sim: Meta) -> None:
    """Where the number tells its WABA, each command names it; where nothing does, they say where it stands."""
    wrong_waba_id(gateway, sim)
    gateway.write()
    right = f'the number belongs to WABA {sim.waba.id}, not to 200000000000077: set business_account_id to "'
    for action in ("numbers", "subscribe"):
        assert right in (await run("account", action, "-c", str(gateway.path))).err
    wrong_number_id(gateway, sim)
    gateway.write()
    found = (await broken(gateway))["waba"]
    assert "copy business_account_id again (app dashboard > WhatsApp > API Setup" in found["remedy"]
    said = await run("account", "numbers", "-c", str(gateway.path))
    assert "WABA 200000000000077: HTTP 400 100/33" in said.err and "phone_number_id" not in said.err


async def test_a_number_on_no_platform_yet(gateway: Gateway, sim: Meta) -> None:
    """One line without contradiction; an unproven number is proven first."""
    sim.number.platform_type = "NOT_APPLICABLE"
    assert (await broken(gateway))["registered"]["text"] == "the number is on no platform yet: it is not registered"
    sim.number.code_verification_status = "NOT_VERIFIED"
    found = await broken(gateway)
    assert found["verified"]["remedy"].endswith("verify-code --account business CODE")
    assert re.search(r"request-code .*verify-code .*register ", found["registered"]["remedy"])


async def test_an_override_that_leads_away(gateway: Gateway, sim: Meta) -> None:
    """It can be taken off, and the command is named."""
    sim.waba.subscribed[sim.app.id] = Override("http://127.0.0.1:9/elsewhere", sim.verify_token)
    found = (await broken(gateway))["callback"]
    assert "whatshooked account webhook --level waba --remove --account business" in found["remedy"]
    sim.waba.subscribed[sim.app.id] = Override("http://127.0.0.1:9/webhooks/whatsapp/business", sim.verify_token)
    assert "--level waba --remove" in (await broken(gateway))["answers"]["remedy"]


async def test_what_an_app_alone_may_see(gateway: Gateway, sim: Meta) -> None:
    """Ids that are set are not asked for again: a wrong secret is called wrong, a missing one missing."""
    api(gateway)["app_secret"] = "secret-of-another-app-0123456789"
    gateway.write()
    assert (await doubtful(gateway))["fields"]["remedy"] == "mend app_secret or app_id first: see the line app"
    del api(gateway)["app_secret"]
    gateway.write()
    assert (await doubtful(gateway))["fields"]["remedy"].startswith("set app_secret (app dashboard")


async def test_versions_and_ends(gateway: Gateway, sim: Meta) -> None:
    """An unknown version is not called alive, the default is named; an end within two days is told in hours."""
    api(gateway)["api_version"] = "v99.0"
    gateway.write()
    sim.state.tokens[sim.token].expires_at = int(time.time()) + 30 * 3600
    found = await doubtful(gateway)
    assert "v99.0 is not known" in found["version"]["text"] and "v25.0" in found["version"]["remedy"]
    assert re.fullmatch(r"it expires in (29|30) hours", found["token"]["text"])
