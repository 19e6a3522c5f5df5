"""The ledger of files: what messages brought against what hooks were told and what lies in the store's folder; pure.

The deliveries themselves are judged by `ledger`; beyond that:

bare       a message arrived without its file. Nothing but Meta's own limit excuses it: look-ups of an account stop when
           five of them may have failed within an hour, and those that a fault cut off count among them
endless    the fetch of a file goes on although everything has come to rest: its event never leaves the cache
missing    a hook was told of a file that was not there at that moment, or is not there any more; or an acknowledged
           message, wherever it is, has no file in the folder
wrong      other bytes than the message brought, or a file of nobody's
torn       a visible file was seen whose bytes were not whole
twice      one message has two names
unshared   one content lies in the folder more than once
repeated   a file was downloaded more often than faults explain: one that was cut off is its own reason, and so is one
           that Meta spoiled
litter     temporary files of dead processes that are more than they can have had, or that upkeep leaves lying
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field

from ops.faults import ledger

#: Look-ups of an account that may fail within an hour.
LOOK_UPS = 5
#: How a message says that no more may.
_NO_MORE = "five look-ups failed"


@dataclass(frozen=True, slots=True)
class Brought:
    """The file of a message: the account it came to, its content's sha256 (hex), and downloads that Meta spoils."""

    account_id: str
    sha256: str
    spoiled: int = 0


@dataclass(frozen=True, slots=True)
class Told:
    """What a request at a hook said of its message's file; `found` are the sha256s of what it led to at that moment.

    A file that was not there is "" among them.
    """

    message_id: str
    filename: str = ""
    error: str = ""
    found: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lying:
    """A visible file of the folder; `message_id` is the one in its name."""

    message_id: str
    filename: str
    sha256: str
    inode: int


@dataclass(frozen=True, slots=True)
class Cut:
    """What faults explain: fetches that were cut off, by message, and look-ups that may have failed, by account."""

    fetches: Mapping[str, int] = field(default_factory=dict)
    look_ups: Mapping[str, int] = field(default_factory=dict)


_REASONS = ("bare", "endless", "missing", "wrong", "torn", "twice", "unshared", "repeated", "litter", "faults")


@dataclass
class FileVerdict:
    """What the ledger found; green when every message arrived once, or is in the cache, and has its file."""

    deliveries: ledger.Verdict
    files: int = 0
    #: Messages that arrived without their file, and Meta's limit is the reason.
    excused: int = 0
    bare: list[tuple[str, str]] = field(default_factory=list)
    endless: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    unshared: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    litter: list[str] = field(default_factory=list)
    #: What is wrong with the run itself: a step that did not fire, a process that died by itself.
    faults: list[str] = field(default_factory=list)

    @property
    def green(self) -> bool:
        """Whether nothing is lost, doubled without a reason, or without its file."""
        return self.deliveries.green and not any(getattr(self, name) for name in _REASONS)

    @property
    def at_rest(self) -> bool:
        """Whether nothing is left that time alone might mend."""
        return not (self.deliveries.lost or self.deliveries.stuck or self.endless or self.missing)

    @property
    def lost(self) -> list[tuple[str, str]]:
        """Return what neither a hook nor the cache has."""
        return self.deliveries.lost

    def __str__(self) -> str:
        said = [f"{name} {found[:8]}" for name in _REASONS if (found := getattr(self, name))]
        head = f"{'GREEN' if self.green else 'RED'}: {self.files} files, {self.excused} excused"
        return "; ".join([head, *said, str(self.deliveries)])


def judge(
    deliveries: ledger.Verdict,
    brought: Mapping[str, Brought],
    told: Iterable[Told],
    lying: Iterable[Lying],
    downloads: Mapping[str, int],
    cut: Cut,
) -> FileVerdict:
    """Return the verdict over acknowledged messages that bring a file; `downloads` are counted at Meta."""
    lying = list(lying)
    verdict = FileVerdict(deliveries, files=len(brought))
    excused = _hooks(verdict, brought, told, {one.filename for one in lying}, cut)
    verdict.excused = len(excused)
    _folder(verdict, brought, lying, excused)
    verdict.repeated = [
        message_id
        for message_id, one in brought.items()
        if downloads.get(message_id, 0) > 1 + one.spoiled + cut.fetches.get(message_id, 0)
    ]
    return verdict


def _hooks(
    verdict: FileVerdict, brought: Mapping[str, Brought], told: Iterable[Told], names: Set[str], cut: Cut
) -> set[str]:
    """Judge what hooks were told; return the messages that went without a file for a reason."""
    excused = set()
    for one in told:
        file = brought.get(one.message_id)
        if file is None:
            continue
        if one.filename and not one.error:
            if "" in one.found or one.filename not in names:
                verdict.missing.append(one.filename)
            if any(sha256 not in ("", file.sha256) for sha256 in one.found):
                verdict.wrong.append(one.filename)
        elif _NO_MORE in one.error and cut.look_ups.get(file.account_id, 0) >= LOOK_UPS:
            excused.add(one.message_id)
        else:
            verdict.bare.append((one.message_id, one.error))
    return excused


def _folder(verdict: FileVerdict, brought: Mapping[str, Brought], lying: Iterable[Lying], excused: Set[str]) -> None:
    """Judge what lies in the folder."""
    names: dict[str, list[str]] = defaultdict(list)
    inodes: dict[str, set[int]] = defaultdict(set)
    for one in lying:
        file = brought.get(one.message_id)
        names[one.message_id].append(one.filename)
        inodes[one.sha256].add(one.inode)
        if file is None or file.sha256 != one.sha256:
            verdict.wrong.append(one.filename)
    verdict.missing += [i for i in brought if not names[i] and i not in excused]
    verdict.twice = [i for i, found in names.items() if len(found) > 1]
    verdict.unshared = [sha256 for sha256, found in inodes.items() if len(found) > 1]
