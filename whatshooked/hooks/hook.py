"""Which hooks an event goes to: a pure question to a snapshot of the config and the run-time switches."""

from collections.abc import Iterable, Mapping

import msgspec

from whatshooked.config import Hook
from whatshooked.events import EVENT_TYPES, Event

_DAY = 86_400_000


class Switch(msgspec.Struct, frozen=True):
    """A hook turned on or off at run time; holds while the file still says what it said then."""

    active: bool
    file: bool
    #: Since when (unix ms), 0 where an earlier version did not say.
    at: int = 0
    #: Of a hook that is on: since when it was off before, 1 where nobody knows, 0 where it was not.
    off_at: int = 0


class Hooks:
    """The hooks of one moment; a reload or a switch makes a new one."""

    def __init__(self, hooks: Iterable[Hook], switches: Mapping[str, Switch] | None = None) -> None:
        self.all = tuple(hooks)
        self.by_id = {hook.id: hook for hook in self.all}
        switches = switches or {}
        self.active = tuple(hook for hook in self.all if is_active(hook, switches.get(hook.id)))
        #: Whether any hook asks for `hook.*` events at all.
        self.tells = any(wants_family(hook, "hook.") for hook in self.active)
        self._matches: dict[tuple[str, str], tuple[Hook, ...]] = {}

    def match(self, event: Event) -> tuple[Hook, ...]:
        """Return the active hooks that want this event, in the config's order."""
        key = (event.type, event.account_id)
        found = self._matches.get(key)
        if found is None:
            found = tuple(hook for hook in self.active if wants(hook, *key))
            if len(self._matches) < 10_000:  # types come from outside; the bound keeps a stranger from filling memory
                self._matches[key] = found
        if event.type.startswith("hook."):
            teller = told_by(event)
            return tuple(hook for hook in found if hook.id != teller)
        return found

    def anyone_wants(self, event_type: str, account_id: str, *, but: str = "") -> bool:
        """Return whether some active hook other than `but` wants such an event."""
        return any(hook.id != but and wants(hook, event_type, account_id) for hook in self.active)


def turned(before: Switch | None, active: bool, file: bool, at: int) -> Switch:
    """Return the switch of a hook that is turned on or off at a time (unix ms); turned so again, it is so since before.

    One that was off within a day before is off since then: what it got in between is known of each event.
    """
    if before is None or before.file != file:
        return Switch(active, file, at)
    if before.active == active:
        return before
    if active:
        return Switch(active, file, at, before.at or 1)
    return Switch(active, file, before.off_at if before.off_at and at - before.at < _DAY else at)


def is_active(hook: Hook, switch: Switch | None) -> bool:
    """Return whether a hook gets events: by its switch, unless the file was changed since, else by the file."""
    return switch.active if switch is not None and switch.file == hook.active else hook.active


def wants(hook: Hook, event_type: str, account_id: str) -> bool:
    """Return whether a hook asks for this type of this account; no `events` means all but `meta.*`."""
    if hook.accounts and account_id not in hook.accounts:
        return False
    return _names(hook, event_type)


def _names(hook: Hook, event_type: str) -> bool:
    if not hook.events:
        return not event_type.startswith("meta.")
    return any(_covers(pattern, event_type) for pattern in hook.events)


def wants_family(hook: Hook, prefix: str) -> bool:
    """Return whether a hook asks for any of the 13 types that begin so."""
    return any(_names(hook, event_type) for event_type in EVENT_TYPES if event_type.startswith(prefix))


def told_by(event: Event) -> str:
    """Return the hook that a `hook.*` event is about: it is never told of its own deliveries."""
    try:
        return str(msgspec.json.decode(event.raw, type=_About).hook_id)
    except msgspec.MsgspecError:
        return ""


class _About(msgspec.Struct):
    hook_id: str = ""


def _covers(pattern: str, event_type: str) -> bool:
    if pattern == "*":
        return not event_type.startswith("meta.")
    return pattern == event_type or (pattern.endswith(".*") and event_type.startswith(pattern[:-1]))
