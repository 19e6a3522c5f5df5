"""Every error WhatsHooked raises, drawn as a tree; the first fork says whose it is to mend.

WhatsHookedError
├── TheirsError              what somebody outside sent, configured or runs is wrong
│   ├── ConfigError          config.json cannot be used; carries every fault
│   ├── NotAWebhook          a body that is not a JSON object with an `entry`
│   ├── SendFault            a message that cannot be sent as it is; carries every fault
│   ├── OutboxFull           more messages wait than the outbox holds; this one was not taken
│   ├── EmbeddedError        the bundled server cannot be started here
│   ├── CommandRefused       what a command was asked to do cannot be done, or Meta refused it
│   └── StartError           a port is taken, or the configured Redis cannot keep our promises
└── OursError                something of ours, or what we depend on, is in trouble
    ├── NewerEntry           an entry that a newer version wrote: its workers take it, we leave it alone
    ├── StreamUnavailable    Redis did not take or give what was asked; try again
    ├── StoreUnavailable     the store of files did not take or give one; the message names place and remedy
    └── LogUnavailable       a target of the event log did not take or give rows; the message names place and remedy
"""

from typing import Literal


class WhatsHookedError(Exception):
    """The root: catch it to tell our errors from bugs."""


class TheirsError(WhatsHookedError):
    """What somebody outside sent, configured or runs is wrong; the message says where and the remedy."""


class ConfigError(TheirsError):
    """config.json cannot be used; `faults` holds one line for each fault found."""

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class NotAWebhook(TheirsError):  # noqa: N818 - reads as what it is where it is raised
    """A request body that is not a JSON object with an `entry` (answered 400)."""


class SendFault(TheirsError):  # noqa: N818 - names what is wrong, as the faults of a config do
    """A message that cannot be sent as it is; `faults` holds one line, with its JSON path, for each fault found."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


class OutboxFull(TheirsError):  # noqa: N818 - names a state, as HTTP's 429 does
    """More messages wait than the outbox holds: this one was not taken. `bound`: of a line, an account, or memory."""

    def __init__(self, bound: Literal["line", "account", "memory"]) -> None:
        super().__init__(_FULL[bound])
        self.bound = bound


_FULL = {
    "line": "too many messages wait for this recipient already",
    "account": "too many messages of this account wait already",
    "memory": "Redis is nearly full, what room is left is for webhooks",
}


class EmbeddedError(TheirsError):
    """The bundled server cannot be started or reached on this machine."""


class StartError(TheirsError):
    """Something outside keeps a process from starting: a port that is taken, a Redis that would lose events."""


class CommandRefused(TheirsError):  # noqa: N818 - reads as what it is where it is raised
    """What a command was asked to do cannot be done: an account that is not there, or an answer of Meta's."""


class OursError(WhatsHookedError):
    """Something of ours, or that we depend on, is in trouble; nothing the sender did."""


class NewerEntry(OursError):  # noqa: N818 - says what it is
    """A stream entry that a newer version wrote, `version`: left alone for its workers, never poison."""

    def __init__(self, version: int) -> None:
        super().__init__(f"written by a newer version: entries of version {version} wait for its workers")
        self.version = version


class StreamUnavailable(OursError):  # noqa: N818 - names a state, as HTTP's 503 does
    """Redis did not take or give what was asked; whoever asked may try again."""


class StoreUnavailable(OursError):  # noqa: N818 - as above
    """The store of files cannot take or give one now: full, read-only or away; the message names place and remedy."""


class LogUnavailable(OursError):  # noqa: N818 - as above
    """A target of the event log cannot take or give rows now; the message names place and remedy."""


#: Exit codes of commands beside 0, 1 (something was found or refused) and 2 (wrong usage), after sysexits.h.
UNAVAILABLE = 69
BAD_CONFIG = 78


def exit_code(error: WhatsHookedError) -> int:
    """Return the exit code of a process that ends with this error."""
    if isinstance(error, CommandRefused):
        return 1
    return BAD_CONFIG if isinstance(error, ConfigError) else UNAVAILABLE
