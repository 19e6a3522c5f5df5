"""config.json as frozen Structs: names, types, defaults and what each key is for (contract section 1).

An addition that does not work yet stands in `UNAVAILABLE` and is refused by name, or a file would promise what
nobody keeps.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, field

from whatshooked.config.shapes import SECRET, Id, OurSection, Port, SecretText, Section, about, kind

#: Lives until July 2028; the earlier program's v21.0 dies in January 2027.
DEFAULT_VERSION = "v25.0"

Target = Literal["file", "sqlite", "postgres"]
HeaderName = Annotated[str, kind("header_name")]
HeaderValue = Annotated[str, kind("header_value")]
Url = Annotated[str, kind("url")]
Host = Annotated[str, kind("host")]
Mode = Literal["link", "base64", "both"]
#: What obstore is given beside the URL; one of them is often a secret.
StorageOption = Annotated[str, kind("text_or_number")]


class Server(Section, frozen=True, kw_only=True):
    """Where the gateway listens and who may use its API."""

    host: Annotated[str, about("address the gateway listens on")] = "0.0.0.0"  # noqa: S104 - the contract's default
    port: Annotated[Port, about("TCP port the gateway listens on; 0 takes a free one")] = 8080
    default_country_code: Annotated[str, kind("code"), about("prefix of numbers written without a country")] = "1"
    username: Annotated[str | None, about("HTTP Basic user of /api/*")] = None
    password: Annotated[SecretText | None, about("HTTP Basic password of /api/*")] = None
    auth_key: Annotated[SecretText | None, about("API key of /api/*: X-API-Key or Authorization: Bearer")] = None
    customers_key: Annotated[
        SecretText | None, about("key of /api/customers alone, as X-API-Key: for Grafana's dashboard Customers")
    ] = None


class BusinessApi(Section, frozen=True, kw_only=True):
    """One number's access to the WhatsApp Business Cloud API."""

    phone_number_id: Annotated[Id, about("Meta's id of the number (not the number itself)")]
    access_token: Annotated[SecretText, about("Graph API token with the two WhatsApp permissions")]
    verify_token: Annotated[SecretText, about("the string Meta must present when it verifies the webhook")]
    business_account_id: Annotated[Id | None, about("id of the WhatsApp Business Account (WABA)")] = None
    api_version: Annotated[str, kind("version"), about("Graph API version of calls to Meta")] = DEFAULT_VERSION
    app_secret: Annotated[
        tuple[SecretText, ...],
        Meta(max_length=2),
        SECRET,
        kind("one_or_two"),
        about("checks Meta's signatures: a string, or a list of two while one is being replaced"),
    ] = ()
    app_id: Annotated[Id | None, about("Meta's id of the app")] = None
    on_unknown: Annotated[
        Literal["hold", "resend"], about("what to do with a message when nobody knows whether Meta took it")
    ] = "hold"
    accept_foreign_numbers: Annotated[bool, about("whether to keep events of a number that is no account's")] = True
    graph_url: Annotated[Url, about("base of calls to Meta; a local Meta can stand in")] = "https://graph.facebook.com"


class Account(Section, frozen=True, kw_only=True):
    """One WhatsApp number; `business_api` is there whenever `type` is business-api."""

    id: Annotated[str, kind("account_id"), about("the account's unique name, last part of its webhook path")]
    type: Annotated[Literal["business-api", "whatsmeow"], about("how the account is connected")]
    phone_number: Annotated[str, kind("phone"), about("the number in E.164, such as +1234567890")]
    business_api: BusinessApi | None = None


class Hook(Section, frozen=True, kw_only=True):
    """One HTTP receiver of events; `timeout` is in seconds, `concurrency` counts attempts per worker process."""

    id: Annotated[str, kind("hook_id"), about("the hook's unique name")]
    name: Annotated[str, about("the hook's name for people")]
    url: Annotated[str, kind("hook_url"), about("where events are sent")]
    method: Annotated[str, kind("method"), about("usually POST")]
    active: Annotated[bool, about("an inactive hook gets nothing")]
    headers: Annotated[dict[HeaderName, HeaderValue], SECRET, about("sent with each attempt")] = field(
        default_factory=dict
    )
    events: Annotated[tuple[str, ...], about("event types the hook wants; none means all")] = ()
    description: str = ""
    accounts: Annotated[tuple[Id, ...], about("only events of these accounts; none means all")] = ()
    secret: Annotated[SecretText | None, kind("hook_secret"), about("key that signs each attempt")] = None
    timeout: Annotated[float, Meta(gt=0, le=3600), kind("duration"), about("time one attempt may take in all")] = 15.0
    concurrency: Annotated[int, Meta(ge=1, le=10_000), about("attempts at once per worker process")] = 64
    media_mode: Annotated[Mode | None, about("how this hook's payloads carry media; by default `media.mode`")] = None


class Media(Section, frozen=True, kw_only=True):
    """How files of messages are fetched, kept and handed to the hooks."""

    data_path: Annotated[str, about("directory of stored files")] = "./data/media"
    mode: Annotated[Mode, about("how a payload carries media")] = "link"
    base_url: Annotated[
        str | None,
        kind("base_url"),
        about("where hooks reach the gateway, without /api/media; by default http://localhost:<port>"),
    ] = None
    max_wait: Annotated[
        float, Meta(gt=0, le=3600), kind("duration"), about("a message waits this long at most for its file")
    ] = 60.0
    link_ttl: Annotated[
        float,
        Meta(ge=0, le=3_153_600_000),
        kind("duration"),
        about("links work so long without credentials; 0: only with those of the API"),
    ] = 604_800.0
    storage: Annotated[
        str | None,
        kind("storage"),
        about("an object store in place of `data_path`: s3://, gs:// or az://bucket/prefix"),
    ] = None
    storage_options: Annotated[
        dict[str, StorageOption],
        SECRET,
        about("what the store needs beyond its URL, such as endpoint, region, access_key_id; else the environment's"),
    ] = field(default_factory=dict)
    max_bytes: Annotated[int, Meta(ge=1, le=10**12), about("larger files are not fetched")] = 104_857_600
    base64_max_bytes: Annotated[
        int, Meta(ge=0, le=67_108_864), about("larger files go out as a link, whatever the mode")
    ] = 5_242_880
    concurrency: Annotated[int, Meta(ge=1, le=1000), about("files fetched at once per worker process")] = 16
    hosts: Annotated[
        tuple[Host, ...], about("where a token may be sent for a file, beside the host of `graph_url`; * opens a name")
    ] = ("*.fbsbx.com", "*.fbcdn.net", "*.whatsapp.net", "graph.facebook.com")
    max_age_days: Annotated[
        float,
        Meta(ge=0, le=36_500),
        about("days a file is kept from when it was stored, longer while a cached event needs it; 0: for ever"),
    ] = 30.0
    max_total_bytes: Annotated[
        int, Meta(ge=0, le=10**16), about("bytes of files kept at most, oldest go first; 0: no bound")
    ] = 0

    @property
    def hold_ms(self) -> int:
        """Return `max_wait` in milliseconds."""
        return round(self.max_wait * 1000)


class MessageCache(Section, frozen=True, kw_only=True):
    """Limits of parked events and of the history of finished ones."""

    enabled: Annotated[bool, about("whether parked events are kept")] = True
    data_path: Annotated[str, about("directory of the embedded Redis")] = "./data/message_cache"
    max_age_days: Annotated[float, Meta(gt=0, le=36_500), about("days a parked event is kept")] = 7.0
    max_events: Annotated[int, Meta(ge=1, le=10**9), about("parked events kept at most")] = 10_000
    history_hours: Annotated[float, Meta(ge=0, le=876_000), about("hours a finished event can be replayed")] = 24.0
    history_bytes: Annotated[int, Meta(ge=0, le=10**13), about("bytes of finished events kept at most")] = 268_435_456


class Kept(OurSection, frozen=True, kw_only=True):
    """How long a target of the event log keeps what it has."""

    max_age_days: Annotated[float, Meta(ge=0, le=36_500), about("days a row is kept; 0: for ever")] = 30.0
    max_bytes: Annotated[
        int, Meta(ge=0, le=10**16), about("bytes the target takes at most, oldest go first; 0: no bound")
    ] = 0


class KeptFiles(Kept, frozen=True, kw_only=True):
    """How the target file rotates, and how long it keeps what it has."""

    rotate_bytes: Annotated[
        int, Meta(ge=65_536, le=10**13), about("a file is ended and compressed at this size, and each day (UTC)")
    ] = 104_857_600


class EventLogger(Section, frozen=True, kw_only=True):
    """The log of events, and where it is written."""

    enabled: Annotated[bool, about("whether what happens is logged")] = False
    targets: Annotated[tuple[Target, ...], about("where events are logged")] = ("file",)
    file_dir: Annotated[str, about("directory of the target file")] = "./data/events"
    sqlite_path: Annotated[str, about("file of the target sqlite")] = "./data/events/events.sqlite"
    table_name: Annotated[str, kind("table_name"), about("table of the targets sqlite and postgres")] = "event_logs"
    mask: Annotated[
        tuple[Literal["numbers", "texts"], ...],
        about("what the log does not show of people: their numbers (but for the last two digits), what they wrote"),
    ] = ()
    payloads: Annotated[bool, about("whether a row also holds the payload that hooks receive")] = False
    buffer_bytes: Annotated[
        int,
        Meta(ge=1_048_576, le=10**13),
        about("bytes of Redis that rows may take which a target has yet to write; beyond, the oldest are dropped"),
    ] = 134_217_728
    file: Annotated[KeptFiles, about("rotation and retention of the target file")] = field(default_factory=KeptFiles)
    sqlite: Annotated[Kept, about("retention of the target sqlite")] = field(default_factory=Kept)
    postgres: Annotated[Kept, about("retention of the target postgres")] = field(default_factory=Kept)


class Database(Section, frozen=True, kw_only=True):
    """The connection of the target postgres."""

    type: str = "postgres"
    host: str = ""
    port: Port = 5432
    username: str = ""
    password: Annotated[SecretText | None, about("password of the database user")] = None
    database: str = ""


class RedisConfig(OurSection, frozen=True, kw_only=True):
    """The Redis that holds everything; `url` None means the embedded server."""

    url: Annotated[str | None, SECRET, kind("redis_url"), about("your own server; without it the embedded one")] = None
    prefix: Annotated[str, kind("prefix"), about("opens every key, so that several gateways can share")] = "wh"
    mode: Annotated[str, kind("redis_mode"), about("only standalone in this version")] = "standalone"
    shards: Annotated[int, kind("redis_shards"), about("only 1 in this version")] = 1
    durability: str | None = None


class Metrics(OurSection, frozen=True, kw_only=True):
    """A port for /metrics alone, served by web processes and workers; without it the gateway's own has /metrics."""

    host: Annotated[str, about("address of that port")] = "0.0.0.0"  # noqa: S104 - as the gateway's own
    port: Annotated[
        Port | None, about("TCP port of /metrics, which asks for no credentials: keep strangers off it")
    ] = None


class TracesConfig(OurSection, frozen=True, kw_only=True):
    """OpenTelemetry traces, from a webhook to each hook's answer; what is not set, the OTEL_* variables say."""

    enabled: Annotated[bool, about("whether traces are made")] = False
    endpoint: Annotated[
        str | None,
        kind("collector"),
        about("an OTLP/HTTP collector such as http://collector:4318; else OTEL_EXPORTER_OTLP_ENDPOINT"),
    ] = None
    ratio: Annotated[
        Annotated[float, Meta(ge=0, le=1)] | None,
        about("share of webhooks that are traced; else OTEL_TRACES_SAMPLER, else all"),
    ] = None


class Document(Section, frozen=True, kw_only=True):
    """The whole file."""

    server: Server = field(default_factory=Server)
    whatsapp: Annotated[tuple[Account, ...], about("the WhatsApp numbers")] = ()
    hooks: Annotated[tuple[Hook, ...], about("the receivers of events")] = ()
    media: Media = field(default_factory=Media)
    message_cache: MessageCache = field(default_factory=MessageCache)
    event_logger: EventLogger = field(default_factory=EventLogger)
    database: Database | None = None
    log_level: Annotated[Literal["debug", "info", "warn", "error"], about("least level logged")] = "info"
    log_format: Annotated[Literal["text", "json"], about("key=value lines or JSON lines")] = "text"
    redis: RedisConfig = field(default_factory=RedisConfig)
    metrics: Metrics = field(default_factory=Metrics)
    traces: TracesConfig = field(default_factory=TracesConfig)


class Config(Document, frozen=True, kw_only=True):
    """The file as loaded: every `env:` and `file:` value resolved."""

    #: The file it was read from, for a reload.
    path: Path


#: Section to keys that are promised for later: any value of them is refused by name.
UNAVAILABLE: Mapping[type, frozenset[str]] = {
    Hook: frozenset({"retry", "max_age", "order", "filter", "rate", "allow_cidrs", "payload"}),
    RedisConfig: frozenset({"durability"}),
}
