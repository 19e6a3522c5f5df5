"""The simulated Meta, within our own process: a number and a token for each account, so that one can fail alone."""

import contextlib
import socket
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from ops.alarms.peers import CUSTOMER, SECRET, text
from ops.served import served
from whatshooked.simulator.app import create_app
from whatshooked.simulator.media import store
from whatshooked.simulator.world.clock import Clock
from whatshooked.simulator.world.model import Media, Number, Token, demo_state
from whatshooked.simulator.world.world import World


class Graph:
    """A world with a number for each account."""

    def __init__(self, accounts: Sequence[str]) -> None:
        state = demo_state(callback_url="http://127.0.0.1:9", verify_token="x", app_secret=SECRET)
        (app,), (waba,) = state.apps, state.wabas
        phones = {number_id(place): phone(place) for place, _ in enumerate(accounts)}
        state.numbers = {
            id_: Number(id=id_, waba_id=waba, phone=digits, display_phone_number=digits)
            for id_, digits in phones.items()
        }
        state.tokens = {token(account): Token(value=token(account), app_id=app) for account in accounts}
        self.world = World(state, Clock(start=time.time()))

    def image(self, sender: str = CUSTOMER) -> tuple[Media, dict[str, Any]]:
        """Return a picture that a customer sent to the first number, and the message that brings it."""
        number = self.world.state.numbers[number_id(0)]
        found = store.store(self.world, number, "image/jpeg", b"\xff\xd8 not much of a picture", inbound=True)
        image = {"type": "image", "image": store.webhook_object(self.world, found)}
        message = text(f"wamid.image{found.id}", sender=sender) | image
        del message["text"]
        return found, message

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[None]:
        """Answer Graph's calls on a free port, until the block ends."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.world.address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        app = create_app(self.world)
        async with served(app, listener):
            try:
                yield
            finally:
                self.world.stop()  # first: answers that go on for ever would hold the server up


def number_id(place: int) -> str:
    """Return Meta's id of the number of the account in this place."""
    return str(100000000000001 + place)


def phone(place: int) -> str:
    """Return its phone number."""
    return str(4930111000 + place)


def token(account: str) -> str:
    """Return an account's token."""
    return f"token-of-{account}"
