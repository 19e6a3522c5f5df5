"""A file that takes its time, at the real pace."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import meta
from tests.conftest import Gateway, hook
from tests.files import downloads, message, of_meta, post, stored
from tests.receiver import Receiver
from tests.simulated import simulated

MakeGateway = Callable[..., Gateway]


@pytest.mark.slow
async def test_a_host_that_takes_half_a_minute(make_gateway: MakeGateway, receiver: Receiver, tmp_path: Path) -> None:
    """At the real pace and with the default wait: the file comes after 30 s, in one download, and texts do not wait."""
    async with simulated(speed=1.0) as sim:
        media = {"data_path": str(tmp_path / "files"), "base_url": "https://files.example"}
        gateway = make_gateway(hook("h1", receiver.url()), accounts=[of_meta(sim)], media=media)
        await gateway.start()
        sim.world.knobs.drip = 0.5
        found = stored(sim, content=b"x" * 60, fault="slow")
        begun = asyncio.get_running_loop().time()
        await post(gateway, message(sim, found), meta.text())
        text, image = await receiver.wait(2, timeout=50.0)
        assert (text.json["message_type"], image.json["message_type"]) == ("text", "image")
        assert text.at - begun < 2
        assert 29 < image.at - begun < 40
        assert "error" not in image.json["media"]
        assert len(downloads(sim, found)) == 1
