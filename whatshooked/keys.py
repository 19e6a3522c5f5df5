"""Every Redis key, with its type, its lifetime and who writes it.

Keys of a shard carry the shard's hash tag (`{wh:0}`), so that each script touches one slot and Redis Cluster works
unchanged. Keys of the whole installation have no tag and are never touched by a script together with another key.

Writers in capitals are the scripts of `stream/scripts/`, and those named here are the ones that put something in. What
is over goes by DONE, DROP, DISCARD and FORGET; FSCK mends any of them. Of the outbox it goes by OUTBOX_FORGET, and
OUTBOX_FSCK mends it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

#: The consumer group of the events stream.
GROUP = "workers"
#: The consumer that owns entries which are routed and wait for hooks.
PARKED = "_parked"
#: Opens the names of consumers that own entries which only workers of a newer version can read; the version follows.
NEWER = "_newer:"
#: The shard of the events, as the event log names it; an account's outgoing messages have one of their own.
FIRST_SHARD = "0"
#: The hook under which an event's file is fetched; no config may have a hook of this name.
MEDIA_HOOK = "_media"


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys under one `redis.prefix`; the methods with a hook or an id belong to the shard."""

    prefix: str = "wh"
    shard: int = 0

    def _tagged(self, name: str) -> str:
        return f"{{{self.prefix}:{self.shard}}}:{name}"

    # --- one shard ---

    @property
    def events(self) -> str:
        """Stream, group `workers`: one immutable entry per event. Lives until forgotten or deleted. Writer: ADD."""
        return self._tagged("events")

    def seen(self, day: int, bucket: int) -> str:
        """Hash identity → id: what ADD has taken. Lives 8 to 9 days after its last write. Writer: ADD."""
        return f"{{{self.prefix}:{self.shard}}}:seen:{day}:{bucket}"  # written out: once per event of the intake

    def open(self, event_id: str) -> str:
        """Hash hook → packed state: who still owes an answer. Lives while one does.

        Writers: ROUTE, CLAIM, RETRY, REPLAY, MEDIA_DONE.
        """
        return self._tagged(f"open:{event_id}")

    def taken(self, event_id: str) -> str:
        """Set of hooks that took the event. Lives as long as the entry. Writer: DONE."""
        return self._tagged(f"taken:{event_id}")

    def due(self, hook_id: str) -> str:
        """Sorted set id → ms: the next try, or the lease's end while a POST is in flight.

        Writers: ROUTE, CLAIM, RETRY, REPLAY, MEDIA_DONE, RENEW.
        """
        return self._tagged(f"due:{hook_id}")

    def dead(self, hook_id: str) -> str:
        """Sorted set id → ms of giving up. Lives until taken, replayed, deleted or pushed out. Writer: RETRY."""
        return self._tagged(f"dead:{hook_id}")

    @property
    def unmatched(self) -> str:
        """Sorted set id → ms: no hook wanted it. Lives until replayed, deleted or pushed out.

        Writers: ROUTE, REPLAY, MEDIA_DONE.
        """
        return self._tagged("unmatched")

    @property
    def poison(self) -> str:
        """Sorted set id → ms: it kept killing its worker, or cannot be read. Writers: ROUTE, CLAIM, RECOVER."""
        return self._tagged("poison")

    def alive(self, consumer: str) -> str:
        """String, expires in seconds: this worker process lives. Writer: BEAT, its heartbeat."""
        return self._tagged(f"alive:{consumer}")

    def media(self, event_id: str) -> str:
        """Hash: what `_media` found for the event: a file, or why there is none. Lives as long as the entry.

        Writer: MEDIA_DONE.
        """
        return self._tagged(f"media:{event_id}")

    @property
    def fileless(self) -> str:
        """Sorted set id → ms: its file could not be had; the entry may be gone. Lives a day after the last such.

        Writer: MEDIA_DONE.
        """
        return self._tagged("fileless")

    @property
    def replies(self) -> str:
        """Hash reply → what a hook's answer asked to send. Lives until it is in the outbox. Writer: DONE."""
        return self._tagged("replies")

    def refused(self, kind: str) -> str:
        """List of packed entries, newest first, bounded: replies that hooks asked for and nobody sends, and why.

        Kinds: unusable, circular. Lives on. Writers: DONE; the sending loop, for those that the outbox has no room for.
        """
        return self._tagged(f"refused:{kind}")

    @property
    def activity(self) -> str:
        """Stream, a group per target of the event log: what happened. Bounded; written while somebody wants to know.

        Writers: every script that does something, and ACTIVITY for what none does.
        """
        return self._tagged("activity")

    @property
    def dropped(self) -> str:
        """Hash group → records that the bound took before its target had written them. Writer: ACTIVITY_TRIM."""
        return self._tagged("activity:dropped")

    @property
    def watched(self) -> str:
        """String, expires in seconds: somebody watches what happens. Writers: `tail`, the live API."""
        return self._tagged("watched")

    @property
    def ledger(self) -> str:
        """Hash: how many events left the pending list in an orderly way, and where the account began.

        Lives on. Writers: whatever takes an entry out of the pending list; GROUP, ADD, LEDGER.
        """
        return self._tagged("ledger")

    @property
    def ready(self) -> str:
        """String, expires in a minute: what `/ready` writes to prove that Redis takes writes. Writer: web."""
        return self._tagged("ready")

    @property
    def workers(self) -> str:
        """Sorted set consumer → ms: the heartbeats of the last minute, to be counted at a glance. Writer: BEAT."""
        return self._tagged("workers")

    @property
    def hooks(self) -> str:
        """Sorted set hook → ms: last seen in the config of a living process. Writer: BEAT, every worker's heartbeat."""
        return self._tagged("hooks")

    def of_hooks(self, hook_ids: Iterable[str]) -> list[str]:
        """Return due and dead of each hook, as the scripts take them."""
        return [key for hook_id in hook_ids for key in (self.due(hook_id), self.dead(hook_id))]

    def of_entries(self, event_ids: Iterable[str]) -> list[str]:
        """Return open and taken of each entry, as the scripts take them."""
        return [key for event_id in event_ids for key in (self.open(event_id), self.taken(event_id))]

    def of_whole_entries(self, event_ids: Iterable[str]) -> list[str]:
        """Return open, taken and media of each entry: for the scripts that end or examine it as a whole."""
        return [key for i in event_ids for key in (self.open(i), self.taken(i), self.media(i))]

    # --- the whole installation ---

    @property
    def layout(self) -> str:
        """String, an integer: which layout these keys have, so that no code that knows another touches them. Lives on.

        Writer: LAYOUT, the first process that meets this Redis.
        """
        return f"{self.prefix}:layout"

    @property
    def switches(self) -> str:
        """Hash hook → JSON: hooks turned on or off at run time. Lives on. Writers: API, command."""
        return f"{self.prefix}:switches"

    @property
    def link_key(self) -> str:
        """String, 32 random bytes: signs links to files. Lives on. Writer: whoever needs it first."""
        return f"{self.prefix}:link-key"

    @property
    def sweep(self) -> str:
        """String, name of a worker: it looked for files to remove, the others need not until this expires.

        Writer: worker.
        """
        return f"{self.prefix}:sweep"

    @property
    def media_totals(self) -> str:
        """Hash: how many files are stored and their bytes, as the last sweep found them. Lives on. Writer: worker."""
        return f"{self.prefix}:media-totals"

    def account(self, account_id: str) -> str:
        """Hash: what the last checks of an account found: is a change told already, and what do the metrics show?

        Writer: worker.
        """
        return f"{self.prefix}:account:{account_id}"

    @property
    def accounts(self) -> str:
        """Set of accounts that ever had messages to send. Lives on. Writers: whoever puts one there; worker."""
        return f"{self.prefix}:accounts"

    def outbox(self, account_id: str) -> "OutboxKeys":
        """Return the keys of an account's outgoing messages."""
        return OutboxKeys(f"{{{self.prefix}:out:{account_id}}}")

    def account_traffic(self, account_id: str) -> str:
        """Hash hour → messages that came in, of the last 8 days: to notice silence. Writer: worker."""
        return f"{self.prefix}:account:{account_id}:traffic"

    def media_calls(self, account_id: str) -> str:
        """Sorted set mark → ms: look-ups of files that are on their way or failed, of the last hour. Writer: BUDGET."""
        return f"{self.prefix}:account:{account_id}:media-calls"

    def account_check(self, account_id: str) -> str:
        """String, name of a worker: it checks this account, the others wait until this expires. Writer: worker."""
        return f"{self.prefix}:account:{account_id}:checking"

    @property
    def log_writer(self) -> str:
        """String, name of a worker: it has the event log written, the others wait until this expires.

        Writer: worker.
        """
        return f"{self.prefix}:log-writer"

    def account_slower(self, account_id: str) -> str:
        """String, expires in a quarter of an hour: Meta refused much for the number's throughput. Writer: worker."""
        return f"{self.prefix}:account:{account_id}:slower"

    def forgetting(self, digest: str) -> str:
        """String, a week: the names of a person who is not forgotten everywhere yet, disguised. Writer: `forget`."""
        return f"{self.prefix}:forgetting:{digest}"

    @property
    def arq(self) -> str:
        """Prefix of everything arq writes: its queue, the cron jobs and their results."""
        return f"{self.prefix}:arq:"


@dataclass(frozen=True, slots=True)
class OutboxKeys:
    """The keys of one account's outgoing messages; they share a hash tag of their own."""

    tag: str

    def message(self, message_id: str) -> str:
        """Hash: the message, its state and what became of it. Lives 7 days, or less where many are finished.

        Writers: OUTBOX_ADD, OUTBOX_CLAIM, OUTBOX_SETTLE, OUTBOX_STATUS, OUTBOX_DECIDE, OUTBOX_DROP.
        """
        return f"{self.tag}:message:{message_id}"

    def line(self, recipient: str) -> str:
        """List of ids, oldest first: what waits for one recipient. Only its head is ever sent.

        Writers: OUTBOX_ADD, OUTBOX_DECIDE; OUTBOX_CLAIM, OUTBOX_SETTLE and OUTBOX_DROP take from it.
        """
        return f"{self.tag}:line:{recipient}"

    def pair(self, recipient: str) -> str:
        """String tokens|ms: how many messages this recipient may get now. Expires when full. Writer: OUTBOX_CLAIM."""
        return f"{self.tag}:pair:{recipient}"

    def of_state(self, state: str) -> str:
        """Sorted set id → ms of creation: the messages in one state. Writers: all OUTBOX scripts."""
        return f"{self.tag}:state:{state}"

    def known(self, key: str) -> str:
        """String id|digest: the message that an Idempotency-Key stands for. Expires in a day. Writer: OUTBOX_ADD."""
        return f"{self.tag}:known:{key}"

    def uploaded(self, number_id: str, filename: str) -> str:
        """String id, line end, name for people: a stored file as Meta has it for a number. Expires in 29 days.

        Writer: worker.
        """
        return f"{self.tag}:uploaded:{number_id}:{filename}"

    @property
    def due(self) -> str:
        """Sorted set recipient → ms: when the head of a line is sent, or its lease's end.

        Writers: OUTBOX_ADD, OUTBOX_CLAIM, OUTBOX_SETTLE, OUTBOX_DECIDE.
        """
        return f"{self.tag}:due"

    @property
    def rate(self) -> str:
        """String tokens|ms: how many messages the number may pass now, in and out together. Writer: OUTBOX_CLAIM."""
        return f"{self.tag}:rate"

    @property
    def shown(self) -> str:
        """String, expires in a minute: a living process has this account in its config. Writer: OUTBOX_SHOW."""
        return f"{self.tag}:shown"

    @property
    def hold(self) -> str:
        """String reason, expires: Meta asked us to wait, or the token is bad; nothing is sent meanwhile.

        Writer: OUTBOX_SETTLE; OUTBOX_RESUME ends it.
        """
        return f"{self.tag}:hold"

    @property
    def activity(self) -> str:
        """Stream, as `Keys.activity`: what happened to the account's messages. Writers: the OUTBOX scripts."""
        return f"{self.tag}:activity"

    @property
    def dropped(self) -> str:
        """Hash, as `Keys.dropped`. Writer: ACTIVITY_TRIM."""
        return f"{self.tag}:activity:dropped"

    @property
    def resumed(self) -> str:
        """String ms|pause, expires: when an account whose token was refused last went on. Writer: OUTBOX_RESUME."""
        return f"{self.tag}:resumed"
