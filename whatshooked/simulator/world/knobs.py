"""How the simulator behaves where Meta may behave in several ways: each a switch that tests and people can turn."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from whatshooked.simulator.webhooks.wire import Signature

Seconds = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0)]


class Knobs(Struct, kw_only=True, forbid_unknown_fields=True):
    """The switches; times are simulated seconds, shares lie between 0 and 1."""

    #: HTTP status of a throttled call: Meta documents 400, clients expect 429.
    throttle_status: Literal[400, 429] = 400
    #: Management calls an hour per app and WABA, 0 = as many as Meta allows.
    calls_per_hour: Count = 0
    #: Whether a send outside the 24-hour window is refused at once or accepted and failed later.
    window: Literal["sync", "async"] = "sync"
    #: Statuses of a message, in seconds after it was accepted; None = never comes.
    sent_after: Seconds | None = 0.2
    delivered_after: Seconds | None = 0.6
    read_after: Seconds | None = 1.5
    #: `sent` goes out before the answer to the send does.
    status_first: bool = False
    #: Code with which every message fails after it was accepted, 0 = none.
    fail_code: Count = 0
    #: Share of webhooks that go out twice, and whether their order is shuffled.
    duplicates: Share = 0.0
    disorder: bool = False
    #: Updates that one POST may carry (Meta: up to 1000), and whether messages and statuses may share one.
    batch: Annotated[int, Meta(ge=1, le=1000)] = 1
    mix: bool = False
    #: `conversation` stands in statuses, as up to v23.
    conversation: bool = False
    signature: Signature = "right"
    #: The old SHA-1 header stands beside the other.
    sha1: bool = False
    #: Webhooks hold text as UTF-8 instead of escapes.
    raw_utf8: bool = False
    #: Seconds (ours) that a webhook may take.
    webhook_timeout: Annotated[float, Meta(gt=0)] = 10.0
    #: `url` stands in the webhook's media object.
    media_url: bool = True
    #: `file_size` is text, as in Meta's docs.
    file_size_text: bool = False
    #: Seconds (ours) between two bytes of a download that drips.
    drip: Seconds = 0.2
    #: `wa_id` differs from the number that was dialled, as in Brazil, Mexico and Argentina.
    rewrite_numbers: bool = False
