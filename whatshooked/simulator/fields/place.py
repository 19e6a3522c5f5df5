"""Where and when an update happens: what the makers of values are given."""

from collections.abc import Callable

from msgspec import Struct

from whatshooked.simulator.people.details import Object
from whatshooked.simulator.people.inbound import envelope
from whatshooked.simulator.world.model import Number, Waba


class Place(Struct, kw_only=True, frozen=True):
    """A number of a WABA, and the time: unix seconds as text."""

    number: Number
    waba: Waba
    stamp: str

    @property
    def now(self) -> int:
        """The time as a number."""
        return int(self.stamp)

    def of_number(self, **more: object) -> Object:
        """Return a value that begins as messages do."""
        return envelope(self.number) | more


#: Place, event -> value.
Maker = Callable[[Place, str], Object]
#: Field -> who makes its value, and its events, the usual one first.
Makers = dict[str, tuple[Maker, tuple[str, ...]]]
