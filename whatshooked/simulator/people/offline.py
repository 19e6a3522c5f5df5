"""Signed webhooks without a simulator: for any gateway whose app secret is known.

Nothing is kept: what the gateway then asks of Graph, such as a file or a reply, goes to whatever Graph it is set to.
"""

import random
import time

from msgspec import Struct

from whatshooked.meta.items import digits
from whatshooked.simulator.fields import fields
from whatshooked.simulator.fields.fields import FIELDS
from whatshooked.simulator.messages import failures, statuses
from whatshooked.simulator.people import inbound
from whatshooked.simulator.people.details import Arrival, Object, chosen
from whatshooked.simulator.people.inbound import KINDS, VARIANTS
from whatshooked.simulator.webhooks import wire
from whatshooked.simulator.world import ids
from whatshooked.simulator.world.model import Message, Number, User, Waba, demo_state

__all__ = ["FIELDS", "KINDS", "VARIANTS", "Arrival", "Offline", "Post"]


class Post(Struct, kw_only=True, frozen=True):
    """One webhook, ready to be POSTed."""

    message_id: str
    body: bytes
    headers: dict[str, str]


class Offline:
    """Makes the webhooks of one number and signs them; raises ValueError for what does not exist."""

    def __init__(self, secret: str, *, number_id: str = "", waba_id: str = "", phone: str = "") -> None:
        state = demo_state(callback_url="", verify_token="", app_secret=secret)
        number, waba = next(iter(state.numbers.values())), next(iter(state.wabas.values()))
        self._waba = Waba(id=waba_id or waba.id, business_id=waba.business_id)
        own = digits(phone) or number.phone
        self._number = Number(
            id=number_id or number.id, waba_id=self._waba.id, phone=own, display_phone_number=f"+{own}"
        )
        self.number_id = self._number.id
        self._secret = secret
        self._users = list(state.users.values())
        self._random = random.Random()

    def arrival(self, wanted: Arrival) -> Post:
        """Return the webhook of a message that a user writes."""
        if wanted.media:
            raise ValueError("a file lies at Meta: name one to the simulator, not to a gateway")
        user = self._user(wanted.from_)
        phone = digits(wanted.new_phone) or f"1555010{self._random.randrange(10_000):04d}"
        known = {"author": self._number.phone, "new_phone": phone, "new_user_id": ids.bsuid(phone, self._random)}
        message_id = ids.wamid(user.phone or user.id, self._random, outgoing=False)
        message = inbound.message(
            wanted.kind,
            wanted.variant,
            user=user,
            message_id=message_id,
            stamp=_stamp(),
            details=chosen(wanted, **known),
        )
        return self._post(message_id, "messages", inbound.value(self._number, user, [message], wanted.variant))

    def status(self, message_id: str, status: str, code: int = 0) -> Post:
        """Return the webhook of a status of a message to the first user; `code` says why it failed."""
        user = self._users[0]
        message = Message(
            id=message_id,
            number_id=self._number.id,
            user_id=user.id,
            outgoing=True,
            at=time.time(),
            type="text",
            body={"to": user.phone},
        )
        errors = [failures.error(code or 131000)] if status == "failed" else None
        value = statuses.value(self._number, message, user, status, _stamp(), errors=errors)
        return self._post(message_id, "messages", value)

    def notify(self, field: str, event: str = "", value: Object | None = None) -> Post:
        """Return the webhook of a field, with the value given or a plausible one."""
        told = value if value is not None else fields.value(field, self._number, self._waba, _stamp(), event)
        return self._post("", field, told)

    def _user(self, who: str) -> User:
        """Return the user of an id or a number; the same number always has the same id."""
        if not who:
            return self._users[0]
        known = next((user for user in self._users if who == user.id or digits(who) == user.phone != ""), None)
        if known is not None:
            return known
        if who[2:3] == ".":
            return User(id=who)
        if not digits(who):
            raise ValueError(f"{who!a} is no phone number and no user id; there are {', '.join(self._ids())}")
        return User(id=ids.bsuid(digits(who), random.Random(digits(who))), phone=digits(who))

    def _ids(self) -> list[str]:
        return [user.id for user in self._users]

    def _post(self, message_id: str, field: str, value: Object) -> Post:
        update = wire.Update(waba_id=self._waba.id, business_id=self._waba.business_id, field=field, value=value)
        body = wire.serialise(wire.envelope([update], int(time.time())))
        return Post(message_id=message_id, body=body, headers=wire.headers(body, self._secret))


def _stamp() -> str:
    return str(int(time.time()))
