"""config.json: what is refused, how it is said, and that no message shows a secret (contract section 1)."""

from pathlib import Path

import pytest

from tests.configs import PLANTED, Files, changed, old_file, small_file
from whatshooked.config import load
from whatshooked.errors import ConfigError

API = {"phone_number_id": "2", "access_token": "t", "verify_token": "v" * 32, "app_secret": "s"}
APP_SECRET_KEY = "whatsapp[0].business_api.app_secret"


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_six_faults_in_one_run(files: Files) -> None:
    """Faults of six kinds come in one error, each with the file's name, the whole path and what was expected."""
    document = small_file()
    document["server"]["port"] = "eighty"
    document["hooks"].append({**document["hooks"][0], "url": "crm.example/in", "timeout": "soon"})
    document["whatsapp"].append(
        {
            "id": "b",
            "type": "business-api",
            "phone_number": "+491510000002",
            "business_api": {**API, "access_token": None},
        }
    )
    document["redis"] = {"prefixx": "a"}
    assert files.faults(document) == (
        'config.json: server.port: expected a whole number from 0 up to 65535, got "eighty"',
        "config.json: whatsapp[1].business_api.access_token: missing, expected a non-empty string "
        "(Graph API token with the two WhatsApp permissions)",
        'config.json: hooks[1].url: expected an http(s) URL with a host, got "crm.example/in"',
        'config.json: hooks[1].timeout: expected a duration, seconds or such as "500ms", "15s", "2m", "1h", "3d", '
        'above 0 up to 3600, got "soon"',
        "config.json: redis.prefixx: unknown key; the nearest known key is prefix; remove or correct it",
        "config.json: hooks[1].id: expected a value of its own, it is the same as hooks[0].id",
    )


def test_ids_are_unique(files: Files) -> None:
    """A second account with the id or the phone_number_id of the first is refused, though another fault is near."""
    document = small_file()
    document["whatsapp"].append({**document["whatsapp"][0], "phone_number": None})
    places = [fault.split(": ")[1] for fault in files.faults(document)]
    assert places == [
        "whatsapp[1].phone_number",
        "whatsapp[1].id",
        "whatsapp[1].business_api.phone_number_id",
    ]


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        ("hooks", {}, "hooks"),
        ("hooks/0", 5, "hooks[0]"),
        ("hooks/0/id", "", "hooks[0].id"),
        ("hooks/0/id", "_media", "hooks[0].id"),
        ("hooks/0/url", "https://", "hooks[0].url"),
        ("hooks/0/url", "https://a.example:99999/", "hooks[0].url"),
        ("hooks/0/url", "https://a.example/a b", "hooks[0].url"),
        ("hooks/0/url", "https://a.example/\r\nX: y", "hooks[0].url"),
        ("hooks/0/url", "https://[::1/", "hooks[0].url"),
        ("hooks/0/url", "file:///etc/hostname-that-is-not-there", "hooks[0].url"),
        ("hooks/0/method", "PO ST", "hooks[0].method"),
        ("hooks/0/active", 1, "hooks[0].active"),
        ("hooks/0/events", "message.received", "hooks[0].events"),
        ("hooks/0/events", [7], "hooks[0].events[0]"),
        ("hooks/0/headers", [], "hooks[0].headers"),
        ("hooks/0/headers/X-A", "a\r\nb", "hooks[0].headers.X-A"),
        ("hooks/0/headers/X-A", "a\x00", "hooks[0].headers.X-A"),
        ("hooks/0/headers/X-A", 5, "hooks[0].headers.X-A"),
        ("hooks/0/headers/X A", "a", "hooks[0].headers[2]"),
        ("hooks/0/headers/HOST", "a", "hooks[0].headers.HOST"),
        ("hooks/0/headers/content-length", "1", "hooks[0].headers.content-length"),
        ("hooks/0/headers/Transfer-Encoding", "chunked", "hooks[0].headers.Transfer-Encoding"),
        ("hooks/0/headers/Connection", "close", "hooks[0].headers.Connection"),
        ("hooks/0/headers/Webhook-Signature", "v1", "hooks[0].headers.Webhook-Signature"),
        ("hooks/0/timeout", 0, "hooks[0].timeout"),
        ("hooks/0/timeout", "15 parsecs", "hooks[0].timeout"),
        ("hooks/0/timeout", True, "hooks[0].timeout"),
        ("hooks/0/concurrency", 0, "hooks[0].concurrency"),
        ("hooks/0/secret", "whsec_not base64", "hooks[0].secret"),
        ("whatsapp/0/id", "a/b", "whatsapp[0].id"),
        ("whatsapp/0/type", "telegram", "whatsapp[0].type"),
        ("whatsapp/0/business_api", None, "whatsapp[0].business_api"),
        ("whatsapp/0/business_api/verify_token", "", "whatsapp[0].business_api.verify_token"),
        ("whatsapp/0/business_api/app_secret", ["a", "b", "c"], "whatsapp[0].business_api.app_secret"),
        ("whatsapp/0/business_api/app_secret", ["a", 2], "whatsapp[0].business_api.app_secret[1]"),
        ("whatsapp/0/business_api/api_version", "latest", "whatsapp[0].business_api.api_version"),
        ("whatsapp/0/business_api/graph_url", "https://u:p@a.example", "whatsapp[0].business_api.graph_url"),
        ("whatsapp/0/business_api/phone_number_id", True, "whatsapp[0].business_api.phone_number_id"),
        ("server/port", 65_536, "server.port"),
        ("server/port", 80.5, "server.port"),
        ("server/port", "", "server.port"),
        ("message_cache/max_age_days", 0, "message_cache.max_age_days"),
        ("message_cache/max_events", 10**400, "message_cache.max_events"),
        ("media/mode", "inline", "media.mode"),
        ("media/base_url", "https://shop.example/?a=1", "media.base_url"),
        ("media/base_url", "https://shop.example/#a", "media.base_url"),
        ("media/base_url", "https://shop.example/api/media/", "media.base_url"),
        ("media/base_url", "https://u:p@shop.example", "media.base_url"),
        ("event_logger/targets", ["kafka"], "event_logger.targets[0]"),
        ("event_logger/table_name", "logs; drop", "event_logger.table_name"),
        ("event_logger/mask", ["names"], "event_logger.mask[0]"),
        ("log_level", "loud", "log_level"),
        ("redis/url", "http://a.example", "redis.url"),
        ("redis/prefix", "{wh}", "redis.prefix"),
        ("redis/shards", 0, "redis.shards"),
        ("server/host", "\ud800", "server.host"),
        ("traces", {"endpoint": "collector:4318"}, "traces.endpoint"),
        ("traces", {"endpoint": "http://collector:4318?key=a"}, "traces.endpoint"),
        ("traces", {"ratio": 1.1}, "traces.ratio"),
        ("traces", {"enabled": "yes"}, "traces.enabled"),
        ("traces", {"exporter": "grpc"}, "traces.exporter"),
    ],
)
def test_refused_value(files: Files, path: str, value: object, place: str) -> None:
    """A value that does not fit is refused at its place, and nothing else is."""
    (fault,) = files.faults(changed(path, value))
    assert fault.startswith(f"config.json: {place}: ")


@pytest.mark.parametrize(
    "path",
    [
        *(f"hooks/0/{name}" for name in ("retry", "max_age", "order", "filter", "rate", "allow_cidrs", "payload")),
        "redis/durability",
    ],
)
def test_addition_of_a_later_version_is_refused_by_name(files: Files, path: str) -> None:
    """A config never promises what this version does not do."""
    (fault,) = files.faults(changed(path, "any"))
    place = path.replace("hooks/0", "hooks[0]").replace("/", ".")
    assert fault == f"config.json: {place}: not available in this version; remove the key"


@pytest.mark.parametrize(
    ("path", "value"), [("redis/mode", "cluster"), ("redis/mode", "sentinel"), ("redis/shards", 2)]
)
def test_redis_beyond_one_server_is_not_available(files: Files, path: str, value: object) -> None:
    """Only a standalone Redis with one shard works, and the file may say just that."""
    (fault,) = files.faults(changed(path, value))
    assert "not available in this version" in fault
    assert files.load(changed("redis", {"mode": "standalone", "shards": 1})).warnings == ()


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("env:MISSING", "environment variable 'MISSING' is not set; set it"),
        ("env:EMPTY", "environment variable 'EMPTY' is empty; fill it"),
        ("file:/no/such/file", "file '/no/such/file' cannot be read (No such file or directory); create it"),
        ("file:/", "file '/' cannot be read (Is a directory)"),
        ("file:/a\x00b", "cannot be read"),
        ("env:\ud800", "is not set"),
    ],
)
def test_unusable_reference_is_a_fault(files: Files, reference: str, said: str) -> None:
    """A missing variable or file is refused with its name and the remedy; an empty secret never disarms a check."""
    (fault,) = files.faults(changed("whatsapp/0/business_api/app_secret", reference), {"EMPTY": ""})
    assert fault.startswith(f"config.json: {APP_SECRET_KEY}: ")
    assert said in fault


def test_no_secret_in_any_message_or_repr(files: Files) -> None:
    """Whatever is wrong around them, secrets and resolved values appear in no fault, no warning and no repr."""
    good = files.load(old_file())
    assert PLANTED not in repr(good)
    assert PLANTED not in "\n".join(good.warnings)

    bad = old_file()
    bad["server"] |= {"password": [f"{PLANTED}"], "auth_key": {"a": PLANTED}, "port": "env:SECRET"}
    bad["whatsapp"][0]["business_api"] |= {"access_token": [PLANTED], "app_secret": {"a": PLANTED}, "verify_token": 5}
    bad["whatsapp"][0]["business_api"] |= {"api_version": "env:SECRET", "graph_url": "env:SECRET"}
    bad["hooks"] = [
        {**bad["hooks"][0], "headers": f"Authorization: {PLANTED}", "secret": f"whsec_{PLANTED} "},
        {**bad["hooks"][0], "headers": {f"X: {PLANTED}": "v", "X-B": f"{PLANTED}\n"}, "url": f"ftp://u:{PLANTED}@h"},
        {**bad["hooks"][0], "id": "env:SECRET", "method": "env:SPACED", "url": f"ftp://h/?key={PLANTED}"},
        {**bad["hooks"][0], "id": "env:SECRET", "timeout": "env:SECRET"},
        f"{PLANTED}",
    ]
    bad["redis"] = {"url": f"http://:{PLANTED}@r"}
    bad["database"]["password"] = [PLANTED]
    faults = files.faults(bad, {"SECRET": f"{PLANTED}-resolved", "SPACED": f"{PLANTED} x"})
    assert len(faults) >= 18
    assert PLANTED not in "\n".join(faults)


def test_warnings_never_quote_a_resolved_value(files: Files) -> None:
    """A value from a variable that only earns a warning is not shown either."""
    document = small_file()
    document["hooks"][0] |= {"events": ["env:SECRET"], "accounts": ["env:SECRET"]}
    document["whatsapp"][0]["phone_number"] = "env:SECRET"
    warnings = "\n".join(files.load(document, {"SECRET": PLANTED}).warnings)
    assert warnings.count("\n") == 2
    assert PLANTED not in warnings


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"server": {"port": 1,}}', "config.json: line 1, column 23: not valid JSON"),
        ("", "config.json: line 1, column 1: not valid JSON"),
        ("[]", "config.json: expected an object, got an array"),
        ('{"server": {"port": NaN}}', "config.json: not valid JSON: it holds a number that is none"),
        ('{"server": {"port": ' + "9" * 5000 + "}}", "config.json: not valid JSON: it holds a number that is none"),
        ("[" * 100_000, "config.json: not a configuration: nested too deeply"),
    ],
)
def test_text_that_is_no_configuration(files: Files, text: str, said: str) -> None:
    """A file that is no JSON object gets one line that says where."""
    (fault,) = files.faults(text)
    assert fault.startswith(said)


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file, a directory and bytes that are no text each get one line with a remedy."""
    (tmp_path / "latin.json").write_bytes(b'{"server": "\xe9"}')
    for name, said in (
        ("none.json", "-c FILE or WHATSHOOKED_CONFIG"),
        (".", "cannot be read"),
        ("latin.json", "UTF-8"),
    ):
        with pytest.raises(ConfigError) as caught:
            load(tmp_path / name)
        assert len(caught.value.faults) == 1
        assert said in str(caught.value)


def test_postgres_target_needs_a_database(files: Files) -> None:
    """The target postgres without a connection is refused when the logger is on, and only then."""
    document = changed("event_logger", {"enabled": True, "targets": ["postgres"]})
    places = [fault.split(": ")[1] for fault in files.faults(document)]
    assert places == ["database.host", "database.database"]
    document["event_logger"]["enabled"] = False
    assert files.load(document).warnings == ()
